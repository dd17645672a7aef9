//! Recursion (MSL 1.5.4): which functions call themselves, directly or through others.

use super::State;
use crate::soft::ir::hash::FastMap;
use crate::soft::msl::hir::InstanceIndex;

/// The functions in cycles of calls, and the number of each one's group: those of a group call each other. These are the strongly
/// connected components of the graph of calls, by Gabow's algorithm.
pub(super) fn groups(
    bodies: &FastMap<InstanceIndex, State>,
    start: InstanceIndex,
) -> FastMap<InstanceIndex, u32> {
    let callees = |index: InstanceIndex| -> Vec<InstanceIndex> {
        match bodies.get(&index) {
            Some(State::Checked(function)) => function.uses.functions.iter().copied().collect(),
            _ => Vec::new(),
        }
    };
    let mut found = FastMap::default();
    // The order in which functions are reached; `usize::MAX` once their group is known.
    let mut numbers: FastMap<InstanceIndex, usize> = FastMap::default();
    // The functions without a group yet, and the numbers of those that may be the first of one.
    let (mut open, mut firsts) = (Vec::new(), Vec::new());
    let mut active: Vec<(InstanceIndex, Vec<InstanceIndex>)> = Vec::new();
    let mut next = Some(start);
    loop {
        if let Some(index) = next.take() {
            let number = numbers.len();
            numbers.insert(index, number);
            open.push(index);
            firsts.push(number);
            active.push((index, callees(index)));
        }
        let Some((index, left)) = active.last_mut() else { return found };
        let index = *index;
        if let Some(callee) = left.pop() {
            match numbers.get(&callee) {
                None => next = Some(callee),
                Some(&number) => {
                    while number != usize::MAX && firsts.last().is_some_and(|&last| last > number) {
                        firsts.pop();
                    }
                }
            }
            continue;
        }
        active.pop();
        if firsts.last() != numbers.get(&index) {
            continue;
        }
        firsts.pop();
        let at = open.iter().rposition(|&one| one == index).unwrap_or_default();
        let group = open.split_off(at);
        let cycle = group.len() > 1 || callees(index).contains(&index);
        for one in group {
            numbers.insert(one, usize::MAX);
            if cycle {
                found.insert(one, index.0);
            }
        }
    }
}
