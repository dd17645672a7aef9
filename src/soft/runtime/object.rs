//! Objects: allocation, reference counts, payloads, and detection of messages to freed objects.

use super::class::{ClassData, ClassPair, Kind};
use super::declare::soft_class;
use super::fatal::{MethodName, fatal};
use super::nsobject::NSObject;
use super::payload::PayloadCell;
use super::selector::known;
use super::{block, deallocate, side, spare};
use crate::abi::{Id, Sel};
use crate::soft::fork;
use std::alloc::{Layout, handle_alloc_error};
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, offset_of};
use std::ops::Deref;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::*, fence};
use std::sync::{Mutex, MutexGuard};

/// The beginning of every object.
#[repr(C)]
pub(super) struct Header {
    isa: AtomicPtr<ClassData>,
    /// The reference count. Blocks and immortal objects have other data here.
    count: AtomicUsize,
}

/// The count of an object that is being deallocated: retaining and releasing it meanwhile does not
/// deallocate it again. No object gets that many owners.
const DEALLOCATING: usize = 1 << 62;

/// An object of a class with a Rust payload. The payload is empty between `alloc` and `init`.
#[repr(C)]
pub(crate) struct Object<P> {
    header: Header,
    payload: PayloadCell<P>,
}

/// The payload of a class, as its declaration describes it.
pub(crate) struct Payload {
    layout: Layout,
    empty: unsafe fn(*mut u8),
    drop: unsafe fn(*mut u8),
}

impl Payload {
    /// The description of `P`.
    pub(crate) const fn of<P: SoftClass>() -> Self {
        const {
            assert!(
                offset_of!(Object<P>, payload) == size_of::<Header>(),
                "the payload's alignment"
            )
        };
        Self {
            layout: Layout::new::<PayloadCell<P>>(),
            // SAFETY: called with the payload's address in fresh memory.
            empty: |payload| unsafe {
                payload.cast::<PayloadCell<P>>().write(PayloadCell::empty())
            },
            // SAFETY: called once, with the payload's address, after the last release.
            drop: |payload| unsafe { payload.cast::<PayloadCell<P>>().drop_in_place() },
        }
    }
}

/// A Rust type that is the payload of a class.
///
/// # Safety
///
/// `class` is the class that declares `Self` as its payload.
pub(crate) unsafe trait SoftClass: Send + Sync + Sized + 'static {
    /// The class.
    fn class() -> &'static ClassData;

    /// The object that a method keeps for one that was passed: itself, unless the class declares `kept as`.
    fn keep(object: &Object<Self>) -> Strong<Self> {
        object.retain()
    }

    /// The object of this class that is used in place of one that a compiler has laid out in another way; `None` for all
    /// others.
    ///
    /// # Safety
    ///
    /// It is an object, not nil.
    unsafe fn stand_in(_: Id) -> Option<&'static Object<Self>> {
        None
    }
}

/// # Safety
///
/// `object` is an object, and lives for `'a`.
unsafe fn header<'a>(object: Id) -> &'a Header {
    // SAFETY: the caller's; every object begins with a header.
    unsafe { &*object.as_ptr().cast() }
}

/// The class of an object.
///
/// # Safety
///
/// `object` is an object.
pub(crate) unsafe fn class_of(object: Id) -> &'static ClassData {
    // SAFETY: the caller's. An isa is a class, and classes live for ever.
    unsafe { &*header(object).isa.load(Relaxed) }
}

/// The memory layout of an object of `class`, instance variables included, and its payload.
fn layout(class: &'static ClassData) -> (Layout, Option<&'static Payload>) {
    let payload = class.payload().map(|(_, payload)| payload);
    let header = Layout::new::<Header>();
    let layout = payload.map_or(Ok(header), |payload| Ok(header.extend(payload.layout)?.0));
    let layout =
        layout.unwrap_or_else(|_: std::alloc::LayoutError| unreachable!("payloads are Rust types"));
    match class.instance_end() {
        0 => (layout, payload),
        end => (with_size(end.max(layout.size())), payload),
    }
}

/// The alignment of objects with instance variables, which is the largest that a variable may have.
pub(super) const VARIABLES_ALIGN: usize = 16;

/// The layout of an object with instance variables or extra bytes.
fn with_size(size: usize) -> Layout {
    Layout::from_size_align(size, VARIABLES_ALIGN)
        .unwrap_or_else(|_| fatal(format_args!("an object cannot have {size} bytes")))
}

