//! Why a command buffer failed.

use super::progress::EncoderProgress;
use crate::soft::kernel::{Fault, FaultKind};
use std::fmt;

/// The kinds of errors, numbered as `MTLCommandBufferError` numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    /// A divergent barrier, or a defect of the implementation.
    Internal = 1,
    /// The watchdog ended a kernel or a wait.
    Timeout = 2,
    /// An access out of bounds.
    PageFault = 3,
    /// A command that cannot be carried out.
    InvalidResource = 9,
}

impl ErrorCode {
    /// All of them, by Metal's names.
    #[cfg(test)]
    pub(crate) const TABLE: &[(&str, Self)] = &[
        ("Internal", Self::Internal),
        ("Timeout", Self::Timeout),
        ("PageFault", Self::PageFault),
        ("InvalidResource", Self::InvalidResource),
    ];
}

/// Why a command buffer failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandError {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
    /// The fault of a kernel, as data.
    pub(crate) fault: Option<Box<Fault>>,
    /// How far the encoders had come, if that is recorded.
    pub(crate) encoders: Vec<EncoderProgress>,
}

impl CommandError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fault: None, encoders: Vec::new() }
    }

    /// A command that cannot be carried out as it was recorded.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidResource, message)
    }

    /// A defect of the implementation.
    pub(crate) fn internal(message: impl fmt::Display) -> Self {
        Self::new(ErrorCode::Internal, format!("internal error: {message}"))
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for CommandError {}

impl From<Fault> for CommandError {
    fn from(fault: Fault) -> Self {
        let code = match fault.kind {
            FaultKind::Access { .. }
            | FaultKind::Call { .. }
            | FaultKind::Element { .. }
            | FaultKind::Handle { .. }
            | FaultKind::Misaligned { .. } => ErrorCode::PageFault,
            FaultKind::Watchdog { .. } => ErrorCode::Timeout,
            FaultKind::Barrier | FaultKind::Device { .. } => ErrorCode::Internal,
            FaultKind::GroupSize { .. } | FaultKind::ThreadgroupMemory { .. } => {
                ErrorCode::InvalidResource
            }
        };
        let message = fault.to_string();
        Self { fault: Some(Box::new(fault)), ..Self::new(code, message) }
    }
}
