//! Checks that the fast instructions are chosen: the bytecode of kernels whose speed depends on it.

use super::kernels::{matmul, saxpy};
use super::*;
use crate::soft::cpu::interp::code::Run;
use crate::soft::cpu::interp::control;
use crate::soft::cpu::interp::memory::Access;
use crate::soft::ir::{Op, Scalar};

/// The number of times that a handler occurs in the code of a kernel.
fn uses(module: &Module, isa: IsaKind, run: Run) -> usize {
    let program = Program::with_isa(module, isa).unwrap();
    program.code.code.iter().filter(|ins| std::ptr::fn_addr_eq(ins.run, run)).count()
}

#[test]
fn step_test_and_jump_of_a_loop_are_one_instruction() {
    // The test `k < n` becomes `n <= k`, the condition to leave.
    let run = control::count(Op::Le, Scalar::U32, true).unwrap();
    assert_eq!(uses(&matmul(), IsaKind::Baseline, run), 1);
}

#[test]
fn words_of_an_argument_are_accessed_by_rows() {
    for isa in IsaKind::available() {
        let run = |write, grid| Access::Row { write, grid }.handler(isa, Type::F32);
        // The test whether a thread is inside needs its position.
        assert_eq!(uses(&saxpy(), isa, run(false, false)), 2);
        assert_eq!(uses(&saxpy(), isa, run(true, false)), 1);

        let mut b = kernel("copy");
        let (from, to, i) = (device(&mut b, 0), device(&mut b, 1), position(&mut b, 0));
        let (source, target) = (b.index(from, i, 4), b.index(to, i, 4));
        let value = b.load(source, Type::F32);
        b.store(target, value);
        let buffers = vec![buffer("from", 0, Space::Device), buffer("to", 1, Space::Device)];
        let copy = module(buffers, b.finish());
        assert_eq!(uses(&copy, isa, run(false, true)), 1);
        assert_eq!(uses(&copy, isa, run(true, true)), 1);
        assert_eq!(Program::with_isa(&copy, isa).unwrap().code.code.len(), 3);
    }
}

#[test]
fn long_code_without_loops_counts_its_work() {
    let mut b = kernel("long");
    let (out, i) = (device(&mut b, 0), position(&mut b, 0));
    let mut value = i;
    for k in 0..10_000 {
        let odd = b.u32(2 * k + 1);
        value = b.mul(value, odd);
        value = b.add(value, i);
    }
    let to = b.index(out, i, 4);
    b.store(to, value);
    let module = module(vec![buffer("out", 0, Space::Device)], b.finish());
    let program = Program::with_isa(&module, IsaKind::Baseline).unwrap();
    let run = IsaKind::Baseline.run::<control::Count>();
    let code = &program.code.code;
    let counts: Vec<usize> =
        (0..code.len()).filter(|&at| std::ptr::fn_addr_eq(code[at].run, run)).collect();
    assert!(counts.len() > 1, "{} of {}", counts.len(), code.len());
    assert!(counts.windows(2).all(|pair| pair[1] - pair[0] < 10_000));
    let mut out = [0u32; 64];
    let bindings = [bind(0, &mut out)];
    super::run(&module, super::Way::PLAIN, &launch([64, 1, 1], [64, 1, 1], &bindings)).unwrap();
}