/// The size of the objects of a class.
pub(super) fn instance_size(class: &'static ClassData) -> usize {
    layout(class).0.size()
}

/// Makes an object with one owner and an empty payload.
pub(super) fn allocate(class: &'static ClassData) -> Id {
    allocate_with(class, 0)
}

/// The same, with extra bytes after the instance variables. Variables and extra bytes are zero.
pub(super) fn allocate_with(class: &'static ClassData, extra: usize) -> Id {
    if class.kind != Kind::Counted {
        fatal(format_args!("+[{class} alloc]: objects of this class are not allocated"));
    }
    let (mut layout, payload) = layout(class);
    if extra != 0 {
        layout = with_size(layout.size().saturating_add(extra));
    }
    // SAFETY: the layout holds a header at least; the payload follows it.
    unsafe {
        let memory = spare::alloc(layout, extra + class.instance_end() != 0);
        if memory.is_null() {
            handle_alloc_error(layout);
        }
        memory.cast::<Header>().write(Header {
            isa: AtomicPtr::new(std::ptr::from_ref(class).cast_mut()),
            count: AtomicUsize::new(1),
        });
        if let Some(payload) = payload {
            (payload.empty)(memory.add(size_of::<Header>()));
        }
        let object = Id::from_ptr(memory.cast());
        if extra != 0 {
            side::set_extra(object, extra);
        }
        object
    }
}

/// Drops an object's payload and frees its memory: the implementation of NSObject's `dealloc`.
///
/// # Safety
///
/// `object` is a counted object, and is not used again.
pub(super) unsafe fn deallocate(object: Id) {
    // SAFETY: the caller's.
    let class = unsafe { class_of(object) };
    let (mut layout, payload) = layout(class);
    // SAFETY: the caller's.
    let extra = unsafe { side::forget(object) };
    if extra != 0 {
        layout = with_size(layout.size() + extra);
    }
    if let Some(payload) = payload {
        // SAFETY: `allocate` made an object of this class with this payload.
        unsafe { (payload.drop)(object.as_ptr().cast::<u8>().add(size_of::<Header>())) };
    }
    // SAFETY: `allocate` took the memory with this layout.
    unsafe { bury(object, layout, spare::free) }
}

/// Retains an object. Returns what is then owned: for a block on the stack, the copy.
///
/// # Safety
///
/// `object` is nil or an object.
pub(super) unsafe fn retain(object: Id) -> Id {
    if object.is_nil() {
        return object;
    }
    // SAFETY: the caller's.
    let (header, class) = unsafe { (header(object), class_of(object)) };
    if class.kind == Kind::Counted && header.count.fetch_add(1, Relaxed) <= isize::MAX as usize {
        return object;
    }
    // SAFETY: the caller's.
    unsafe { retain_other(object, class) }
}

/// Retains what is not a counted object with an owner. Apart from [`retain`], which is compiled into its callers.
///
/// # Safety
///
/// `object` is an object of the class.
#[cold]
#[inline(never)]
unsafe fn retain_other(object: Id, class: &ClassData) -> Id {
    match class.kind {
        Kind::Counted => {
            fatal(format_args!("-[{class} retain]: too many owners of {:p}", object.as_ptr()))
        }
        Kind::Immortal => object,
        // SAFETY: the object is a block.
        Kind::Block => Id::from_ptr(unsafe { block::copy(object.as_ptr().cast()) }),
        // SAFETY: the object is a zombie.
        Kind::Zombie => unsafe { sent_to_zombie(object, known::retain()) },
    }
}

/// Retains an object unless it is being deallocated. Returns whether it did.
///
/// # Safety
///
/// `object` is an object whose memory has not been freed.
pub(super) unsafe fn retain_alive(object: Id) -> bool {
    // SAFETY: the caller's.
    let (header, class) = unsafe { (header(object), class_of(object)) };
    let more = |count| (1..DEALLOCATING / 2).contains(&count).then_some(count + 1);
    match class.kind {
        Kind::Counted => header.count.fetch_update(Acquire, Relaxed, more).is_ok(),
        Kind::Immortal => true,
        // SAFETY: the object is a block.
        Kind::Block => unsafe { block::retain_alive(object.as_ptr().cast()) },
        // SAFETY: the object is a zombie.
        Kind::Zombie => unsafe { sent_to_zombie(object, known::retain()) },
    }
}

