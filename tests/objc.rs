//! The layer under the macros: the door, pools, blocks, strings.

#![allow(clippy::undocumented_unsafe_blocks)] // The class in `support` is as declared here.

#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod memory_use;
mod support;

use aruminium::abi::{Bool, Class, Id, Imp, Protocol, Sel};
use aruminium::foundation::{NSArray, NSData, NSDictionary, NSError, NSNumber, NSString, NSURL};
use aruminium::objc::{Block, BlockPtr, Object, link};
use aruminium::{autorelease_pool, msg, selector};
use std::ffi::CStr;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use support::{DEALLOCATED, make_class, method, probe_class};

/// The tests count deallocations, so only one at a time may have probes.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(|poison| poison.into_inner())
}

fn new_probe() -> Object {
    unsafe { msg!(probe_class(), [new] -> Object) }
}

fn deaths() -> usize {
    DEALLOCATED.load(Ordering::SeqCst)
}

extern "C" fn one(_: Id, _: Sel) -> usize {
    1
}
extern "C" fn two(_: Id, _: Sel) -> usize {
    2
}

/// Each function of the door does its work.
#[test]
fn the_door_opens() {
    let _alone = alone();
    unsafe {
        let selector = link::sel_registerName(c"probeNumber".as_ptr());
        assert_eq!(CStr::from_ptr(link::sel_getName(selector)), c"probeNumber");
        assert_eq!(selector, link::sel_registerName(c"probeNumber".as_ptr()));

        let root = link::objc_getClass(c"NSObject".as_ptr());
        assert!(link::objc_getClass(c"NoSuchClassAnywhere".as_ptr()).is_nil());
        let imp =
            |function: extern "C" fn(Id, Sel) -> usize| std::mem::transmute::<_, Imp>(function);
        let class = link::objc_allocateClassPair(root, c"AruminiumDoor".as_ptr(), 0);
        assert!(link::class_addMethod(class, selector, imp(one), c"Q16@0:8".as_ptr()).get());
        assert!(!link::class_addMethod(class, selector, imp(two), c"Q16@0:8".as_ptr()).get());
        let copying: Protocol = link::objc_getProtocol(c"NSCopying".as_ptr());
        assert!(!copying.is_nil());
        assert!(link::class_addProtocol(class, copying).get());
        link::objc_registerClassPair(class);
        assert_eq!(link::objc_getClass(c"AruminiumDoor".as_ptr()), class);
        assert_eq!(CStr::from_ptr(link::class_getName(class)), c"AruminiumDoor");
        assert_eq!(link::class_getSuperclass(class), root);
        assert!(link::class_conformsToProtocol(class, copying).get());
        assert!(link::class_respondsToSelector(class, selector).get());
        assert!(!link::class_respondsToSelector(root, selector).get());

        let object = msg!(class, [new] -> Object);
        assert_eq!(object.class(), class);
        assert_eq!(link::object_getClass(object.as_raw()), class);
        assert!(msg!(object, [conformsToProtocol: copying] -> bool));
        assert_eq!(msg!(object, [probeNumber] -> usize), 1);
        let old = link::class_replaceMethod(class, selector, imp(two), c"Q16@0:8".as_ptr());
        assert!(old.is_some_and(|old| std::ptr::fn_addr_eq(old, imp(one))));
        assert_eq!(msg!(object, [probeNumber] -> usize), 2);

        let method = link::class_getInstanceMethod(class, selector);
        assert_eq!(CStr::from_ptr(link::method_getTypeEncoding(method)), c"Q16@0:8");
        assert!(std::ptr::fn_addr_eq(link::method_getImplementation(method).unwrap(), imp(two)));
        assert!(std::ptr::fn_addr_eq(
            link::class_getMethodImplementation(class, selector).unwrap(),
            imp(two)
        ));
        assert!(!link::class_getClassMethod(root, selector!(alloc)).is_nil());
        assert!(link::class_getInstanceMethod(root, selector).is_nil());
        // A missing method has an implementation too: one that reports it when called.
        assert!(link::class_getMethodImplementation(root, selector).is_some());
        #[cfg(target_arch = "x86_64")]
        assert!(link::class_getMethodImplementation_stret(root, selector).is_some());

        let kept = link::objc_retain(object.as_raw());
        link::objc_release(kept);
        let pool = link::objc_autoreleasePoolPush();
        link::objc_autorelease(link::objc_retain(kept));
        let returned = link::objc_autoreleaseReturnValue(link::objc_retain(kept));
        assert_eq!(link::objc_retainAutoreleasedReturnValue(returned), kept);
        link::objc_release(kept);
        link::objc_autoreleasePoolPop(pool);

        let block = Block::<(), ()>::new(|| ());
        let again = link::_Block_copy(std::mem::transmute::<BlockPtr, *const std::ffi::c_void>(
            block.as_ptr(),
        ));
        link::_Block_release(again);
        assert!(!(&raw const link::_NSConcreteStackBlock).is_null());
    }
}

