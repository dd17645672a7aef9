//! The cost of one message; the limit is a call through a plain function pointer.
//!
//! Five ways to the same method, for none, one and three integers and for two `MTLSize`s: the
//! function pointer, the IMP table, the declared message, `msg!`, and a send that looks its selector up
//! each time. On Apple's targets the crate `objc2` sends it too.

use aruminium::abi::{Class, Id, Imp, MTLSize, Sel};
use aruminium::objc::{Object, link};
use aruminium::{metal_class, msg};
use rounds::{compare, way};
use std::hint::black_box;

mod rounds;

metal_class! {
    /// An object whose methods do almost nothing.
    class Target: AruminiumBenchTarget, table, direct FastTarget<'a>;

    fn zero() -> usize = [zero];
    fn one(a: usize) -> usize = [one:];
    fn three(a: usize, b: usize, c: usize) -> usize = [three:b:c:];
    fn sizes(grid: MTLSize, group: MTLSize) = [sizes:group:];
}

unsafe extern "C" fn zero(_: Id, _: Sel) -> usize {
    1
}
unsafe extern "C" fn one(_: Id, _: Sel, a: usize) -> usize {
    a
}
unsafe extern "C" fn three(_: Id, _: Sel, a: usize, b: usize, c: usize) -> usize {
    a ^ b ^ c
}
unsafe extern "C" fn sizes(_: Id, _: Sel, grid: MTLSize, group: MTLSize) {
    black_box((grid.width, group.width));
}

type Zero = unsafe extern "C" fn(Id, Sel) -> usize;
type One = unsafe extern "C" fn(Id, Sel, usize) -> usize;
type Three = unsafe extern "C" fn(Id, Sel, usize, usize, usize) -> usize;
type Sizes = unsafe extern "C" fn(Id, Sel, MTLSize, MTLSize);

/// Makes the class and an object of it.
fn target() -> Target {
    /// A function without its type.
    macro_rules! imp {
        ($function:ident as $ty:ty) => {
            std::mem::transmute::<$ty, Imp>($function)
        };
    }
    // SAFETY: the class is new, the encodings are those of the functions, and a function is called
    // only with its own type.
    unsafe {
        let root = link::objc_getClass(c"NSObject".as_ptr());
        let class: Class = link::objc_allocateClassPair(root, c"AruminiumBenchTarget".as_ptr(), 0);
        let methods = [
            (c"zero", imp!(zero as Zero), c"Q16@0:8"),
            (c"one:", imp!(one as One), c"Q24@0:8Q16"),
            (c"three:b:c:", imp!(three as Three), c"Q40@0:8Q16Q24Q32"),
            (c"sizes:group:", imp!(sizes as Sizes), c"v64@0:8{?=QQQ}16{?=QQQ}40"),
        ];
        for (selector, imp, types) in methods {
            let selector = link::sel_registerName(selector.as_ptr());
            link::class_addMethod(class, selector, imp, types.as_ptr());
        }
        link::objc_registerClassPair(class);
        let object = msg!(class, [new] -> Object).into_raw();
        Target::from_raw(object).expect("the class was registered above")
    }
}

/// The ways, as functions of their own, so that each is measured with the same stack frame and can be found in
/// the machine code.
macro_rules! ways {
    (
        $pointer:ident $table:ident $message:ident $one_off:ident $looked_up:ident:
        $method:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?, $Fn:ty, [$($one:tt)+], $name:literal
    ) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        fn $pointer(function: $Fn, target: Id, selector: Sel, $($arg: $ty),*) $(-> $ret)? {
            // SAFETY: the function belongs to a method of the target's class.
            unsafe { function(target, selector, $($arg),*) }
        }
        #[unsafe(no_mangle)]
        #[inline(never)]
        fn $table(target: &FastTarget<'_>, $($arg: $ty),*) $(-> $ret)? {
            target.$method($($arg),*)
        }
        #[unsafe(no_mangle)]
        #[inline(never)]
        fn $message(target: &Target, $($arg: $ty),*) $(-> $ret)? {
            target.$method($($arg),*)
        }
        #[unsafe(no_mangle)]
        #[inline(never)]
        fn $one_off(target: &Target, $($arg: $ty),*) $(-> $ret)? {
            // SAFETY: the class has the method, with these types.
            unsafe { msg!(target, [$($one)+] $(-> $ret)?) }
        }
        #[unsafe(no_mangle)]
        #[inline(never)]
        fn $looked_up(target: &Target, $($arg: $ty),*) $(-> $ret)? {
            // SAFETY: the name is a C string, the method is of these types.
            unsafe {
                let selector = link::sel_registerName(concat!($name, "\0").as_ptr().cast());
                let send = std::mem::transmute::<Imp, $Fn>(link::objc_msgSend);
                send(target.as_raw(), selector, $($arg),*)
            }
        }
    };
}

