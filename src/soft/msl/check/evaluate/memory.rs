//! State that the evaluations of one program share: their limit of steps, and results that are needed again.

use super::item::Item;
use crate::soft::ir::hash::FastMap;
use crate::soft::msl::check::constant::{Evaluated, MAX_STEPS_IN_ALL};
use crate::soft::msl::hir::{GlobalIndex, InstanceIndex};

/// A call that took fewer steps is not remembered.
const LONG: u32 = 64;
/// The most items in all results and arguments that are remembered.
const MAX_ITEMS: u32 = 1 << 20;

/// The steps of all evaluations of a program, and results of calls and initialisers.
#[derive(Debug, Default)]
pub(crate) struct Evaluations {
    steps: u32,
    /// By function and arguments. A function reads and writes nothing else that may change, unless it is passed an address.
    calls: FastMap<(InstanceIndex, Vec<Item>), Item>,
    /// By variable and the path to the part that one expression initialises.
    globals: FastMap<(GlobalIndex, Vec<u32>), Item>,
    items: u32,
}

impl Evaluations {
    pub(super) fn steps_left(&self) -> u32 {
        MAX_STEPS_IN_ALL.saturating_sub(self.steps)
    }

    pub(super) fn spend(&mut self, steps: u32) {
        self.steps = self.steps.saturating_add(steps);
    }

    pub(super) fn call(&self, call: &(InstanceIndex, Vec<Item>)) -> Option<Item> {
        self.calls.get(call).cloned()
    }

    /// Remembers the result of a call that took a number of steps.
    pub(super) fn remember_call(
        &mut self,
        call: (InstanceIndex, Vec<Item>),
        steps: u32,
        result: &Item,
    ) {
        let arguments = call.1.iter().map(|one| one.parts() + 1).sum::<u32>();
        if steps >= LONG && self.has_room(arguments.saturating_add(result.parts())) {
            self.calls.insert(call, result.clone());
        }
    }

    /// A part of what an expression initialises, if that is known.
    pub(super) fn global_part(
        &self,
        global: GlobalIndex,
        above: &[u32],
        part: &[u32],
    ) -> Option<Evaluated<Item>> {
        let whole = self.globals.get(&(global, above.to_vec()))?;
        Some(whole.at(part).cloned())
    }

    pub(super) fn remember_global(&mut self, global: GlobalIndex, above: &[u32], whole: Item) {
        if self.has_room(whole.parts()) {
            self.globals.insert((global, above.to_vec()), whole);
        }
    }

    fn has_room(&mut self, items: u32) -> bool {
        let sum = self.items.saturating_add(items).saturating_add(1);
        let fits = sum <= MAX_ITEMS;
        if fits {
            self.items = sum;
        }
        fits
    }
}