/// Sets the class of an object, of which objects have the same size. Returns the old one.
///
/// # Safety
///
/// `object` is an object, and its memory fits the class.
pub(super) unsafe fn set_class(object: Id, class: &'static ClassData) -> &'static ClassData {
    let new = std::ptr::from_ref(class).cast_mut();
    // SAFETY: the caller's. An isa is a class, and classes live for ever.
    unsafe { &*header(object).isa.swap(new, Relaxed) }
}

/// Releases an object. The last release deallocates it.
///
/// # Safety
///
/// `object` is nil or an object that the caller owns.
pub(super) unsafe fn release(object: Id) {
    if object.is_nil() {
        return;
    }
    // SAFETY: the caller's.
    let (header, class) = unsafe { (header(object), class_of(object)) };
    let counted = class.kind == Kind::Counted;
    let owners = if counted { header.count.fetch_sub(1, Release) } else { 0 };
    if owners <= 1 {
        // SAFETY: the caller's.
        unsafe { release_last(object, class, owners) }
    }
}

/// Deallocates a counted object that had one of its owners or none, and releases other objects. Apart from [`release`],
/// which is compiled into its callers.
///
/// # Safety
///
/// `object` is an object of the class, whose owner has released it.
#[inline(never)]
unsafe fn release_last(object: Id, class: &ClassData, owners: usize) {
    match class.kind {
        Kind::Counted => match owners {
            0 => fatal(format_args!(
                "-[{class} release]: {:p} was released more often than retained",
                object.as_ptr()
            )),
            _ => {
                // All uses of the object by other threads happen before it is deallocated.
                fence(Acquire);
                // SAFETY: this was the last owner.
                unsafe {
                    header(object).count.store(DEALLOCATING, Relaxed);
                    deallocate::deallocate(object);
                }
            }
        },
        Kind::Immortal => {}
        // SAFETY: the object is a block.
        Kind::Block => unsafe { block::release(object.as_ptr().cast()) },
        // SAFETY: the object is a zombie.
        Kind::Zombie => unsafe { sent_to_zombie(object, known::release()) },
    }
}

/// The reference count, for messages and tests.
///
/// # Safety
///
/// `object` is an object.
pub(super) unsafe fn retain_count(object: Id) -> usize {
    // SAFETY: the caller's.
    match unsafe { class_of(object) }.kind {
        // SAFETY: as above.
        Kind::Counted => unsafe { header(object) }.count.load(Relaxed),
        _ => 1,
    }
}

soft_class! {
    /// The class of freed objects. Its cache stays empty: every message misses it and is reported then.
    pub(super) class Zombie: NSObject, kind Zombie;
}

/// How many freed objects, and how many bytes of them, stay allocated to be recognised.
const ZOMBIES: usize = 4096;
const ZOMBIE_BYTES: usize = 1 << 20;

/// Frees memory of a layout.
pub(super) type Free = unsafe fn(*mut u8, Layout);

#[derive(Default)]
pub(super) struct Graveyard {
    bytes: usize,
    graves: VecDeque<(Id, Layout, Free)>,
}

static GRAVEYARD: Mutex<Graveyard> = Mutex::new(Graveyard { bytes: 0, graves: VecDeque::new() });

/// The graveyard, locked.
pub(super) fn graveyard() -> MutexGuard<'static, Graveyard> {
    fork::lock(&GRAVEYARD)
}

/// Frees an object's memory: at once in release builds, after some thousand others in debug builds,
/// so that a message to it is recognised.
///
/// # Safety
///
/// `object` was allocated with this layout for `free`, is at least as large as a header, and is not used again.
pub(super) unsafe fn bury(object: Id, layout: Layout, free: Free) {
    if !cfg!(debug_assertions) {
        // SAFETY: the caller's.
        return unsafe { free(object.as_ptr().cast(), layout) };
    }
    // SAFETY: the memory is still allocated and not shared.
    let (header, class) = unsafe { (header(object), class_of(object)) };
    header.count.store(std::ptr::from_ref(class).expose_provenance(), Relaxed);
    header.isa.store((&raw const Zombie.class).cast_mut(), Release);
    let mut graveyard = graveyard();
    graveyard.bytes += layout.size();
    graveyard.graves.push_back((object, layout, free));
    while graveyard.graves.len() > ZOMBIES || graveyard.bytes > ZOMBIE_BYTES {
        let Some((object, layout, free)) = graveyard.graves.pop_front() else { break };
        graveyard.bytes -= layout.size();
        // SAFETY: it was buried with this layout, once.
        unsafe { free(object.as_ptr().cast(), layout) };
    }
}

