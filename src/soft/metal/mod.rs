//! Metal's classes: `specs/soft-metal.md` says what they promise.
//!
//! One file per class. They check arguments, record, and leave the rest to [`stream`](super::stream). [`compiler`] is the
//! only file that names the compiler and the back ends.

mod absent;
mod argument_descriptor;
mod argument_encoder;
mod availability;
mod binary_archive;
mod binding;
mod blit_encoder;
mod buffer;
mod capture;
mod command_buffer;
mod compiler;
mod compute_encoder;
mod container;
mod counters;
mod datum;
mod descriptors;
mod device;
mod dispatch;
mod encoder;
#[allow(non_snake_case)] // C's names.
pub(crate) mod entry;
mod errors;
mod event;
mod fence;
mod foundation;
mod function;
mod function_descriptors;
mod function_table;
mod heap;
mod indirect;
mod library;
mod log_state;
mod pass_descriptors;
mod pipeline;
mod profile;
mod properties;
mod protocols;
mod queue;
mod render;
mod render_encoder;
mod residency_set;
mod residents;
mod resource;
mod sampler;
#[cfg(feature = "export")]
#[allow(non_snake_case)] // C's names.
pub(crate) mod service;
mod slots;
mod stage_input;
mod texture;
mod types;

#[cfg(test)]
mod tests;
