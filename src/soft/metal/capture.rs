//! MTLCaptureManager: begins and ends captures, which `stream::trace` writes.

use super::absent::CAPTURE_MANAGER;
use super::descriptors::CaptureDescriptor;
use super::device::Device;
use super::errors::{CaptureError, Error};
use super::foundation::{
    ErrorOut, Label, NSObject, Object, Retained, Strong, This, device, label, labelled, lock,
    of_device, set_label, soft_class,
};
use super::queue::Queue;
use crate::abi::{Class, Id};
use crate::soft::kernel::Processor;
use crate::soft::stream::trace::{self, Captured, Session};
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

/// The shared capture manager.
#[derive(Default)]
pub(super) struct CaptureManager {
    scope: Mutex<Option<Retained>>,
}

soft_class! {
    /// The shared capture manager. Messages without a descriptor would start a capture for developer tools; there are
    /// none, so these do nothing.
    pub(super) class MTLCaptureManager(CaptureManager): NSObject, lacks CAPTURE_MANAGER;
    class [sharedCaptureManager] = shared;
    [isCapturing] = |_: &CaptureManager| lock(&CAPTURE).is_some();
    [supportsDestination:] = |_: &CaptureManager, destination: isize| destination == DOCUMENT;
    [startCaptureWithDescriptor:error:] = start;
    [startCaptureWithDevice:] = |_: &CaptureManager, _: Id| ();
    [startCaptureWithCommandQueue:] = |_: &CaptureManager, _: Id| ();
    [startCaptureWithScope:] = |_: &CaptureManager, _: Id| ();
    [stopCapture] = |_: &CaptureManager| stop(|_| true);
    [newCaptureScopeWithDevice:] = |_: &CaptureManager, device: Option<&Object<Device>>| {
        Scope::object(device.map(|device| device.processor), None)
    };
    [newCaptureScopeWithCommandQueue:] = |_: &CaptureManager, queue: Option<Strong<Queue>>| {
        Scope::object(queue.as_ref().and_then(|queue| queue.queue.processor), queue)
    };
    [defaultCaptureScope] = |manager: &CaptureManager| lock(&manager.scope).clone();
    [setDefaultCaptureScope:] = |manager: &CaptureManager, scope: Option<Retained>| {
        let _old = std::mem::replace(&mut *lock(&manager.scope), scope);
    };
}

/// `MTLCaptureDestinationGPUTraceDocument`.
const DOCUMENT: isize = 2;

/// The current capture.
struct Capture {
    session: Arc<Session>,
    of: Subject,
}

/// The captured object.
enum Subject {
    Device(&'static Processor),
    Queue(Strong<Queue>),
    /// A scope, and whether it has begun.
    Scope(Strong<Scope>, bool),
}

static CAPTURE: Mutex<Option<Capture>> = Mutex::new(None);

fn shared(_: Class) -> Strong<CaptureManager> {
    static SHARED: LazyLock<Strong<CaptureManager>> =
        LazyLock::new(|| Strong::new(CaptureManager::default()));
    SHARED.clone()
}

impl Subject {
    /// The subject that an object stands for; `None` for objects of other kinds.
    fn of(object: &Retained) -> Option<Self> {
        // SAFETY: the object is retained.
        unsafe {
            let id = object.id();
            let device = Object::<Device>::from_id(id).map(|device| Self::Device(device.processor));
            let queue = || Object::<Queue>::from_id(id).map(|queue| Self::Queue(queue.retain()));
            let scope = || Object::<Scope>::from_id(id).map(|s| Self::Scope(s.retain(), false));
            device.or_else(queue).or_else(scope)
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Device(_) => "device",
            Self::Queue(_) => "queue",
            Self::Scope(..) => "scope",
        }
    }

    /// The device whose commands are captured.
    fn processor(&self) -> Option<&'static Processor> {
        match self {
            Self::Device(processor) => Some(processor),
            Self::Queue(queue) => queue.queue.processor,
            Self::Scope(scope, _) => scope.processor,
        }
    }

