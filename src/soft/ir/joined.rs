//! Loads that became components of one: what a fault reports of them.

use std::sync::Arc;

use super::Span;

/// The loads that an [`Op::Load`](super::Op::Load) of a vector replaces, in the order of the program: the component that each
/// became, and its position in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JoinedLoads(Arc<[(u32, Span)]>);

impl JoinedLoads {
    /// Those loads.
    pub(crate) fn new(in_order: impl IntoIterator<Item = (u32, Span)>) -> Self {
        Self(in_order.into_iter().collect())
    }

    /// How many they are.
    pub(crate) fn len(&self) -> u32 {
        self.0.len() as u32
    }

    /// The load that the program does first of those that do not lie in the first `end` bytes of memory: its offset and its position
    /// in the source. The vector begins at `start`, and its scalars have `bytes` bytes.
    pub(crate) fn first_outside(&self, start: i64, bytes: u32, end: u64) -> (i64, Span) {
        let loads = self.0.iter().map(|&(component, span)| {
            (start.wrapping_add(i64::from(component) * i64::from(bytes)), span)
        });
        let fits = |offset| u64::try_from(offset).is_ok_and(|at| at + u64::from(bytes) <= end);
        // If each fits, offsets wrapped around 2^64 between two lanes that were checked together: report the first load.
        let outside = loads.clone().find(|&(offset, _)| !fits(offset));
        outside.or_else(|| loads.clone().next()).unwrap_or((start, Span::default()))
    }

    /// Whether each component of a vector of `width` is one of the loads.
    pub(super) fn covers(&self, width: u32) -> bool {
        let loads = |component| self.0.iter().filter(|load| load.0 == component).count();
        self.len() == width && (0..width).all(|component| loads(component) == 1)
    }
}
