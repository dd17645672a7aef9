//! The passes that prepare a kernel for a GPU: calls inlined, scalar arithmetic, memory accessed in vectors.
//! NVIDIA's assembler does what is left: it schedules, allocates registers, and removes bounds checks that repeat.

use crate::soft::ir::Checks;
use crate::soft::ir::passes::{
    EXPANDED, Pass, Pipeline, SCALAR, adjacent, dead, inline, invariant, once, unroll,
};

/// For loops that were too long before arrays became variables. Those that are partially unrolled have fewer tests.
pub(super) const UNROLLED: &[Pass] = &[
    ("dead scalar", dead::run),
    ("unroll scalar", unroll::run),
    ("unroll partially", unroll::partial),
];

/// The limits of loops are computed before them.
const LIMITS: &[Pass] = &[("invariant loads", invariant::with_loads)];

/// The passes, in order.
pub(super) const PIPELINE: Pipeline = Pipeline {
    checks: Checks::NONE,
    calls: inline::Calls::NONE,
    first: &[SCALAR, UNROLLED, &once(adjacent::four), LIMITS],
    expanded: EXPANDED,
};
