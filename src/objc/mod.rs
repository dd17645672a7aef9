//! Objective-C from Rust: messages, ownership, pools, blocks.
//!
//! The macros of this crate expand to code that uses this module. [`link`] decides where the C functions
//! come from; nothing else in this module, or above it, depends on the system.

pub mod link;

mod argument;
mod block;
mod class;
mod error;
mod object;
mod pool;
mod reflect;
mod returned;
mod selector;
mod send;
pub(crate) mod string;
mod table;
mod tables;
pub(crate) mod tracking;
pub(crate) mod variant;

#[doc(hidden)]
pub mod rules;

pub use argument::{Argument, Arguments};
pub use block::{Block, BlockFn, BlockPtr};
pub use error::MessageError;
pub use object::{ClassState, ObjcClass, Object, Receiver};
pub use pool::autorelease_pool;
pub use reflect::{ClassInfo, Level, MethodInfo, Nullability};
pub use returned::{Fallible, Return, Success};
pub use selector::CachedSelector;

// Used by the expansions of the macros.
#[doc(hidden)]
pub use argument::{ArgList, Trailing, catches};
#[doc(hidden)]
pub use class::CachedClass;
#[doc(hidden)]
pub use object::keeps;
#[doc(hidden)]
pub use returned::{Ownership, Sent, Unchecked, consumes};
#[doc(hidden)]
pub use send::{Call, Message};
#[doc(hidden)]
pub use table::ImpEntry;
pub use tables::{ImpTable, ImpTables};
#[doc(hidden)]
pub use tracking::{ArgumentSink, MessageUse, Tracker};
