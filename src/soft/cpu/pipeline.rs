//! The passes that prepare a kernel for this back end: scalar arithmetic only, few memory accesses, short branches as selects.

use crate::soft::ir::Checks;
use crate::soft::ir::passes::{
    EXPANDED, Pipeline, SCALAR, adjacent, broadcast, inline, once, step,
};

/// The passes, in order.
pub(super) const PIPELINE: Pipeline = Pipeline {
    checks: Checks::NONE,
    // An interpreted call costs about ten instructions.
    calls: inline::Calls { small: 1 << 15, short: 128, few: 2 },
    first: &[
        SCALAR,
        &[("step", step::run), ("broadcast", broadcast::run)],
        &once(adjacent::sixteen_bytes),
    ],
    expanded: EXPANDED,
};