/// Ends a program that uses an object after it was freed.
///
/// # Safety
///
/// `object` is of the zombies' class.
pub(super) unsafe fn sent_to_zombie(object: Id, selector: Sel) -> ! {
    // SAFETY: the caller's; `bury` has put the class where the count was.
    let class: &'static ClassData =
        unsafe { &*std::ptr::with_exposed_provenance(header(object).count.load(Relaxed)) };
    let method = MethodName::new(class, selector);
    fatal(format_args!("{method}: message sent to deallocated instance {:p}", object.as_ptr()))
}

impl<P: SoftClass> Object<P> {
    /// The object as one of ours, if it is: of the class that declares `P`, or of a subclass that
    /// has no payload of its own. None for nil.
    ///
    /// # Safety
    ///
    /// `object` is nil or an object, and lives for `'a`.
    pub(crate) unsafe fn from_id<'a>(object: Id) -> Option<&'a Self> {
        if object.is_nil() {
            return None;
        }
        // SAFETY: the caller's.
        unsafe { Self::from_receiver(object) }
    }

    /// The same for the receiver of a message, which is not nil.
    ///
    /// # Safety
    ///
    /// `object` is an object, and lives for `'a`.
    pub(super) unsafe fn from_receiver<'a>(object: Id) -> Option<&'a Self> {
        // SAFETY: the caller's.
        let class = unsafe { class_of(object) };
        match std::ptr::eq(class, P::class()) || class.has_payload_of(P::class()) {
            // SAFETY: objects of this class were allocated with `P` as their payload.
            true => Some(unsafe { &*object.as_ptr().cast() }),
            // SAFETY: the caller's.
            false => unsafe { P::stand_in(object) },
        }
    }

    pub(crate) fn id(&self) -> Id {
        Id::from_ptr(std::ptr::from_ref(self).cast_mut().cast())
    }

    /// The payload, unless the object has been allocated only.
    pub(super) fn payload(&self) -> Option<&P> {
        self.payload.get()
    }

    /// Changes the payload, if it has been filled.
    ///
    /// # Safety
    ///
    /// No reference to the payload is in use, in this thread or another.
    pub(crate) unsafe fn change<R>(&self, change: impl FnOnce(&mut P) -> R) -> Option<R> {
        // SAFETY: the caller's.
        unsafe { self.payload.change(change) }
    }

    /// Fills the payload. False when it was full.
    pub(super) fn fill(&self, payload: P) -> bool {
        self.payload.fill(payload)
    }

    /// Retains the object.
    pub(crate) fn retain(&self) -> Strong<P> {
        // SAFETY: a reference to an object keeps it alive.
        let object = unsafe { Retained::retain(self.id()) }.expect("not nil");
        Strong { object, class: PhantomData }
    }
}

/// Ends a program that uses an object between `alloc` and `init`.
#[cold]
fn not_initialised(class: &ClassData, object: Id) -> ! {
    fatal(format_args!(
        "an object of class {class} was used before it was initialised: {:p}",
        object.as_ptr()
    ))
}

impl<P: SoftClass> Deref for Object<P> {
    type Target = P;

    fn deref(&self) -> &P {
        match self.payload() {
            Some(payload) => payload,
            None => not_initialised(P::class(), self.id()),
        }
    }
}

/// An owned object of any class, passed as its address.
#[repr(transparent)]
pub(crate) struct Retained(Id);

// SAFETY: counts are atomic, and the payloads of our classes are Send and Sync. What objects of other
// classes allow, code that shares them between threads must know, as in Objective-C.
unsafe impl Send for Retained {}
// SAFETY: as above.
unsafe impl Sync for Retained {}

impl Retained {
    /// Takes over an owned object; none for nil.
    ///
    /// # Safety
    ///
    /// `object` is nil or an object that the caller owns and passes ownership of.
    pub(crate) unsafe fn from_owned(object: Id) -> Option<Self> {
        (!object.is_nil()).then_some(Self(object))
    }

    /// Retains an object; none for nil.
    ///
    /// # Safety
    ///
    /// `object` is nil or an object.
    pub(crate) unsafe fn retain(object: Id) -> Option<Self> {
        // SAFETY: the caller's.
        unsafe { Self::from_owned(retain(object)) }
    }

    /// Retains an object unless it is being deallocated; none then, and for nil.
    ///
    /// # Safety
    ///
    /// `object` is nil or an object whose memory has not been freed.
    pub(crate) unsafe fn retain_alive(object: Id) -> Option<Self> {
        // SAFETY: the caller's.
        (!object.is_nil() && unsafe { retain_alive(object) }).then_some(Self(object))
    }

