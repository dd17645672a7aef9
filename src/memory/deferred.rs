//! Cells that were returned while a command buffer may use them.

use super::record::Record;
use crate::usage::Epoch;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// The indices of such cells, each with the time of its return. Command buffers that begin to use the grid's memory later
/// do not use the cell.
///
/// A grid is lock-free as long as there are none: then nothing here takes the lock.
#[derive(Debug, Default)]
pub(super) struct DeferredCells {
    /// Whether there are any.
    any: AtomicBool,
    cells: Mutex<Vec<(usize, Epoch)>>,
}

impl DeferredCells {
    /// Takes a cell that is returned, if a command buffer may use it.
    #[inline(never)]
    pub(super) fn defer_if_used(&self, record: &Record, index: usize) -> bool {
        // In this order: another thread may submit what is encoded between the two.
        let uses = record.may_be_encoded() || record.usage().is_in_flight();
        if uses {
            Epoch::end();
            let returned = Epoch::now();
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            cells.push((index, returned));
            self.any.store(true, Ordering::Release);
        }
        uses
    }

    /// Calls the closure for each cell that no command buffer uses any more.
    #[cold]
    #[inline(never)]
    pub(super) fn release_unused(&self, record: &Record, mut free: impl FnMut(usize)) {
        // A cell that another thread returns meanwhile is found by the next call.
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.retain(|&(index, returned)| {
            let waits = record.usage().is_used_before(returned);
            if !waits {
                free(index);
            }
            waits
        });
        self.any.store(!cells.is_empty(), Ordering::Release);
    }
}
