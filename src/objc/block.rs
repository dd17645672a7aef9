//! Rust closures as Objective-C blocks, for handlers that Metal calls back.

use super::link;
use crate::abi::{Encode, Imp, contain_panic};
use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;

/// A pointer to a block, as an argument of a message.
///
/// ```
/// use aruminium::objc::{Block, BlockPtr};
/// let block = Block::<(usize,)>::new(|_: usize| ());
/// let pointer: BlockPtr = block.as_ptr();
/// let none = BlockPtr::NIL;
/// ```
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockPtr(*const c_void);

impl BlockPtr {
    /// The null block.
    pub const NIL: Self = Self(std::ptr::null());
}

// SAFETY: a block is an object, passed by pointer; `@?` is how its type is written.
unsafe impl Encode for BlockPtr {
    const ENCODING: &'static str = "@?";
}

/// An Objective-C block made from a Rust closure: on the heap, reference-counted, released on drop. Code that
/// copies it keeps the closure alive; the closure is dropped with the last copy.
///
/// ```
/// use aruminium::objc::Block;
/// let sum = Block::<(i32, i32), i32>::new(|a: i32, b: i32| a + b);
/// assert_eq!(sum.call((2, 3)), 5);
/// ```
pub struct Block<Args, R = ()> {
    block: *mut c_void,
    call: PhantomData<fn(Args) -> R>,
}

// SAFETY: the closure is `Send` and `Sync` by the bound of `new`, and the count is atomic.
unsafe impl<Args, R> Send for Block<Args, R> {}
// SAFETY: as above.
unsafe impl<Args, R> Sync for Block<Args, R> {}

/// A closure that can be the body of a block.
///
/// # Safety
///
/// `INVOKE` takes a block with this closure in it, and these arguments.
///
/// ```
/// use aruminium::objc::{Block, BlockFn};
/// fn twice(closure: impl BlockFn<(i32,), i32>) -> i32 {
///     let block = Block::<(i32,), i32>::new(closure);
///     block.call((block.call((1,)),))
/// }
/// assert_eq!(twice(|x: i32| x * 10), 100);
/// ```
pub unsafe trait BlockFn<Args, R>: Send + Sync + 'static {
    /// The C function that runs a block with this closure in it.
    #[doc(hidden)]
    const INVOKE: Imp;
}

/// The header of a block, followed by the closure. The layout is the Blocks ABI's.
#[repr(C)]
struct Literal<F> {
    isa: *const c_void,
    flags: i32,
    reserved: i32,
    invoke: Imp,
    descriptor: *const Descriptor,
    closure: ManuallyDrop<F>,
}

#[repr(C)]
struct Descriptor {
    reserved: usize,
    size: usize,
    copy: unsafe extern "C" fn(*mut c_void, *const c_void),
    dispose: unsafe extern "C" fn(*mut c_void),
}

/// The block has helpers to copy and dispose of what it captured.
const HAS_COPY_DISPOSE: i32 = 1 << 25;

impl<F> Literal<F> {
    const DESCRIPTOR: Descriptor = Descriptor {
        reserved: 0,
        size: {
            assert!(align_of::<Self>() <= 16, "a block's memory is aligned to 16 bytes");
            size_of::<Self>()
        },
        copy: Self::copy,
        dispose: Self::dispose,
    };

    /// The bytes were moved already, and a Rust closure needs no more to move.
    unsafe extern "C" fn copy(_: *mut c_void, _: *const c_void) {}

    unsafe extern "C" fn dispose(block: *mut c_void) {
        // SAFETY: the runtime calls this once, for the heap block that `new` made.
        let closure = unsafe { &mut (*block.cast::<Self>()).closure };
        // SAFETY: as above: the closure is not used after this.
        contain_panic(|| unsafe { ManuallyDrop::drop(closure) });
    }
}

impl<Args, R> Block<Args, R> {
    /// Moves a closure into a block.
    ///
    /// Metal calls handlers on threads of its own. A panic of the closure, or of a `drop` when the
    /// closure is released, is reported by the panic hook and ends there: it cannot unwind through Objective-C.
    /// The block then returns zero.
    pub fn new<F: BlockFn<Args, R>>(closure: F) -> Self {
        let literal = Literal {
            isa: (&raw const link::_NSConcreteStackBlock).cast(),
            flags: HAS_COPY_DISPOSE,
            reserved: 0,
            invoke: F::INVOKE,
            descriptor: const { &Literal::<F>::DESCRIPTOR },
            closure: ManuallyDrop::new(closure),
        };
        // SAFETY: `literal` is a stack block. Copying moves the closure to the heap, and the
        // original here is not dropped.
        let block = unsafe { link::_Block_copy((&raw const literal).cast()) };
        assert!(!block.is_null(), "no memory for a block");
        Self { block, call: PhantomData }
    }

    /// The block as an argument.
    #[inline]
    pub fn as_ptr(&self) -> BlockPtr {
        BlockPtr(self.block)
    }
}

impl<Args, R> Drop for Block<Args, R> {
    fn drop(&mut self) {
        // SAFETY: `new` made the count that is released here.
        unsafe { link::_Block_release(self.block) }
    }
}

impl<Args, R> Clone for Block<Args, R> {
    fn clone(&self) -> Self {
        // SAFETY: copying a heap block increments its reference count and returns the same pointer.
        Self { block: unsafe { link::_Block_copy(self.block) }, call: PhantomData }
    }
}

impl<Args, R> fmt::Debug for Block<Args, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({:p})", self.block)
    }
}

macro_rules! block_fn {
    ($($argument:ident: $ty:ident),*) => {
        // SAFETY: the function below is of that type.
        unsafe impl<Fun, Ret: Encode, $($ty: Encode),*> BlockFn<($($ty,)*), Ret> for Fun
        where
            Fun: Fn($($ty),*) -> Ret + Send + Sync + 'static,
        {
            const INVOKE: Imp = {
                unsafe extern "C" fn invoke<Fun: Fn($($ty),*) -> Ret, Ret: Encode, $($ty: Encode),*>(
                    block: *mut Literal<Fun>,
                    $($argument: $ty),*
                ) -> Ret {
                    // SAFETY: a block is called with itself first, and this one holds a `Fun`.
                    let closure = unsafe { &(*block).closure };
                    contain_panic(|| closure($($argument),*))
                        // SAFETY: `Encode` promises that zero is a value.
                        .unwrap_or_else(|| unsafe { std::mem::zeroed() })
                }
                // SAFETY: a function pointer, called again only with its own type.
                unsafe {
                    std::mem::transmute::<unsafe extern "C" fn(*mut Literal<Fun>, $($ty),*) -> Ret, Imp>(
                        invoke::<Fun, Ret, $($ty),*>,
                    )
                }
            };
        }

        impl<Ret: Encode, $($ty: Encode),*> Block<($($ty,)*), Ret> {
            /// Calls the block.
            pub fn call(&self, ($($argument,)*): ($($ty,)*)) -> Ret {
                // SAFETY: the block was made by `new` from a closure of these types, and its third
                // word is the function that runs it.
                unsafe {
                    let invoke = (*self.block.cast::<Literal<()>>()).invoke;
                    let invoke = std::mem::transmute::<Imp, unsafe extern "C" fn(*mut c_void, $($ty),*) -> Ret>(invoke);
                    invoke(self.block, $($argument),*)
                }
            }
        }
    };
}

block_fn!();
block_fn!(a: A);
block_fn!(a: A, b: B);
block_fn!(a: A, b: B, c: C);
block_fn!(a: A, b: B, c: C, d: D);
