//! MTLCommandBufferEncoderInfo: how far an encoder had come when its command buffer failed.

use super::foundation::{List, NSObject, Retained, Strong, Text, soft_class};
use crate::soft::stream::progress::EncoderProgress;

/// The option of a command buffer that has its error say this: `MTLCommandBufferErrorOptionEncoderExecutionStatus`.
pub(super) const ENCODER_EXECUTION_STATUS: usize = 1;

/// Under this key the error has an array of them, in the order of the encoders.
pub(super) const ENCODERS: &str = "MTLCommandBufferEncoderInfoErrorKey";

/// An encoder.
struct EncoderInfo(EncoderProgress);

soft_class! {
    /// An encoder of a command buffer that failed.
    class SoftMTLCommandBufferEncoderInfo(EncoderInfo): NSObject, conforms [MTLCommandBufferEncoderInfo];
    [label] = |info: &EncoderInfo| Text::object(info.0.label.as_deref().unwrap_or_default());
    [debugSignposts] = |info: &EncoderInfo| {
        List::object(info.0.signposts.iter().map(|name| Text::object(name.as_str()).into_retained()))
    };
    [errorState] = |info: &EncoderInfo| info.0.progress as isize;
}

/// The array.
pub(super) fn list(encoders: &[EncoderProgress]) -> Retained {
    let info = |one: &EncoderProgress| Strong::new(EncoderInfo(one.clone())).into_retained();
    List::object(encoders.iter().map(info)).into_retained()
}