#[test]
fn pools_end_in_order_and_when_unwinding() {
    let _alone = alone();
    let before = deaths();
    autorelease_pool(|| {
        unsafe { link::objc_autorelease(new_probe().into_raw()) };
        autorelease_pool(|| unsafe {
            link::objc_autorelease(new_probe().into_raw());
            assert_eq!(deaths() - before, 0);
        });
        assert_eq!(deaths() - before, 1);
        let unwound = catch_unwind(|| {
            autorelease_pool(|| {
                unsafe { link::objc_autorelease(new_probe().into_raw()) };
                panic!("on purpose");
            })
        });
        assert!(unwound.is_err());
        assert_eq!(deaths() - before, 2);
    });
    assert_eq!(deaths() - before, 3);
}

#[test]
fn blocks_drop_their_closure_with_the_last_copy() {
    let _alone = alone();
    let captured = Arc::new(AtomicUsize::new(0));
    let inside = Arc::clone(&captured);
    let block =
        Block::<(usize,), usize>::new(move |n: usize| inside.fetch_add(n, Ordering::SeqCst));
    let copies: Vec<_> = (0..8).map(|_| block.clone()).collect();
    assert_eq!(Arc::strong_count(&captured), 2);
    std::thread::scope(|scope| {
        for copy in copies {
            scope.spawn(move || {
                for _ in 0..100 {
                    copy.call((1,));
                    drop(copy.clone());
                }
            });
        }
    });
    assert_eq!(captured.load(Ordering::SeqCst), 800);
    // An object like any other: an array retains it.
    let id = Id::from_ptr(unsafe {
        std::mem::transmute::<BlockPtr, *mut std::ffi::c_void>(block.as_ptr())
    });
    let array = unsafe {
        let class: Class = link::objc_getClass(c"NSArray".as_ptr());
        msg!(class, [arrayWithObjects: &raw const id, count: 1usize] -> NSArray)
    };
    drop(block);
    assert_eq!(Arc::strong_count(&captured), 2);
    drop(array);
    assert_eq!(Arc::strong_count(&captured), 1);
}

#[test]
fn blocks_pass_values_and_stop_panics() {
    let sum = Block::<(u32, f64, Bool, usize), f64>::new(|a: u32, b: f64, c: Bool, d: usize| {
        f64::from(a) + b + f64::from(u8::from(c.get())) + d as f64
    });
    assert_eq!(sum.call((1, 2.5, Bool::new(true), 4)), 8.5);
    let size = Block::<(), aruminium::MTLSize>::new(|| aruminium::MTLSize {
        width: 1,
        height: 2,
        depth: 3,
    });
    assert_eq!(size.call(()).depth, 3);
    let panics =
        Block::<(usize,), usize>::new(|n: usize| if n > 0 { panic!("on purpose") } else { 9 });
    assert_eq!((panics.call((1,)), panics.call((0,))), (0, 9));
}

#[test]
fn owned_and_borrowed_objects_are_distinguished() {
    let _alone = alone();
    let before = deaths();
    let owned = new_probe();
    let borrowed = unsafe { Object::borrowed(owned.as_raw()) };
    drop(borrowed);
    let retained = unsafe { Object::borrowed(owned.as_raw()) }.clone();
    drop(owned);
    assert_eq!(deaths() - before, 0);
    drop(retained);
    assert_eq!(deaths() - before, 1);
    // nil has no owner.
    drop(unsafe { Object::owned(Id::NIL) }.clone());
}

#[test]
fn foundation_objects_return_their_contents() {
    let _alone = alone();
    assert_eq!(NSNumber::from_i64(-5).as_i64(), -5);
    assert_eq!(NSNumber::from_u64(u64::MAX).as_u64(), u64::MAX);
    assert_eq!(NSNumber::from_f64(1.5).as_f64(), 1.5);
    assert!(NSNumber::from_bool(true).as_bool() && !NSNumber::from_bool(false).as_bool());

    let words = [NSString::from("zero"), NSString::from("one")];
    let array = NSArray::new(&[&words[0], &words[1]]);
    drop(words);
    assert_eq!(unsafe { array.get::<NSString>(1) }.unwrap().to_string(), "one");
    assert!(unsafe { array.get::<NSString>(2) }.is_none());
    assert!(NSArray::new::<NSString>(&[]).is_empty());

    let key = NSString::from(NSLOCALIZED_DESCRIPTION);
    let info = NSDictionary::new(&[(&key, &NSString::from("it broke"))]);
    let error = NSError::new("TestDomain", 7, Some(&info));
    drop((key, info));
    assert_eq!((error.to_string().as_str(), error.code()), ("it broke", 7));
    assert_eq!(error.user_info().len(), 1);
    assert!(NSError::new("TestDomain", 8, None).user_info().is_empty());

    let data = NSData::new(&[1, 2, 3]);
    assert_eq!((data.len(), data.to_vec(), data.is_empty()), (3, vec![1, 2, 3], false));
    assert!(NSData::new(&[]).to_vec().is_empty());
    assert_eq!(NSURL::file("/a b/ü").path().unwrap(), "/a b/ü");
}

