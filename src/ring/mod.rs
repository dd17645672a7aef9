//! Actors whose handlers are kernels.
//!
//! A *tick* is the unit of work: in one launch every actor handles the mail that was there when the tick began. You write the
//! handler in MSL and declare messages in Rust; mailboxes, the loop and the layouts are made from that.
//!
//! ```
//! use aruminium::ring::{Launch, Ring};
//!
//! aruminium::message! {
//!     /// Two numbers.
//!     pub struct Add { a: f32, b: f32 }
//!     pub struct Sum { value: f32 }
//!     /// The actor's state.
//!     pub struct Count { sums: u32 }
//! }
//!
//! let ring = Ring::open(&aruminium::Gpu::open()?)?;
//! let code = "
//!     void handle(thread const Add &add, thread Count &count, thread Outbox<Sum> &out) {
//!         count.sums += 1;
//!         Sum sum;
//!         sum.value = add.a + add.b;
//!         out.reply(sum);
//!     }";
//! let adder = ring.spawn::<Add, Sum, Count>("adder", code, Count { sums: 0 }, Launch::new())?;
//! assert_eq!(adder.call(Add { a: 1.5, b: 2.0 }).wait()?.value, 3.5);
//! # Ok::<(), aruminium::ring::RingError>(())
//! ```
//!
//! * [`Ring`] has the actors and ticks them; [`Actor`] sends and receives, blocking or as a future.
//! * [`Launch`] says how an actor runs; [`Topology`] connects many.
//! * [`Checkpoint`] and [`Recording`] restore or repeat a ring's state.
//! * [`Clock`] is a hybrid logical clock.
//!
//! `specs/ring.md` describes ticks, guarantees, and what a handler may do.

mod actor;
mod bytes;
mod checkpoint;
mod clock;
mod core;
mod driver;
mod error;
mod halo;
mod handle;
mod id;
pub mod interop;
mod kind;
mod layout;
mod life;
mod mail;
mod message;
mod options;
mod places;
mod plan;
mod post;
mod prepare;
mod receive;
mod record;
mod replay;
mod restore;
mod run;
mod stat;
mod state;
mod submit;
mod submitter;
mod supervise;
mod table;
mod topology;
mod trace;

pub use actor::Actor;
pub use checkpoint::Checkpoint;
pub use clock::{Clock, Hlc, Skew};
pub use driver::Driver;
pub use error::{Cause, Fault, RingError};
pub use halo::{Border, Dims, Halo, HaloStat, Reach, Tiles};
pub use handle::{Ring, is_available};
pub use id::{ActorId, ActorState};
pub use message::{Field, FieldLayout, Layout, Message, type_number};
pub use options::{Launch, Priority, RingOptions, Supervision, TimeSource};
pub use post::{DeadLetter, Envelope, MessageId, Receipt};
pub use receive::Receive;
pub use record::Recording;
pub use run::Tick;
pub use stat::{ActorStat, RingStat};
pub use topology::Topology;

#[cfg(all(test, not(target_vendor = "apple")))]
mod tests;