    pub(crate) fn id(&self) -> Id {
        self.0
    }

    /// Passes ownership to the caller.
    pub(crate) fn into_owned(self) -> Id {
        ManuallyDrop::new(self).0
    }
}

impl Clone for Retained {
    fn clone(&self) -> Self {
        // SAFETY: an owned object is alive.
        Self(unsafe { retain(self.0) })
    }
}

impl Drop for Retained {
    fn drop(&mut self) {
        // SAFETY: the object is owned, and is not used by this owner again.
        unsafe { release(self.0) }
    }
}

impl fmt::Debug for Retained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: an owned object is alive.
        write!(f, "<{}: {:p}>", unsafe { class_of(self.0) }, self.0.as_ptr())
    }
}

/// An owned object of the class whose payload is `P`.
pub(crate) struct Strong<P> {
    object: Retained,
    class: PhantomData<P>,
}

impl<P: SoftClass> Strong<P> {
    /// A new object.
    pub(crate) fn new(payload: P) -> Self {
        let id = allocate(P::class());
        // SAFETY: it is new, of the class of `P`, and owned here; no one else knows it yet.
        let object = unsafe {
            (&raw mut (*id.as_ptr().cast::<Object<P>>()).payload).write(PayloadCell::full(payload));
            Retained::from_owned(id).expect("not nil")
        };
        Self { object, class: PhantomData }
    }

    /// A new object of a subclass that has no payload of its own.
    pub(crate) fn of_class(class: &'static ClassPair, payload: P) -> Self {
        let id = allocate(&class.class);
        // SAFETY: it is new, and owned here.
        let (object, retained) = unsafe { (Object::<P>::from_id(id), Retained::from_owned(id)) };
        match (object, retained) {
            (Some(object), Some(retained)) => {
                object.fill(payload);
                Self { object: retained, class: PhantomData }
            }
            _ => fatal(format_args!("+[{} alloc]: no subclass of {}", class.class, P::class())),
        }
    }

    /// Forgets the payload's type.
    pub(crate) fn into_retained(self) -> Retained {
        self.object
    }
}

impl<P> Clone for Strong<P> {
    fn clone(&self) -> Self {
        Self { object: self.object.clone(), class: PhantomData }
    }
}

impl<P: SoftClass> Deref for Strong<P> {
    type Target = Object<P>;

    fn deref(&self) -> &Object<P> {
        // SAFETY: the object is owned, and of the class of `P`.
        unsafe { &*self.object.0.as_ptr().cast() }
    }
}

impl<P> fmt::Debug for Strong<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.object.fmt(f)
    }
}

/// The object that stands for one with a layout of its own, by the key of that. It is made once, and lives for ever.
#[cfg(feature = "export")]
pub(crate) fn stand_in<P: SoftClass>(
    key: [usize; 3],
    make: impl FnOnce() -> Strong<P>,
) -> &'static Object<P> {
    use super::lock::{Guarded, Lock};
    use std::collections::BTreeMap;

    static ALL: Guarded<BTreeMap<[usize; 3], Id>> = Guarded::new(BTreeMap::new());
    let known = ALL.get(&Lock::take()).get(&key).copied();
    let object = known.unwrap_or_else(|| {
        // Another thread may be the first: making takes the lock, too.
        let made = make();
        let object = *ALL.get_mut(&mut Lock::take()).entry(key).or_insert(made.id());
        if object == made.id() {
            _ = made.into_retained().into_owned();
        }
        object
    });
    // SAFETY: the payload of an object in the table is a `P`: the key has the address of the one that it stands for.
    unsafe { &*object.as_ptr().cast() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the count, an object that has no owner any more is not retained.
    #[test]
    fn an_object_without_owners_is_not_retained() {
        let object = allocate(&NSObject.class);
        // SAFETY: the object is there, and its count is set back before it is released.
        unsafe {
            let count = &header(object).count;
            for (value, retained) in
                [(0, false), (1, true), (DEALLOCATING, false), (DEALLOCATING + 1, false)]
            {
                count.store(value, Relaxed);
                assert_eq!(retain_alive(object), retained, "{value}");
                assert_eq!(count.load(Relaxed), value + usize::from(retained));
            }
            assert!(Retained::retain_alive(Id::NIL).is_none());
            count.store(1, Relaxed);
            release(object);
        }
    }
}
