//! IMP tables by class, for objects of one kind that may have different classes.

use crate::abi::Id;
use std::fmt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A table that [`imp_table!`](crate::imp_table) has declared.
///
/// # Safety
///
/// The functions are those of the class that `matches` compares with.
///
/// ```
/// use aruminium::{encoder::EncoderImps, objc::ImpTable};
/// fn words<T: ImpTable>() -> usize {
///     size_of::<T>() / size_of::<usize>()
/// }
/// assert!(words::<EncoderImps>() > 20, "a function and a selector for each method");
/// ```
pub unsafe trait ImpTable: Copy {
    /// Looks up the functions of the object's class.
    ///
    /// # Safety
    ///
    /// `object` is a live object that responds to the table's selectors with the declared types.
    unsafe fn resolve(object: Id) -> Self;

    /// Whether the object is of the class that the table was resolved from.
    ///
    /// # Safety
    ///
    /// `object` is nil or a live object.
    unsafe fn matches(&self, object: Id) -> bool;
}

/// The tables of all classes seen so far, the latest first.
///
/// A look-up compares the object's class with that of the first table, which is the right one unless a debugging or
/// capturing layer changes classes. Tables are added without a lock and live as long as the list.
///
/// ```
/// use aruminium::{Gpu, command::QueueImps, objc::ImpTables};
/// let queue = Gpu::open()?.new_command_queue()?;
/// let tables = ImpTables::<QueueImps>::new();
/// // SAFETY: the queue is alive, and the table is that of its class.
/// unsafe {
///     let commands = tables.of(queue.as_raw()).commands(queue.as_raw())?;
///     commands.submit();
/// }
/// # Ok::<(), aruminium::GpuError>(())
/// ```
pub struct ImpTables<T> {
    first: AtomicPtr<Node<T>>,
}

struct Node<T> {
    table: T,
    next: *mut Node<T>,
}

// SAFETY: nodes are only added, by compare-and-swap, and never changed while they can be reached.
unsafe impl<T: Send + Sync> Send for ImpTables<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for ImpTables<T> {}

impl<T: ImpTable> ImpTables<T> {
    /// No tables.
    pub const fn new() -> Self {
        Self { first: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The table of the object's class, resolved now if the class is new.
    ///
    /// # Safety
    ///
    /// As for [`ImpTable::resolve`].
    #[inline]
    pub unsafe fn of(&self, object: Id) -> &T {
        // SAFETY: a pointer that is not null is to a node that lives as long as `self`; the rest is
        // passed on to the caller.
        unsafe {
            match self.first.load(Ordering::Acquire).as_ref() {
                Some(node) if node.table.matches(object) => &node.table,
                _ => self.find_or_add(object),
            }
        }
    }

    #[cold]
    unsafe fn find_or_add(&self, object: Id) -> &T {
        let mut first = self.first.load(Ordering::Acquire);
        // SAFETY: as in `of`. A node becomes reachable only when it is complete.
        unsafe {
            let mut at = first;
            while let Some(node) = at.as_ref() {
                if node.table.matches(object) {
                    return &node.table;
                }
                at = node.next;
            }
            let node = Box::into_raw(Box::new(Node { table: T::resolve(object), next: first }));
            while let Err(now) =
                self.first.compare_exchange_weak(first, node, Ordering::AcqRel, Ordering::Acquire)
            {
                // Another thread added a table, perhaps the same one: a duplicate does no harm.
                first = now;
                (*node).next = now;
            }
            &(*node).table
        }
    }
}

impl<T: ImpTable> Default for ImpTables<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for ImpTables<T> {
    fn drop(&mut self) {
        let mut at = *self.first.get_mut();
        while !at.is_null() {
            // SAFETY: every node was boxed in `find_or_add`, and is no longer reachable.
            let node = unsafe { Box::from_raw(at) };
            at = node.next;
        }
    }
}

impl<T> fmt::Debug for ImpTables<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ImpTables")
    }
}
