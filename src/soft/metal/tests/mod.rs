//! Metal's classes, tested by messages, as a driver sends them.
//!
//! `ARUMINIUM_TEST_SCALE=small` makes long loops short, for emulated CPUs.

mod absent;
mod archives;
mod arguments;
mod blits;
mod buffers;
mod counters;
mod declared;
mod devices;
mod dispatches;
mod fork;
mod functions;
mod indirect;
mod life;
mod logs;
mod metal4;
mod misuse;
mod order;
mod progress;
mod settings;
mod sync;
mod textures;
mod types;

use crate::abi::*;
use crate::soft::runtime::entry::*;
use crate::test_scale::scaled as scale;
use std::ffi::{CStr, CString, c_char, c_void};

fn sel(name: &str) -> Sel {
    let name = CString::new(name).unwrap();
    // SAFETY: a C string.
    unsafe { sel_registerName(name.as_ptr()) }
}

/// Sends a message: the receiver, the selector, the arguments with their types, the result's type.
macro_rules! send {
    ($receiver:expr, $selector:expr $(, $argument:expr => $ty:ty)* ; $result:ty) => {{
        let send: Imp = crate::soft::runtime::entry::objc_msgSend;
        // SAFETY: the test names the method's own type.
        #[allow(unused_unsafe, reason = "the receiver may be what another message answers")]
        unsafe {
            std::mem::transmute::<Imp, unsafe extern "C" fn(Id, Sel $(, $ty)*) -> $result>(send)(
                $receiver, $crate::soft::metal::tests::sel($selector) $(, $argument)*
            )
        }
    }};
}
use send;

/// An owned object.
struct Own(Id);

impl Own {
    fn new(id: Id) -> Self {
        assert!(!id.is_nil(), "nil where an object is expected");
        Self(id)
    }

    /// Retains what a message returned.
    fn retain(id: Id) -> Self {
        // SAFETY: an object.
        Self::new(unsafe { objc_retain(id) })
    }
}

// SAFETY: counts are atomic; tests know what they share.
unsafe impl Send for Own {}
// SAFETY: as above.
unsafe impl Sync for Own {}

impl Drop for Own {
    fn drop(&mut self) {
        // SAFETY: it is owned.
        unsafe { objc_release(self.0) }
    }
}

impl std::ops::Deref for Own {
    type Target = Id;

    fn deref(&self) -> &Id {
        &self.0
    }
}

fn class(name: &str) -> Id {
    let name = CString::new(name).unwrap();
    // SAFETY: a C string.
    let class = unsafe { objc_getClass(name.as_ptr()) };
    assert!(!class.is_nil(), "{name:?}");
    class.as_id()
}

fn new(name: &str) -> Own {
    Own::new(send!(class(name), "new"; Id))
}

fn string(text: &str) -> Own {
    let object = send!(class("NSString"), "alloc"; Id);
    Own::new(send!(
        object, "initWithBytes:length:encoding:",
        text.as_ptr().cast() => *const c_void, text.len() => usize, 4 => usize; Id
    ))
}

/// The text of an NSString.
fn text(string: Id) -> String {
    let text = send!(string, "UTF8String"; *const c_char);
    assert!(!text.is_null(), "nil where a string is expected");
    // SAFETY: a C string that lives as long as the object.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned()
}

fn error_text(error: Id) -> String {
    text(send!(error, "localizedDescription"; Id))
}

/// Runs in an autorelease pool.
fn pool<R>(run: impl FnOnce() -> R) -> R {
    // SAFETY: begun and ended here.
    unsafe {
        let pool = objc_autoreleasePoolPush();
        let result = run();
        objc_autoreleasePoolPop(pool);
        result
    }
}

fn device() -> Own {
    // SAFETY: it takes nothing.
    Own::new(unsafe { super::entry::MTLCreateSystemDefaultDevice() })
}

fn queue() -> Own {
    Own::new(send!(*device(), "newCommandQueue"; Id))
}

/// A shared buffer of `length` bytes.
fn buffer(length: usize) -> Own {
    Own::new(send!(*device(), "newBufferWithLength:options:", length => usize, 0 => usize; Id))
}

fn buffer_of<T: Copy>(items: &[T]) -> Own {
    Own::new(send!(
        *device(), "newBufferWithBytes:length:options:", items.as_ptr().cast() => *const c_void,
        size_of_val(items) => usize, 0 => usize; Id
    ))
}

fn contents<T: Copy>(buffer: Id) -> Vec<T> {
    let length = send!(buffer, "length"; usize);
    let at = send!(buffer, "contents"; *mut c_void);
    assert!(!at.is_null());
    // SAFETY: a buffer has that many bytes, and no test reads while a kernel writes.
    unsafe { std::slice::from_raw_parts(at.cast::<T>(), length / size_of::<T>()) }.to_vec()
}

fn library(source: &str) -> Own {
    let mut error = Id::NIL;
    let source = string(source);
    let library = send!(
        *device(), "newLibraryWithSource:options:error:", *source => Id, Id::NIL => Id,
        &raw mut error => *mut Id; Id
    );
    assert!(!library.is_nil(), "{}", error_text(error));
    Own::new(library)
}

