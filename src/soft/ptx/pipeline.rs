//! The passes that prepare a kernel for a GPU: calls inlined, scalar arithmetic, memory accessed in vectors.
//! NVIDIA's assembler does what is left: it schedules, allocates registers, and removes bounds checks that repeat.

use crate::soft::ir::passes::{
    Pipeline, adjacent, common, dead, flatten, fold, forward, index, inline, invariant, promote,
    scalarise, unroll,
};

/// The passes, in order.
pub(super) const PIPELINE: Pipeline = Pipeline {
    calls: inline::Calls::NONE,
    first: &[
        // Before promotion: they make offsets constant.
        ("forward first", forward::run),
        ("fold first", fold::run),
        ("unroll", unroll::run),
        ("forward unrolled", forward::run),
        ("fold unrolled", fold::run),
        ("dead first", dead::run),
        ("promote", |function| *function = promote::run(function)),
        ("scalarise", |function| *function = scalarise::run(function)),
        ("forward", forward::run),
        ("fold", fold::run),
        ("index", index::run),
        ("common", common::run),
        ("flatten", flatten::run),
        ("forward again", forward::run),
        ("fold again", fold::run),
        ("common again", common::run),
        ("adjacent", adjacent::run),
        ("invariant", invariant::run),
        ("dead", dead::run),
    ],
    expanded: &[
        ("fold expanded", fold::run),
        ("common expanded", common::run),
        ("invariant expanded", invariant::run),
        ("dead expanded", dead::run),
    ],
};