ways!(function_pointer_zero hot_path_table_call_zero message_zero one_off_zero looked_up_zero:
    zero() -> usize, Zero, [zero], "zero");
ways!(function_pointer_one hot_path_table_call_one message_one one_off_one looked_up_one:
    one(a: usize) -> usize, One, [one: a], "one:");
ways!(function_pointer_three hot_path_table_call_three message_three one_off_three looked_up_three:
    three(a: usize, b: usize, c: usize) -> usize, Three, [three: a, b: b, c: c], "three:b:c:");
ways!(function_pointer_sizes hot_path_table_call_sizes message_sizes one_off_sizes looked_up_sizes:
    sizes(grid: MTLSize, group: MTLSize), Sizes, [sizes: grid, group: group], "sizes:group:");

/// The same by the crate `objc2`.
#[cfg(all(target_vendor = "apple", feature = "peers"))]
mod peer {
    use super::Target;
    use aruminium::abi::MTLSize;
    use objc2::{msg_send, runtime::AnyObject};

    fn object(target: &Target) -> &AnyObject {
        // SAFETY: a wrapped object is alive.
        unsafe { &*target.as_raw().as_ptr().cast() }
    }

    fn size(MTLSize { width, height, depth }: MTLSize) -> objc2_metal::MTLSize {
        objc2_metal::MTLSize { width, height, depth }
    }

    #[inline(never)]
    pub(super) fn zero(target: &Target) -> usize {
        // SAFETY: the class has the method, with this type; the same below.
        unsafe { msg_send![object(target), zero] }
    }
    #[inline(never)]
    pub(super) fn one(target: &Target, a: usize) -> usize {
        // SAFETY: as above.
        unsafe { msg_send![object(target), one: a] }
    }
    #[inline(never)]
    pub(super) fn three(target: &Target, a: usize, b: usize, c: usize) -> usize {
        // SAFETY: as above.
        unsafe { msg_send![object(target), three: a, b: b, c: c] }
    }
    #[inline(never)]
    pub(super) fn sizes(target: &Target, grid: MTLSize, group: MTLSize) {
        // SAFETY: as above.
        unsafe { msg_send![object(target), sizes: size(grid), group: size(group)] }
    }
}

fn main() {
    let target = target();
    // SAFETY: the object is alive and of the class that the table is declared for.
    let imps = unsafe { TargetImps::resolve(target.as_raw()) };
    // SAFETY: the wrapper keeps no state that the calls pass by.
    let fast = unsafe { FastTarget::new(&target, &imps) }
        .expect("the table was resolved from this object");
    let size = MTLSize { width: 64, height: 2, depth: 1 };

    macro_rules! group {
        (
            $title:literal, $pointer:ident $table:ident $message:ident $one_off:ident $looked_up:ident,
            $function:ident as $Fn:ty, $selector:literal, ($($arg:expr),*)
        ) => {{
            // SAFETY: the name is a C string.
            let selector = unsafe { link::sel_registerName($selector.as_ptr()) };
            let function: $Fn = black_box($function);
            compare(
                $title,
                None,
                &mut [
                    way!("function pointer", $pointer(function, target.as_raw(), selector, $(black_box($arg)),*)),
                    way!("IMP table", $table(&fast, $(black_box($arg)),*)),
                    way!("message", $message(&target, $(black_box($arg)),*)),
                    way!("msg!", $one_off(&target, $(black_box($arg)),*)),
                    way!("selector looked up", $looked_up(&target, $(black_box($arg)),*)),
                    #[cfg(all(target_vendor = "apple", feature = "peers"))]
                    way!("objc2", peer::$function(&target, $(black_box($arg)),*)),
                ],
            );
        }};
    }
    group!("a message, no arguments", function_pointer_zero hot_path_table_call_zero message_zero one_off_zero looked_up_zero,
        zero as Zero, c"zero", ());
    group!("a message, 1 integer", function_pointer_one hot_path_table_call_one message_one one_off_one looked_up_one,
        one as One, c"one:", (1));
    group!("a message, 3 integers", function_pointer_three hot_path_table_call_three message_three one_off_three looked_up_three,
        three as Three, c"three:b:c:", (1, 2, 3));
    group!("a message, 2 sizes", function_pointer_sizes hot_path_table_call_sizes message_sizes one_off_sizes looked_up_sizes,
        sizes as Sizes, c"sizes:group:", (size, size));
}