/// A dictionary copies its keys. A key that cannot be copied is an error, not the end of the program.
#[test]
fn keys_that_cannot_be_copied_are_errors() {
    let _alone = alone();
    let gpu = aruminium::Gpu::open().unwrap();
    let (name, before) = (NSString::from("gpu"), unsafe { msg!(gpu, [retainCount] -> usize) });
    let error = NSDictionary::try_new(&[(&gpu, &name)]).unwrap_err().to_string();
    assert!(error.contains("key 0, of class Gpu, cannot be copied"), "{error}");
    let payload = std::panic::catch_unwind(|| NSDictionary::new(&[(&gpu, &name)])).unwrap_err();
    let panic = payload.downcast::<String>().unwrap();
    assert!(panic.contains("NSDictionary::new") && panic.contains("Gpu"), "{panic}");
    assert_eq!(unsafe { msg!(gpu, [retainCount] -> usize) }, before);
    // The runtime returns nil (Apple's throws).
    #[cfg(not(target_vendor = "apple"))]
    {
        let class = unsafe { link::objc_getClass(c"NSDictionary".as_ptr()) };
        let made =
            unsafe { msg!(class, [dictionaryWithObject: &name, forKey: &gpu] -> Option<Object>) };
        assert!(made.is_none());
    }
}

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("the drop of {}", self.0);
        }
    }
}

/// The closure of a block may panic, and so may the drops of its captures and of the panic's payload: the process
/// continues.
#[test]
fn panics_end_at_the_block() {
    let _alone = alone();
    let bomb = Bomb("a closure");
    let block = Block::<(usize,), usize>::new(move |x: usize| {
        let _ = &bomb;
        match x {
            0 => panic!("a text"),
            1 => std::panic::panic_any(Bomb("a payload")),
            x => x + 1,
        }
    });
    assert_eq!([0, 1, 2].map(|x| block.call((x,))), [0, 0, 3]);
    let again = block.clone();
    drop(block);
    assert_eq!(again.call((3,)), 4);
    drop(again);
}

/// The same on Metal's own threads.
#[test]
fn panics_end_at_the_handler() {
    let _alone = alone();
    let queue = aruminium::Gpu::open().unwrap().new_command_queue().unwrap();
    for nth in 0..3 {
        let commands = queue.commands().unwrap();
        let bomb = Bomb("a handler");
        commands.on_completed(move |_| {
            let _ = &bomb;
            std::panic::panic_any(Bomb("a handler's payload"));
        });
        let (sender, receiver) = std::sync::mpsc::channel();
        commands.on_completed(move |_| _ = sender.send(nth));
        commands.submit();
        commands.finish().unwrap();
        drop(commands);
        assert_eq!(receiver.recv(), Ok(nth), "handlers are still called");
    }
}

