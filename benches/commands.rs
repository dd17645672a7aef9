//! The cost of the five methods that return a command buffer, and of the four that return an encoder.
//!
//! With a pool around each call, and with a pool around many: an object that is not retained lives as long as
//! the pool. Nothing is submitted. The limit is the smallest possible object, made and released.

use aruminium::abi::Class;
use aruminium::command::{CommandsImps, QueueImps};
use aruminium::objc::{Object, link};
use aruminium::{Commands, Gpu, GpuError, Queue, autorelease_pool, msg};
use rounds::{compare, way};
use std::hint::black_box;
use std::sync::LazyLock;

#[cfg(all(target_vendor = "apple", feature = "peers"))]
mod objects;
mod rounds;

/// The number of calls in one pool. Metal's queues have 64 command buffers at most.
const MANY: usize = 32;

/// Repeats work, with a pool around each `each` repetitions.
fn pooled(times: usize, each: usize, mut work: impl FnMut()) {
    for first in (0..times).step_by(each) {
        autorelease_pool(|| (first..times.min(first + each)).for_each(|_| work()));
    }
}

/// The limit.
fn object() -> Object {
    static CLASS: LazyLock<Class> =
        // SAFETY: the name is a C string.
        LazyLock::new(|| unsafe { link::objc_getClass(c"NSObject".as_ptr()) });
    // SAFETY: NSObject has the method `new`.
    unsafe { msg!(*CLASS, [new] -> Object) }
}

/// A list of ways: a loop, and the object that it makes in each iteration.
macro_rules! ways {
    ($repeat:ident($given:ident): $($(#[$meta:meta])* $name:literal = $make:expr;)+) => {
        &mut [$(
            $(#[$meta])*
            way!($name, |times| $repeat(times, &|$given| drop(black_box($make)))),
        )+]
    };
}

fn command_buffers(queue: &Queue, title: &str, each: usize) {
    const SOME: &str = "a command buffer";
    // SAFETY: the queue is alive.
    let imps = unsafe { QueueImps::resolve(queue.as_raw()) };
    #[cfg(all(target_vendor = "apple", feature = "peers"))]
    let peer = peer::queue(queue);
    let repeat = |times, make: &dyn Fn(&Queue)| pooled(times, each, || make(queue));
    // The objects are dropped at once, before the pool is drained, and nothing is encoded.
    let ways = ways! { repeat(queue):
        "an object" = { _ = queue; object() };
        "commands" = queue.commands().expect(SOME);
        // SAFETY: as said above.
        "commands_unretained" = unsafe { queue.commands_unretained() }.expect(SOME);
        // SAFETY: as said above.
        "commands_fast" = unsafe { queue.commands_fast() }.expect(SOME);
        // SAFETY: as said above.
        "commands_unchecked" = unsafe { queue.commands_unchecked() };
        // SAFETY: as said above.
        "commands_autoreleased" = unsafe { queue.commands_autoreleased() };
        // SAFETY: the table was resolved from the queue's class.
        "commands_fast, IMP table" = unsafe { imps.commands_fast(queue.as_raw()) }.expect(SOME);
        #[cfg(all(target_vendor = "apple", feature = "peers"))]
        "objc2-metal" = { _ = queue; peer::commands(&peer) };
    };
    compare(title, None, ways);
}

/// `n` encoders of one command buffer.
fn encoders(queue: &Queue) {
    const SOME: &str = "an encoder";
    let commands = queue.commands().expect("a command buffer");
    // SAFETY: the command buffer is alive.
    let imps = unsafe { CommandsImps::resolve(commands.as_raw()) };
    let repeat = |times: usize, make: &dyn Fn(&Commands)| {
        for first in (0..times).step_by(MANY) {
            autorelease_pool(|| {
                let commands = queue.commands().expect("a command buffer");
                (first..times.min(first + MANY)).for_each(|_| make(&commands));
            });
        }
    };
    // The encoders are dropped at once, which ends them, before the pool is drained.
    let ways = ways! { repeat(commands):
        "an object" = { _ = commands; object() };
        "encoder" = commands.encoder().expect(SOME);
        // SAFETY: as said above.
        "encoder_unretained" = unsafe { commands.encoder_unretained() }.expect(SOME);
        // SAFETY: as said above; a command buffer that is not submitted has an encoder.
        "encoder_unchecked" = unsafe { commands.encoder_unchecked() };
        // SAFETY: as above.
        "encoder_autoreleased" = unsafe { commands.encoder_autoreleased() };
        // SAFETY: the table was resolved from the class of the queue's command buffers.
        "encoder, IMP table" = unsafe { imps.encoder(commands.as_raw()) }.expect(SOME);
        #[cfg(all(target_vendor = "apple", feature = "peers"))]
        "objc2-metal" = peer::encoder(commands);
    };
    compare("an encoder, ended", None, ways);
}

/// The same by `objc2-metal`.
#[cfg(all(target_vendor = "apple", feature = "peers"))]
mod peer {
    use super::objects::theirs;
    use aruminium::{Commands, Queue};
    use objc2::rc::Retained;
    use objc2::runtime::ProtocolObject;
    use objc2_metal::*;

    type Made = Retained<ProtocolObject<dyn MTLCommandBuffer>>;
    type Ended = Retained<ProtocolObject<dyn MTLComputeCommandEncoder>>;

    pub(super) fn queue(queue: &Queue) -> Retained<ProtocolObject<dyn MTLCommandQueue>> {
        theirs(queue)
    }

    pub(super) fn commands(queue: &ProtocolObject<dyn MTLCommandQueue>) -> Made {
        queue.commandBuffer().expect("a command buffer")
    }

    pub(super) fn encoder(commands: &Commands) -> Ended {
        let commands: Made = theirs(commands);
        let encoder = commands.computeCommandEncoder().expect("an encoder");
        encoder.endEncoding();
        encoder
    }
}

fn main() -> Result<(), GpuError> {
    let gpu = Gpu::open()?;
    println!("{}", gpu.name());
    let queue = gpu.new_command_queue()?;
    command_buffers(&queue, "a command buffer, a pool for each", 1);
    command_buffers(&queue, "a command buffer, a pool for 32", MANY);
    encoders(&queue);
    Ok(())
}
