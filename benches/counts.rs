//! The hot paths, each in a function of its own, so that `.ci/counts` can count their instructions.
//!
//! Run by itself it measures nothing.

use aruminium::abi::Sel;
use aruminium::encoder::EncoderImps;
use aruminium::foundation::NSString;
use aruminium::objc::link;
use aruminium::{
    Batch, Buffer, Commands, Dispatch, Encoder, GpuError, autorelease_pool, cast_f16_f32,
    cast_f32_f16, imp_table, msg,
};
use std::hint::black_box;
use tiny::{Tiny, one_dispatch};

mod tiny;

/// The number of calls of each.
const TIMES: usize = 1000;
/// The number of elements of a cast.
const CAST: usize = 4 << 10;

imp_table! {
    table StringImps: NSString;
    fn length() -> usize = [length];
}

/// Declares functions that a profile can distinguish, each with the same frame around it.
macro_rules! counted {
    ($(fn $name:ident($($argument:ident: $ty:ty),*) $body:block)+) => {$(
        #[unsafe(no_mangle)]
        #[inline(never)]
        fn $name($($argument: $ty),*) {
            for _ in 0..TIMES {
                $body
            }
        }
    )+};
}

counted! {
    fn counted_message(text: &NSString) {
        // SAFETY: strings have the method.
        black_box(unsafe { msg!(text, [length] -> usize) });
    }
    fn counted_selector_lookup() {
        // SAFETY: the name is a C string.
        black_box::<Sel>(unsafe { link::sel_registerName(c"length".as_ptr()) });
    }
    fn counted_table_call(text: &NSString, imps: &StringImps) {
        // SAFETY: the table was resolved from the string's class.
        black_box(unsafe { imps.length(text.as_raw()) });
    }
    fn counted_encode_by_batch(batch: &Batch<'_>, tiny: &Tiny) {
        one_dispatch!(batch, tiny);
    }
    fn counted_encode_by_encoder(encoder: &Encoder, tiny: &Tiny) {
        one_dispatch!(encoder, tiny);
    }
    fn counted_first_bind(encoder: &Encoder, buffers: &mut std::slice::Iter<'_, Buffer>) {
        encoder.bind_buffer(buffers.next().expect("one for each call"), 0, 0);
    }
    fn counted_first_bind_by_message(encoder: &Encoder, buffers: &mut std::slice::Iter<'_, Buffer>) {
        let buffer = buffers.next().expect("one for each call");
        // SAFETY: the selector is the encoder's, with these types; both objects are alive.
        unsafe { msg!(encoder, [setBuffer: buffer, offset: 0usize, atIndex: 0usize]) };
    }
    fn counted_bind_again(encoder: &Encoder, buffer: &Buffer) {
        encoder.bind_buffer(buffer, 0, 0);
    }
    fn counted_bind_again_by_message(encoder: &Encoder, buffer: &Buffer) {
        // SAFETY: the selector is the encoder's, with these types; both objects are alive.
        unsafe { msg!(encoder, [setBuffer: buffer, offset: 0usize, atIndex: 0usize]) };
    }
    fn counted_encoded_command_buffer(tiny: &Tiny) {
        autorelease_pool(|| encode(tiny));
    }
    fn counted_half_to_float_4_ki(floats: &mut [f32], halves: &[u16]) {
        cast_f16_f32(black_box(&mut *floats), black_box(halves));
    }
    fn counted_float_to_half_4_ki(halves: &mut [u16], floats: &[f32]) {
        cast_f32_f16(black_box(&mut *halves), black_box(floats));
    }
}

/// A command buffer with one dispatch.
fn encode(tiny: &Tiny) -> Commands {
    let commands = tiny.queue.commands().expect("a command buffer");
    let encoder = commands.encoder().expect("an encoder");
    one_dispatch!(encoder, tiny);
    encoder.finish();
    commands
}

/// Binds buffers for the first time in a command buffer, and again.
fn count_binds(tiny: &Tiny) -> Result<(), GpuError> {
    let buffers = (0..TIMES).map(|_| tiny.gpu.buffer(16)).collect::<Result<Vec<_>, _>>()?;
    let (first, last) = (buffers.iter(), buffers.last().expect("some"));
    // The first command buffer finds the records of the buffers and makes the lists.
    for counted in [false, true] {
        let commands = tiny.queue.commands()?;
        let encoder = commands.encoder()?;
        match counted {
            false => buffers.iter().for_each(|buffer| encoder.bind_buffer(buffer, 0, 0)),
            true => {
                counted_first_bind(&encoder, &mut first.clone());
                counted_first_bind_by_message(&encoder, &mut first.clone());
                counted_bind_again(&encoder, last);
                counted_bind_again_by_message(&encoder, last);
            }
        }
    }
    Ok(())
}

fn main() -> Result<(), GpuError> {
    let text = NSString::from("metal");
    // SAFETY: the string is alive.
    let imps = unsafe { StringImps::resolve(text.as_raw()) };
    // Fills tables and caches first, so that work that is done once is not counted.
    let (mut floats, mut halves) = (vec![1.0; CAST], vec![0; CAST]);
    cast_f32_f16(&mut halves, &floats);
    // SAFETY: strings have the method.
    black_box(unsafe { msg!(text, [length] -> usize) });
    counted_message(&text);
    counted_table_call(&text, &imps);
    counted_selector_lookup();
    counted_half_to_float_4_ki(&mut floats, &halves);
    counted_float_to_half_4_ki(&mut halves, &floats);

    let tiny = Tiny::new()?;
    let dispatch = Dispatch::new(&tiny.queue);
    let room_for_all = |batch: &Batch<'_>| (0..2 * TIMES).for_each(|_| one_dispatch!(batch, tiny));
    // SAFETY: the kernel stays within its buffers, which outlive the wait.
    unsafe { dispatch.batch(room_for_all) }?;
    let commands = tiny.queue.commands()?;
    let encoder = commands.encoder()?;
    // SAFETY: the encoder is alive.
    let imps = unsafe { EncoderImps::resolve(encoder.as_raw()) };
    // SAFETY: the work encoded here is discarded.
    let batch = unsafe { Batch::new(&encoder, &imps) }.expect("the table of the encoder's class");
    one_dispatch!(batch, tiny);
    one_dispatch!(encoder, tiny);
    counted_encode_by_batch(&batch, &tiny);
    counted_encode_by_encoder(&encoder, &tiny);
    drop(encoder);
    count_binds(&tiny)?;
    counted_encoded_command_buffer(&tiny);
    println!("{}: the hot paths were run; .ci/counts counts their instructions", tiny.gpu.name());
    Ok(())
}
