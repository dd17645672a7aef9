//! The passes that prepare a kernel for this back end: scalar arithmetic only, few memory accesses, short branches as selects.

use crate::soft::ir::Checks;
use crate::soft::ir::passes::{EXPANDED, ONCE, Pipeline, SCALAR, inline, step};

/// The passes, in order.
pub(super) const PIPELINE: Pipeline = Pipeline {
    checks: Checks::NONE,
    // An interpreted call costs about ten instructions.
    calls: inline::Calls { small: 1 << 15, short: 128, few: 2 },
    first: &[SCALAR, &[("step", step::run)], ONCE],
    expanded: EXPANDED,
};
