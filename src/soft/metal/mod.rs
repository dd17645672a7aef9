//! Metal's classes: `specs/soft-metal.md` says what they promise.
//!
//! A file a class, and these beside them: [`commands`] is what encoders record, [`execute`] carries it
//! out, [`worker`] has the threads, [`compiler`] is the seam to the compiler and the back ends.

mod blit_encoder;
mod buffer;
mod capture;
mod command_buffer;
mod commands;
mod compiler;
mod compute_encoder;
mod descriptors;
mod device;
mod encoder;
#[allow(non_snake_case)] // C's names.
pub(crate) mod entry;
mod errors;
mod event;
mod execute;
mod fence;
mod format;
mod foundation;
mod function;
mod heap;
mod library;
mod memory;
mod order;
mod pages;
mod pipeline;
mod queue;
mod residency_set;
mod resource;
mod sampler;
mod settings;
mod stall;
mod texture;
mod trace;
mod worker;

#[cfg(test)]
mod tests;
