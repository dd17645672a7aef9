//! Data that few objects have, and that is therefore not stored in them: weak references to the object, associated objects, extra bytes.
//!
//! It is in a table by the object's address, and removed when the object is deallocated. Until the first
//! entry is made, deallocation does not look into the table.

use super::block;
use super::class::Kind;
use super::object::{self, Retained, class_of};
use crate::abi::Id;
use crate::soft::fork;
use crate::soft::sorted::SortedMap;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Mutex, MutexGuard};

/// The table's entry for an object.
#[derive(Default)]
pub(super) struct Side {
    /// The addresses of the variables that refer to the object.
    weak: Vec<usize>,
    associated: SortedMap<usize, Associated>,
    extra: usize,
}

/// An associated object.
enum Associated {
    Owned(Retained),
    /// Not retained: the program keeps it alive.
    Unowned(Id),
}

/// The entries by the address of their object.
pub(super) type Sides = BTreeMap<usize, Side>;

static SIDES: Mutex<Sides> = Mutex::new(BTreeMap::new());
/// Whether the table ever had an entry. A thread that makes one owns the object, so the thread that later
/// deallocates the object sees the flag: releasing orders the two.
static USED: AtomicBool = AtomicBool::new(false);

/// The table, locked.
pub(super) fn sides() -> MutexGuard<'static, Sides> {
    fork::lock(&SIDES)
}

fn side(sides: &mut Sides, object: Id) -> &mut Side {
    USED.store(true, Relaxed);
    sides.entry(object.as_ptr().addr()).or_default()
}

/// Records that an object has extra bytes.
pub(super) fn set_extra(object: Id, extra: usize) {
    side(&mut sides(), object).extra = extra;
}

/// Removes the entries of an object that is being deallocated: weak references to it become nil,
/// associated objects are released. Returns the number of its extra bytes.
///
/// # Safety
///
/// `object` is being deallocated. The variables that refer to it weakly exist.
pub(super) unsafe fn forget(object: Id) -> usize {
    if !USED.load(Relaxed) {
        return 0;
    }
    let mut sides = sides();
    let Some(side) = sides.remove(&object.as_ptr().addr()) else { return 0 };
    for variable in side.weak {
        // SAFETY: the caller's; the table is locked, as for every access to a weak variable.
        unsafe { *std::ptr::with_exposed_provenance_mut::<Id>(variable) = Id::NIL }
    }
    // Releasing runs other code, which may use the table.
    drop(sides);
    drop(side.associated);
    side.extra
}

/// Whether weak references to an object are in the table: it can be deallocated.
///
/// # Safety
///
/// `object` is an object.
unsafe fn is_tracked(object: Id) -> bool {
    // SAFETY: the caller's.
    unsafe {
        match class_of(object).kind {
            Kind::Counted | Kind::Zombie => true,
            Kind::Immortal => false,
            Kind::Block => block::is_copied(object.as_ptr().cast()),
        }
    }
}

/// Makes a variable refer to nothing.
///
/// # Safety
///
/// The variable was made by [`store_weak`] or is nil.
unsafe fn clear_weak(variable: *mut Id, sides: &mut Sides) {
    // SAFETY: the caller's.
    let old = unsafe { std::mem::replace(&mut *variable, Id::NIL) };
    let at = old.as_ptr().addr();
    if let Some(side) = sides.get_mut(&at) {
        side.weak.retain(|other| *other != variable.addr());
        if side.weak.is_empty() && side.associated.is_empty() && side.extra == 0 {
            sides.remove(&at);
        }
    }
}

/// Makes a weak variable refer to another object; to nothing if that is being deallocated. Returns what it
/// refers to. `new` says that the variable has no value yet.
///
/// # Safety
///
/// `object` is nil or an object; unless it is new, the variable was made here.
pub(super) unsafe fn store_weak(variable: *mut Id, object: Id, new: bool) -> Id {
    // The count is raised while the table is locked, so that the object is not deallocated before it is in.
    // SAFETY: the caller's.
    let owned = unsafe { Retained::retain_alive(object) };
    let object = owned.as_ref().map_or(Id::NIL, Retained::id);
    let mut sides = sides();
    // SAFETY: the caller's.
    unsafe {
        if !new {
            clear_weak(variable, &mut sides);
        }
        *variable = object;
        if !object.is_nil() && is_tracked(object) {
            side(&mut sides, object).weak.push(variable.expose_provenance());
        }
    }
    drop(sides);
    object
}

/// The object that a weak variable refers to, retained; nil when it has been or is being deallocated.
///
/// # Safety
///
/// The variable was made by [`store_weak`].
pub(super) unsafe fn load_weak(variable: *mut Id) -> Id {
    let sides = sides();
    // SAFETY: the caller's. An object is not freed before its variables are nil, for which the lock is needed.
    let owned = unsafe { Retained::retain_alive(*variable) };
    drop(sides);
    owned.map_or(Id::NIL, Retained::into_owned)
}

/// Ends the life of a weak variable.
///
/// # Safety
///
/// The variable was made by [`store_weak`].
pub(super) unsafe fn destroy_weak(variable: *mut Id) {
    // SAFETY: the caller's.
    unsafe { clear_weak(variable, &mut sides()) }
}

/// Associates an object, which is owned from now on unless `owned` is not set; nil ends the association.
///
/// # Safety
///
/// `object` is an object, `value` nil or an object.
pub(super) unsafe fn associate(object: Id, key: *const c_void, value: Id, owned: bool) {
    let value = match owned {
        // SAFETY: the caller's.
        true => unsafe { Retained::retain(value) }.map(Associated::Owned),
        false => (!value.is_nil()).then_some(Associated::Unowned(value)),
    };
    let mut sides = sides();
    let old = match value {
        Some(value) => side(&mut sides, object).associated.insert(key.addr(), value),
        None => sides
            .get_mut(&object.as_ptr().addr())
            .and_then(|side| side.associated.remove(&key.addr())),
    };
    // Releasing the old one runs other code, which may use the table.
    drop(sides);
    drop(old);
}

/// The associated object, and whether it was retained for the caller.
pub(super) fn associated(object: Id, key: *const c_void) -> (Id, bool) {
    let sides = sides();
    match sides.get(&object.as_ptr().addr()).and_then(|side| side.associated.get(&key.addr())) {
        Some(Associated::Owned(value)) => (value.clone().into_owned(), true),
        Some(Associated::Unowned(value)) => (*value, false),
        None => (Id::NIL, false),
    }
}

/// Ends all associations of an object.
pub(super) fn remove_associated(object: Id) {
    let mut sides = sides();
    let old =
        sides.get_mut(&object.as_ptr().addr()).map(|side| std::mem::take(&mut side.associated));
    drop(sides);
    drop(old);
}

/// Where the extra bytes of an object begin.
///
/// # Safety
///
/// `object` is an object.
pub(super) unsafe fn extra_of(object: Id) -> *mut c_void {
    // SAFETY: the caller's. The bytes follow the object's own.
    unsafe {
        let size = object::instance_size(class_of(object));
        object.as_ptr().cast::<u8>().add(size).cast()
    }
}