fn function(library: Id, name: &str) -> Own {
    Own::new(send!(library, "newFunctionWithName:", *string(name) => Id; Id))
}

/// The pipeline state of a function of a source text.
fn pipeline(source: &str, name: &str) -> Own {
    let function = function(*library(source), name);
    let mut error = Id::NIL;
    Own::new(send!(
        *device(), "newComputePipelineStateWithFunction:error:", *function => Id,
        &raw mut error => *mut Id; Id
    ))
}

fn commands(queue: Id) -> Own {
    pool(|| Own::retain(send!(queue, "commandBuffer"; Id)))
}

fn encoder(commands: Id) -> Own {
    pool(|| Own::retain(send!(commands, "computeCommandEncoder"; Id)))
}

fn blit(commands: Id) -> Own {
    pool(|| Own::retain(send!(commands, "blitCommandEncoder"; Id)))
}

fn end(encoder: Id) {
    send!(encoder, "endEncoding"; ());
}

fn commit(commands: Id) {
    send!(commands, "commit"; ());
}

fn wait(commands: Id) {
    send!(commands, "waitUntilCompleted"; ());
}

fn shared_event() -> Own {
    Own::new(send!(*device(), "newSharedEvent"; Id))
}

fn signal(commands: Id, event: Id, value: u64) {
    send!(commands, "encodeSignalEvent:value:", event => Id, value => u64; ());
}

fn wait_for(commands: Id, event: Id, value: u64) {
    send!(commands, "encodeWaitForEvent:value:", event => Id, value => u64; ());
}

fn status(commands: Id) -> usize {
    send!(commands, "status"; usize)
}

fn fill(commands: Id, buffer: Id, value: u8) {
    let blit = blit(commands);
    let range = NSRange { location: 0, length: 16 };
    send!(*blit, "fillBuffer:range:value:", buffer => Id, range => NSRange, value => u8; ());
    end(*blit);
}

/// Commits, waits, and returns the error.
fn finish(commands: Id) -> Result<(), String> {
    commit(commands);
    wait(commands);
    outcome(commands)
}

fn outcome(commands: Id) -> Result<(), String> {
    pool(|| {
        let error = send!(commands, "error"; Id);
        match (status(commands), error.is_nil()) {
            (4, true) => Ok(()),
            (5, false) => {
                assert_eq!(text(send!(error, "domain"; Id)), "MTLCommandBufferErrorDomain");
                Err(error_text(error))
            }
            (status, nil) => panic!("status {status}, error is nil: {nil}"),
        }
    })
}

fn bind(encoder: Id, pipeline: Id) {
    send!(encoder, "setComputePipelineState:", pipeline => Id; ());
}

fn bind_buffer(encoder: Id, buffer: Id, offset: usize, index: usize) {
    send!(
        encoder, "setBuffer:offset:atIndex:", buffer => Id, offset => usize, index => usize; ()
    );
}

fn push<T>(encoder: Id, value: &T, index: usize) {
    send!(
        encoder, "setBytes:length:atIndex:", std::ptr::from_ref(value).cast() => *const c_void,
        size_of::<T>() => usize, index => usize; ()
    );
}

fn launch(encoder: Id, grid: usize, group: usize) {
    send!(
        encoder, "dispatchThreads:threadsPerThreadgroup:", MTLSize::from((grid, 1, 1)) => MTLSize,
        MTLSize::from((group, 1, 1)) => MTLSize; ()
    );
}

/// A block that calls a closure with its first arguments. It counts its references itself.
#[repr(C)]
struct Block {
    isa: *const c_void,
    flags: i32,
    reserved: i32,
    invoke: unsafe extern "C" fn(*const Block, *mut c_void, *mut c_void),
    descriptor: *const [usize; 2],
    call: *const (dyn Fn(*mut c_void, *mut c_void) + Send + Sync),
}

/// A block that lives for ever: tests end soon.
fn block(call: impl Fn(*mut c_void, *mut c_void) + Send + Sync + 'static) -> Id {
    unsafe extern "C" fn invoke(block: *const Block, a: *mut c_void, b: *mut c_void) {
        // SAFETY: it was leaked below.
        unsafe { (*(*block).call)(a, b) }
    }
    static DESCRIPTOR: [usize; 2] = [0, size_of::<Block>()];
    Id::from_ptr(
        Box::into_raw(Box::new(Block {
            isa: (&raw const _NSConcreteStackBlock).cast(),
            flags: 0,
            reserved: 0,
            invoke,
            descriptor: &raw const DESCRIPTOR,
            call: Box::leak(Box::new(call)),
        }))
        .cast(),
    )
}

const SAXPY: &str = "
#include <metal_stdlib>
using namespace metal;
kernel void saxpy(device float *y [[buffer(0)]],
                  device const float *x [[buffer(1)]],
                  constant float &a [[buffer(2)]],
                  uint id [[thread_position_in_grid]]) {
    y[id] = a * x[id] + y[id];
}
kernel void count_up(device uint *counters [[buffer(0)]], uint id [[thread_position_in_grid]]) {
    counters[id] += 1;
}
kernel void nothing(uint id [[thread_position_in_grid]]) {}
kernel void forever(device volatile uint *flag [[buffer(0)]]) {
    while (flag[0] == 0) {}
}
";
