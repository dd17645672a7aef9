//! The passes that prepare a kernel for a GPU: calls inlined, scalar arithmetic, memory accessed in vectors.
//! NVIDIA's assembler does what is left: it schedules, allocates registers, and removes bounds checks that repeat.

use crate::soft::ir::Checks;
use crate::soft::ir::passes::{EXPANDED, Pipeline, SCALAR, adjacent, inline, once};

/// The passes, in order.
pub(super) const PIPELINE: Pipeline = Pipeline {
    checks: Checks::NONE,
    calls: inline::Calls::NONE,
    first: &[SCALAR, &once(adjacent::four)],
    expanded: EXPANDED,
};
