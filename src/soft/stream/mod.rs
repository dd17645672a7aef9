//! Between encoding and a back end: recordings of commands, and the queues that execute them.
//!
//! Metal's classes check arguments and record; everything here is plain data and threads, and names no class. From the
//! ground up: [`pages`], [`memory`], [`heap`] and [`image`] hold what kernels access; [`event`] counts; [`table`] is what
//! is bound and [`recording`] what was recorded, [`order`] orders its encoders, [`execute`] runs it, [`progress`] says how far it came, [`log`] reads what its kernels log, and [`trace`] writes it down; [`submission`] is a
//! command buffer from its first encoder to its end, and [`queue`] runs submissions in order on [`threads`] while
//! [`stall`] ends waits that cannot succeed.

mod compressed;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod execute;
pub(crate) mod format;
pub(crate) mod heap;
pub(crate) mod image;
pub(crate) mod indirect;
pub(crate) mod label;
mod launched;
pub(crate) mod log;
pub(crate) mod memory;
mod order;
pub(crate) mod pages;
pub(crate) mod pipeline;
mod printf;
pub(crate) mod progress;
pub(crate) mod queue;
pub(crate) mod recording;
mod reports;
mod residents;
pub(crate) mod settings;
mod stall;
pub(crate) mod submission;
pub(crate) mod table;
pub(crate) mod tensor;
pub(crate) mod threads;
pub(crate) mod trace;