    /// The queues that are captured; `None` for a scope of no device.
    fn captured(&self) -> Option<Captured> {
        let queue = match self {
            Self::Device(_) => None,
            Self::Queue(queue) => Some(queue),
            Self::Scope(scope, _) => scope.queue.as_ref(),
        };
        let queue = queue.map(|queue| Captured::Queue(queue.queue.number));
        queue.or_else(|| self.processor().map(Captured::Device))
    }

    fn is_scope(&self, scope: &Object<Scope>) -> bool {
        matches!(self, Self::Scope(of, _) if of.id() == scope.id())
    }
}

impl Capture {
    /// Has new command buffers captured, or not while a scope has not begun.
    fn apply(&self) {
        let begun = !matches!(self.of, Subject::Scope(_, false));
        let of = self.of.captured().filter(|_| begun);
        trace::capture(of.map(|of| (Arc::clone(&self.session), of)));
    }
}

fn start(
    _: &CaptureManager,
    descriptor: Option<&Object<CaptureDescriptor>>,
    error: ErrorOut,
) -> bool {
    let begun = begin(descriptor);
    if let Err(failure) = &begun {
        error.set(failure.ns_error());
    }
    begun.is_ok()
}

fn begin(descriptor: Option<&Object<CaptureDescriptor>>) -> Result<(), Error<CaptureError>> {
    let wrong = |why: &str| Error::new(CaptureError::InvalidDescriptor, why);
    let fields = descriptor.ok_or_else(|| wrong("nil was passed for the descriptor"))?.get();
    let mut capture = lock(&CAPTURE);
    if capture.is_some() {
        let why = "there is a capture already: stop it first";
        return Err(Error::new(CaptureError::AlreadyCapturing, why));
    }
    if fields.destination != DOCUMENT {
        let why = "a capture goes to a file here, for destination GPUTraceDocument: there are no \
                   developer tools to show it";
        return Err(Error::new(CaptureError::NotSupported, why));
    }
    let of = fields.object.as_ref().and_then(Subject::of).ok_or_else(|| {
        wrong("the descriptor's object to capture is no device, command queue or capture scope")
    })?;
    let path = fields.output.as_ref().and_then(|url| url.path());
    let path = path.ok_or_else(|| wrong("the descriptor's URL is not that of a file"))?;
    let device = of.processor().map_or("", |processor| processor.name.as_str());
    let session = Session::create(Path::new(&path), device, of.name())
        .map_err(|error| wrong(&format!("no file can be made at {path}: {error}")))?;
    let begun = Capture { session: Arc::new(session), of };
    begun.apply();
    *capture = Some(begun);
    Ok(())
}

/// Ends the capture if its subject satisfies the condition.
fn stop(is: impl FnOnce(&Subject) -> bool) {
    let mut capture = lock(&CAPTURE);
    if capture.as_ref().is_some_and(|capture| is(&capture.of)) {
        trace::capture(None);
        let ended = capture.take();
        drop(capture);
        // Its objects are released after the lock.
        drop(ended);
    }
}

/// A capture scope.
pub(super) struct Scope {
    processor: Option<&'static Processor>,
    queue: Option<Strong<Queue>>,
    label: Label,
}

labelled!(Scope);
of_device! { Scope, scope => scope.processor; }

soft_class! {
    /// A capture scope.
    pub(super) class SoftMTLCaptureScope(Scope): NSObject, conforms [MTLCaptureScope];
    [mtl4CommandQueue] = |_: &Scope| Id::NIL;
    [label] = label::<Scope>;
    [setLabel:] = set_label::<Scope>;
    [device] = device::<Scope>;
    [commandQueue] = |scope: &Scope| scope.queue.clone();
    [beginScope] = begin_scope;
    [endScope] = |this: This<'_, Scope>| {
        stop(|of| of.is_scope(&this) && matches!(of, Subject::Scope(_, true)));
    };
}

fn begin_scope(this: This<'_, Scope>) {
    if let Some(capture) = &mut *lock(&CAPTURE) {
        if let Subject::Scope(scope, begun) = &mut capture.of {
            *begun |= scope.id() == this.id();
        }
        capture.apply();
    }
}

impl Scope {
    fn object(processor: Option<&'static Processor>, queue: Option<Strong<Queue>>) -> Strong<Self> {
        Strong::new(Self { processor, queue, label: Label::default() })
    }
}
