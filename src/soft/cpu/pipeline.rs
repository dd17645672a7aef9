//! The passes that prepare a kernel for this back end: scalar arithmetic only, few memory accesses, short branches as selects.

use crate::soft::ir::passes::{
    Pipeline, adjacent, common, dead, flatten, fold, forward, index, inline, invariant, promote,
    scalarise, step, unroll,
};

/// The passes, in order.
pub(super) const PIPELINE: Pipeline = Pipeline {
    // An interpreted call costs about ten instructions.
    calls: inline::Calls { small: 1 << 15, short: 128, few: 2 },
    first: &[
        // Before promotion: they make offsets constant.
        ("forward first", forward::run),
        ("fold first", fold::run),
        ("unroll", unroll::run),
        ("forward unrolled", forward::run),
        ("fold unrolled", fold::run),
        // Removes pointers to locals that were passed as arguments and are not read any more.
        ("dead first", dead::run),
        ("promote", |function| *function = promote::run(function)),
        ("scalarise", |function| *function = scalarise::run(function)),
        ("forward", forward::run),
        ("fold", fold::run),
        ("index", index::run),
        ("common", common::run),
        ("flatten", flatten::run),
        ("step", step::run),
        ("forward again", forward::run),
        ("fold again", fold::run),
        ("common again", common::run),
        ("adjacent", adjacent::run),
        ("invariant", invariant::run),
        ("dead", dead::run),
    ],
    // The library's code has been through such passes; here it meets constants and its neighbours.
    expanded: &[
        ("fold expanded", fold::run),
        ("common expanded", common::run),
        ("invariant expanded", invariant::run),
        ("dead expanded", dead::run),
    ],
};
