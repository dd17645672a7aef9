//! Foundation, as far as Metal needs it: one class a file.

mod object;
mod string;

pub(crate) use object::NSObject;
pub(crate) use string::Text;
