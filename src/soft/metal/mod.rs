//! Metal's classes: `specs/soft-metal.md` says what they promise.
//!
//! One file per class. They check arguments, record, and leave the rest to [`stream`](super::stream). [`compiler`] is the
//! only file that names the compiler and the back ends.

mod absent;
mod absent_classes;
mod argument_descriptor;
mod argument_encoder;
mod argument_table;
mod availability;
mod binary_archive;
mod binding;
mod blit_encoder;
mod buffer;
mod capture;
mod command_buffer;
mod command_buffer4;
mod compiler;
mod compiler4;
mod compute_encoder;
mod compute_encoder4;
mod container;
mod copies;
mod counter_heap;
mod counters;
mod datum;
mod descriptors;
mod device;
mod dispatch;
mod encoder;
mod encoder_info;
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
mod queue4;
mod render;
mod render_encoder;
mod render_pipeline;
mod residency_set;
mod residents;
mod resource;
mod sampler;
#[cfg(feature = "export")]
#[allow(non_snake_case)] // C's names.
pub(crate) mod service;
mod slots;
mod stage_input;
mod tensor;
mod texture;
mod types;

#[cfg(test)]
mod tests;
