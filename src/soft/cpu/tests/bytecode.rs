//! Checks which instructions the bytecode has.

use super::*;
use crate::soft::cpu::interp::{code, control};

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
    let run = code::function::<control::Count>();
    let code = &program.code.code;
    let counts: Vec<usize> =
        (0..code.len()).filter(|&at| std::ptr::fn_addr_eq(code[at].run, run)).collect();
    assert!(counts.len() > 1, "{} of {}", counts.len(), code.len());
    assert!(counts.windows(2).all(|pair| pair[1] - pair[0] < 10_000));
    let mut out = [0u32; 64];
    let bindings = [bind(0, &mut out)];
    super::run(&module, super::Way::PLAIN, &launch([64, 1, 1], [64, 1, 1], &bindings)).unwrap();
}
