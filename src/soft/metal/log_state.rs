//! MTLLogState: what is wanted of the messages of `os_log`, and who gets them; MTLFunctionLog: a message.

use super::descriptors::LogStateDescriptor;
use super::errors::{Error, LogStateError};
use super::foundation::{HeldBlock, NSObject, Object, Retained, Strong, Text, lock, soft_class};
use crate::abi::{Id, Imp};
use crate::soft::stream::log::{Log, Message};
use crate::soft::variables;
use std::sync::{Arc, Mutex};

/// A log state.
pub(super) struct LogState {
    level: u32,
    bytes: usize,
    handlers: Mutex<Vec<Arc<HeldBlock>>>,
}

soft_class! {
    /// A log state.
    pub(super) class SoftMTLLogState(LogState): NSObject, conforms [MTLLogState];
    [addLogHandler:] = |state: &LogState, block: Option<HeldBlock>| {
        lock(&state.handlers).extend(block.map(Arc::new));
    };
}

/// The bytes that a log may have.
const SIZES: std::ops::RangeInclusive<isize> = 1 << 10..=1 << 30;

impl LogState {
    pub(super) fn new(
        descriptor: Option<&Object<LogStateDescriptor>>,
    ) -> Result<Strong<Self>, Error<LogStateError>> {
        let method = "-[MTLDevice newLogStateWithDescriptor:error:]";
        let Some(descriptor) = descriptor else {
            let text = format!("{method}: nil was passed for the descriptor");
            return Err(Error::new(LogStateError::Invalid, text));
        };
        let fields = descriptor.get();
        // 0 is the default, which is the least.
        let bytes = if fields.buffer_size == 0 { *SIZES.start() } else { fields.buffer_size };
        if !SIZES.contains(&bytes) {
            let text = format!("{method}: a bufferSize of {bytes}; 1 KiB to 1 GiB are possible");
            return Err(Error::new(LogStateError::InvalidSize, text));
        }
        let level = fields.level.clamp(0, u8::MAX.into()) as u32;
        Ok(Strong::new(Self { level, bytes: bytes as usize, handlers: Mutex::default() }))
    }

    /// The log state that a descriptor has.
    pub(super) fn of(object: Option<&Retained>) -> Option<Strong<Self>> {
        // SAFETY: the descriptor retains it.
        unsafe { Object::from_id(object?.id()) }.map(Object::retain)
    }

    /// Sets the limits of a command buffer's log.
    pub(super) fn limit(&self, log: &Log) {
        log.limit(self.level, self.bytes);
    }

    /// Calls the handlers with each message. Without one they go to standard error, as Metal's go to the system's log.
    pub(super) fn deliver(&self, messages: &[Message]) {
        let handlers = lock(&self.handlers).clone();
        for message in messages {
            if handlers.is_empty() {
                variables::report(&message.to_string());
                continue;
            }
            let [subsystem, category, text] =
                [&message.subsystem, &message.category, &message.text]
                    .map(|text| Text::object(text.as_str()));
            for handler in &handlers {
                type Call = unsafe extern "C" fn(Id, Id, Id, isize, Id);
                // SAFETY: it was passed as a block that takes these.
                unsafe {
                    let call = std::mem::transmute::<Imp, Call>(handler.invoke());
                    call(
                        handler.id(),
                        subsystem.id(),
                        category.id(),
                        message.level as isize,
                        text.id(),
                    );
                }
            }
        }
    }
}

/// A message, in the list that a command buffer's `logs` returns.
pub(super) struct FunctionLog(Message);

soft_class! {
    /// A message.
    pub(super) class SoftMTLFunctionLog(FunctionLog): NSObject, conforms [MTLFunctionLog];
    // `MTLFunctionLogTypeValidation` is the only one there is.
    [type] = |_: &FunctionLog| 0usize;
    [encoderLabel] = |_: &FunctionLog| None::<Retained>;
    [function] = |_: &FunctionLog| None::<Retained>;
    [debugLocation] = |_: &FunctionLog| None::<Retained>;
    [description] = |log: &FunctionLog| Text::object(log.0.to_string());
}

impl FunctionLog {
    pub(super) fn object(message: Message) -> Strong<Self> {
        Strong::new(Self(message))
    }
}
