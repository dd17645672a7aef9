//! Which code the workers of a launch choose.

use super::*;
use crate::soft::cpu::by_index::{self, with_bindings};
use crate::soft::kernel;
use crate::soft::msl::{self, ConstantValues, Options};
use crate::soft::variables;

fn program(body: &str) -> Program {
    let text = format!(
        "#include <metal_stdlib>\nusing namespace metal; kernel void k(device uint *out [[buffer(0)]], \
         device atomic_uint *count [[buffer(1)]], uint l [[thread_position_in_threadgroup]]) {{ {body} }}"
    );
    let library = msl::compile(&text, &Options::default()).unwrap();
    Program::new(&library.kernel("k", &ConstantValues::default()).unwrap().0).unwrap()
}

/// Prepares a launch of one threadgroup, and returns what `run` does with it and buffer 0.
fn with_launch<T>(
    program: &Program,
    threads: u32,
    order: Option<u64>,
    run: impl FnOnce(&kernel::Launch<'_>) -> T,
) -> (T, [u32; 256]) {
    let (mut out, mut count) = ([0u32; 256], [0u32; 1]);
    let bind = |index, data: &mut [u32]| by_index::Binding {
        index,
        base: data.as_mut_ptr().cast(),
        bytes: size_of_val(data) as u64,
    };
    let bindings = [bind(0, &mut out), bind(1, &mut count)];
    let launch = by_index::Launch::of([threads, 1, 1], [threads, 1, 1], &bindings);
    let result = with_bindings(&program.parameters, &launch, |launch| {
        run(&kernel::Launch { order, ..*launch })
    });
    (result, out)
}

/// Whether machine code may be made here, and is not made in any case.
fn is_by_need(program: &Program) -> bool {
    let by_need = !matches!(variables::JIT.word().as_str(), "off" | "always");
    by_need && super::super::has_native(program.source.isa)
}

#[test]
fn a_worker_with_bytecode_can_switch_whatever_others_decide_meanwhile() {
    let program = program("out[l] = l * l + 1;");
    if !is_by_need(&program) {
        return;
    }
    with_launch(&program, 32, None, |launch| {
        let shared = program.share(launch, 1).unwrap();
        let choice = shared.choose();
        shared.native.store(true, Ordering::Relaxed);
        let mut scratch = Scratch::default();
        let worker = Worker::new(&shared, choice, &mut scratch);
        assert!(worker.code.runs.is_empty() && worker.may_switch);
        assert!(!shared.choose().may_switch);
    });
}

#[test]
fn a_launch_begins_with_machine_code_that_exists() {
    let program = program("out[l] = l * l + 1;");
    if !is_by_need(&program) {
        return;
    }
    let begins_native = || {
        let begins = |launch: &kernel::Launch<'_>| {
            program.share(launch, 1).unwrap().native.load(Ordering::Relaxed)
        };
        with_launch(&program, 32, None, begins).0
    };
    assert!(!begins_native());
    assert!(program.native(true, None).is_some());
    assert!(begins_native());
}

/// A worker that has other code than before takes no more threadgroups alone if it has worked long.
#[test]
fn the_work_with_all_codes_decides_about_helpers() {
    let program = program("out[l] = l * l + 1;");
    with_launch(&program, 32, None, |launch| {
        let launch = kernel::Launch { grid: [96, 1, 1], ..*launch };
        let shared = program.share(&launch, 1).unwrap();
        std::thread::sleep(LONG);
        for (before, outcome, taken) in
            [(LONG_WORK, Outcome::Long, 0), (0, Outcome::Done, shared.total)]
        {
            let mut scratch = Scratch::default();
            let mut worker = Worker::new(&shared, shared.choose(), &mut scratch);
            assert_eq!(worker.work(&mut (0..0), Some(before)), outcome);
            assert_eq!(shared.next.load(Ordering::Relaxed).min(shared.total), taken);
        }
    });
}

/// A kernel without barriers as machine code, too, which would run the SIMD-groups one after the other.
#[test]
fn a_seed_orders_simdgroups() {
    let program = program(
        "if (l % 32 == 0) out[atomic_fetch_add_explicit(&count[0], 1, memory_order_relaxed)] = l / 32;",
    )
    .with_native(true);
    let order = |seed| {
        let launch = |launch: &kernel::Launch<'_>| {
            // SAFETY: the bindings are arrays that outlive the launch and nothing else uses.
            unsafe { program.launch(launch, &Workers::new(1)) }.unwrap();
        };
        with_launch(&program, 256, Some(seed), launch).1[..8].to_vec()
    };
    let orders: Vec<_> = (0..4).map(order).collect();
    for order in &orders {
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..8).collect::<Vec<_>>());
    }
    assert!(orders.iter().any(|order| *order != orders[0]), "{orders:?}");
    assert_eq!(order(0), orders[0]);
}
