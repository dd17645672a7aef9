//! The DSL: a Metal method in one line.
//!
//! Each macro has a file of its own; `macros/README.md` shows how to add a method, and
//! `specs/macros.md` says what the macros promise. Names that begin with `__` are parts that the
//! others expand to.

mod c_type;
mod imp_table;
mod include_metal;
mod line;
mod metal_class;
mod method;
mod msg;
mod selector;
