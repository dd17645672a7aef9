//! Cells that were returned while a command buffer may use them.

use super::record::Record;
use crate::usage::Epoch;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// The indices of such cells, each with the time of its return. It is not known while a command buffer that may use
/// the cell is encoded and not submitted. Command buffers that are submitted later do not use the cell.
///
/// A grid is lock-free as long as there are none: then nothing here takes the lock.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Whether there are any.
    any: AtomicBool,
    cells: Mutex<Vec<(usize, Option<Epoch>)>>,
}

impl Waiting {
    /// Takes a cell that is returned, if a command buffer may use it.
    #[inline(never)]
    pub(super) fn takes(&self, record: &Record, index: usize) -> bool {
        // In this order: another thread may submit what is encoded between the two.
        let encoded = record.may_be_encoded();
        let uses = encoded || record.usage().is_in_flight();
        if uses {
            let returned = (!encoded).then(Epoch::now);
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            cells.push((index, returned));
            self.any.store(true, Ordering::Release);
        }
        uses
    }

    /// Calls the closure for each cell that no command buffer uses any more.
    #[cold]
    #[inline(never)]
    pub(super) fn settle(&self, record: &Record, mut free: impl FnMut(usize)) {
        // A cell that another thread returns meanwhile is found by the next call.
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        if cells.iter().any(|(_, returned)| returned.is_none()) && !record.may_be_encoded() {
            let now = Epoch::now();
            cells.iter_mut().for_each(|(_, returned)| _ = returned.get_or_insert(now));
        }
        cells.retain(|&(index, returned)| {
            let waits =
                returned.is_none_or(|returned| record.usage().is_in_flight_before(returned));
            if !waits {
                free(index);
            }
            waits
        });
        self.any.store(!cells.is_empty(), Ordering::Release);
    }
}
