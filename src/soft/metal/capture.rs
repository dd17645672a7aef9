//! MTLCaptureManager: there is no tool here that could read a capture, and that is what it says.

use super::descriptors::CaptureDescriptor;
use super::device::{self, Device};
use super::errors::{CaptureError, Problem};
use super::foundation::{
    ErrorOut, Label, NSObject, Object, Retained, Strong, label, labelled, lock, set_label,
    soft_class,
};
use super::queue::Queue;
use crate::abi::{Class, Id};
use std::sync::{LazyLock, Mutex};

/// The one capture manager.
#[derive(Default)]
pub(super) struct CaptureManager {
    scope: Mutex<Option<Retained>>,
}

soft_class! {
    /// The one capture manager.
    pub(super) class MTLCaptureManager(CaptureManager): NSObject;
    class [sharedCaptureManager] = shared;
    [isCapturing] = |_: &CaptureManager| false;
    [supportsDestination:] = |_: &CaptureManager, _: isize| false;
    [startCaptureWithDescriptor:error:] = start;
    [startCaptureWithDevice:] = |_: &CaptureManager, _: Id| ();
    [startCaptureWithCommandQueue:] = |_: &CaptureManager, _: Id| ();
    [startCaptureWithScope:] = |_: &CaptureManager, _: Id| ();
    [stopCapture] = |_: &CaptureManager| ();
    [newCaptureScopeWithDevice:] = |_: &CaptureManager, _: Id| Scope::object(None);
    [newCaptureScopeWithCommandQueue:] =
        |_: &CaptureManager, queue: Option<Strong<Queue>>| Scope::object(queue);
    [defaultCaptureScope] = |manager: &CaptureManager| lock(&manager.scope).clone();
    [setDefaultCaptureScope:] = |manager: &CaptureManager, scope: Option<Retained>| {
        let _old = std::mem::replace(&mut *lock(&manager.scope), scope);
    };
}

fn shared(_: Class) -> Strong<CaptureManager> {
    static SHARED: LazyLock<Strong<CaptureManager>> =
        LazyLock::new(|| Strong::new(CaptureManager::default()));
    SHARED.clone()
}

fn start(
    _: &CaptureManager,
    descriptor: Option<&Object<CaptureDescriptor>>,
    error: ErrorOut,
) -> bool {
    let fields = descriptor.map(|descriptor| descriptor.get());
    let problem = match fields {
        Some(fields) if fields.object.is_some() => Problem::new(
            CaptureError::NotSupported,
            "captures are read by Xcode, which has nothing to read here: there is no GPU to capture",
        ),
        _ => Problem::new(
            CaptureError::InvalidDescriptor,
            "the capture descriptor does not say what to capture",
        ),
    };
    error.set(problem.failure());
    false
}

/// What a capture would begin and end with.
pub(super) struct Scope {
    queue: Option<Strong<Queue>>,
    label: Label,
}

labelled!(Scope);

soft_class! {
    /// What a capture would begin and end with.
    pub(super) class SoftMTLCaptureScope(Scope): NSObject, conforms [MTLCaptureScope];
    [label] = label::<Scope>;
    [setLabel:] = set_label::<Scope>;
    [device] = |_: &Scope| -> Strong<Device> { device::shared() };
    [commandQueue] = |scope: &Scope| scope.queue.clone();
    [beginScope] = |_: &Scope| ();
    [endScope] = |_: &Scope| ();
}

impl Scope {
    fn object(queue: Option<Strong<Queue>>) -> Strong<Self> {
        Strong::new(Self { queue, label: Label::default() })
    }
}
