//! NSMethodSignature: the types of a method's result and arguments.

use super::NSObject;
use crate::abi::MethodEncoding;
use crate::soft::runtime::declare::{This, soft_class};
use std::ffi::{CStr, CString, c_char};

/// The encodings of the result and of the arguments, the receiver and the selector first.
pub(crate) struct Signature {
    result: CString,
    arguments: Vec<CString>,
}

soft_class! {
    /// The types of a method.
    pub(crate) class NSMethodSignature(Signature): NSObject;
    make [signatureWithObjCTypes:] = Signature::parse;
    [numberOfArguments] = |signature: &Signature| signature.arguments.len();
    [methodReturnType] = |signature: &Signature| signature.result.as_ptr();
    [getArgumentTypeAtIndex:] = argument;
}

impl Signature {
    /// None for a text that encodes no method.
    fn parse(types: *const c_char) -> Option<Self> {
        if types.is_null() {
            return None;
        }
        // SAFETY: the caller passed a C string.
        let types: MethodEncoding = unsafe { CStr::from_ptr(types) }.to_str().ok()?.parse().ok()?;
        let text = |encoding: &crate::abi::Encoding| CString::new(encoding.to_string()).ok();
        let arguments = types.arguments.iter().map(text).collect::<Option<_>>()?;
        Some(Self { result: text(&types.result)?, arguments })
    }
}

fn argument(this: This<'_, Signature>, index: usize) -> *const c_char {
    let count = this.arguments.len();
    let found = this.arguments.get(index);
    found.unwrap_or_else(|| this.fault(format_args!("index {index} of {count} arguments"))).as_ptr()
}