/// A long chain of owners is released on a small stack.
#[test]
fn long_chains_of_owners_are_released() {
    let _alone = alone();
    let small = std::env::var("ARUMINIUM_TEST_SCALE").is_ok_and(|scale| scale == "small");
    let count = if small { 20_000 } else { 200_000 };
    let run = move || {
        let held = Arc::new(());
        let first = NSArray::new::<NSString>(&[]);
        let nest = |inner: NSArray, _| NSArray::new(&[&inner]);
        drop((0..count).fold(first, nest));

        let gpu = aruminium::Gpu::open().unwrap();
        let format = aruminium::PixelFormat::R32Float;
        let descriptor = aruminium::TextureDescriptor::new_2d(format, 1, 1);
        let texture = gpu.texture_with(&descriptor).unwrap();
        drop((0..count).fold(texture, |inner, _| inner.view(format).unwrap()));

        let inner = Arc::clone(&held);
        let first = Block::<(), ()>::new(move || _ = &inner);
        let nest = |inner: Block<(), ()>, _| Block::<(), ()>::new(move || _ = &inner);
        drop((0..count).fold(first, nest));
        assert_eq!(Arc::strong_count(&held), 1);
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap().join().unwrap();
}

const NSLOCALIZED_DESCRIPTION: &str = "NSLocalizedDescription";

/// An object that any thread may use: the probe's methods are pure.
struct Shared(Object);

unsafe impl Send for Shared {}
unsafe impl Sync for Shared {}

/// Many threads retain, release, autorelease and send; every object is deallocated exactly once.
#[test]
fn threads_share_objects() {
    let _alone = alone();
    let before = deaths();
    let objects: Arc<Vec<Shared>> = Arc::new((0..32).map(|_| Shared(new_probe())).collect());
    let rounds = if std::env::var("ARUMINIUM_TEST_SCALE").is_ok_and(|scale| scale == "small") {
        200
    } else {
        5_000
    };
    std::thread::scope(|scope| {
        for thread in 0..8usize {
            let objects = Arc::clone(&objects);
            scope.spawn(move || {
                for round in 0..rounds {
                    let Shared(object) = &objects[(thread * 7 + round) % objects.len()];
                    autorelease_pool(|| unsafe {
                        let copy = object.clone();
                        link::objc_autorelease(link::objc_retain(copy.as_raw()));
                        assert_eq!(msg!(copy, [answer] -> usize), 42);
                        assert_eq!(msg!(copy, [itself] -> Object).as_raw(), copy.as_raw());
                    });
                }
            });
        }
    });
    assert_eq!(deaths() - before, 0);
    drop(objects);
    assert_eq!(deaths() - before, 32);
}

/// Failures do not leak, also if no pool is drained.
#[test]
#[cfg(target_os = "linux")]
fn failures_without_a_pool_stay_flat() {
    use aruminium::objc::MessageError;
    memory_use::measure("failures_without_a_pool_stay_flat", || {
        let missing = NSString::from("/no/such/file");
        let fail = || unsafe {
            let class: Class = link::objc_getClass(c"NSString".as_ptr());
            msg!(class, [stringWithContentsOfFile: &missing, encoding: 4usize, error: _] -> Result<NSString, MessageError>)
        };
        // Debug builds keep the last few thousand freed objects.
        for _ in 0..5_000 {
            fail().unwrap_err();
        }
        let before = memory_use::resident();
        for _ in 0..20_000 {
            assert!(!fail().unwrap_err().to_string().is_empty());
        }
        let grown = memory_use::resident().saturating_sub(before);
        assert!(grown < 4 << 20, "{grown} bytes");
    });
}

static SHARED: std::sync::OnceLock<Shared> = std::sync::OnceLock::new();

/// Returns an object that the receiver owns, without a retain or a push, like a plain getter.
extern "C" fn shared(_: Id, _: Sel) -> Id {
    SHARED.get().map_or(Id::NIL, |object| object.0.as_raw())
}

aruminium::metal_class! {
    /// The probe, left to its pool.
    class Pooled: AruminiumProbe;
    unsafe fn me() -> Pooled = autoreleased [itself];
    fn answer() -> usize = [answer];
}

#[test]
fn a_getter_does_not_claim_an_object_that_another_call_autoreleased() {
    let _alone = alone();
    probe_class();
    let holder = make_class(
        "AruminiumHolder",
        "NSObject",
        &[method!("shared", "@16@0:8", shared, fn(Id, Sel) -> Id)],
        &[],
    );
    let before = deaths();
    autorelease_pool(|| unsafe {
        let first = new_probe();
        let pooled = Pooled::from_raw(link::objc_retain(first.as_raw())).unwrap();
        let me = pooled.me();
        drop(pooled);
        assert!(SHARED.set(Shared(Object::borrowed(first.as_raw()))).is_ok());
        let holder = msg!(holder, [new] -> Object);
        drop(msg!(holder, [shared] -> Object));
        drop(first);
        // Only the pool owns it now.
        assert_eq!((deaths() - before, me.answer()), (0, 42));
    });
    assert_eq!(deaths() - before, 1);
}

#[test]
fn lone_surrogates_are_replaced() {
    let units = [0x61u16, 0xd800, 0x62];
    let string = unsafe {
        let class: Class = link::objc_getClass(c"NSString".as_ptr());
        msg!(class, [stringWithCharacters: units.as_ptr(), length: units.len()] -> NSString)
    };
    assert_eq!(string.to_string(), "a\u{fffd}b");
}

/// A subclass overrides; the table of either class calls its own.
#[test]
fn subclasses_inherit_and_override() {
    let _alone = alone();
    probe_class();
    let class = make_class(
        "AruminiumProbeChild",
        "AruminiumProbe",
        &[method!("answer", "Q16@0:8", two, fn(Id, Sel) -> usize)],
        &[],
    );
    let child = unsafe { msg!(class, [new] -> Object) };
    unsafe {
        assert_eq!(msg!(child, [answer] -> usize), 2);
        assert_eq!(msg!(child, [half: 3.0f64] -> f64), 1.5);
        assert_eq!(msg!(new_probe(), [answer] -> usize), 42);
        assert!(msg!(child, [isKindOfClass: probe_class()] -> bool));
        assert!(!msg!(child, [isMemberOfClass: probe_class()] -> bool));
    }
}
