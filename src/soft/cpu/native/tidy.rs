//! Removes superfluous operations: results that nothing reads, and moves of a result to a variable in whose register it
//! could have been computed.

use super::lir::{Code, Ins, IntOp, Lane1, MaskOp, Reg};

/// Tidies the code of a run.
pub(crate) fn tidy(code: &mut Code) {
    let mut counts = occurrences(code);
    let mut kept = vec![true; code.code.len()];
    // Uses come after definitions, except for variables, which are `carried` registers.
    for at in (0..code.code.len()).rev() {
        let Some(d) = code.code[at].only_result() else { continue };
        let info = code.regs[d.0 as usize];
        if counts[d.0 as usize] == 1 && !info.carried && info.home.is_none() {
            kept[at] = false;
            code.code[at].each(&mut |reg| counts[reg.0 as usize] -= 1);
        }
    }
    remove(code, &kept);
    let mut kept = vec![true; code.code.len()];
    for (at, kept) in kept.iter_mut().enumerate().skip(1) {
        let (d, s) = match code.code[at] {
            Ins::Lane1 { op: Lane1::Move, d, a } => (d, a),
            Ins::Move { d, s } => (d, s),
            _ => continue,
        };
        if counts[s.0 as usize] == 2
            && let Some(direct) = into(code.code[at - 1], s, d)
        {
            code.code[at - 1] = direct;
            *kept = false;
        }
    }
    remove(code, &kept);
    code.pairs = pairs(code, &counts);
}

/// See [`Code::pairs`].
fn pairs(code: &Code, counts: &[u32]) -> Vec<u32> {
    let is_read_once = |reg: Reg| {
        let info = code.regs[reg.0 as usize];
        counts[reg.0 as usize] == 2 && !info.carried && info.home.is_none()
    };
    let is_pair = |pair: &[Ins]| match (&pair[0], &pair[1]) {
        (Ins::Lane2 { d, .. }, Ins::MoveMasked { s, .. }) => s == d && is_read_once(*d),
        (Ins::CompareLanes { d, .. }, Ins::MaskBin { op: MaskOp::And, a, b, .. }) => {
            (a == d) != (b == d) && is_read_once(*d)
        }
        _ => false,
    };
    (0..).zip(code.code.windows(2)).filter(|(_, pair)| is_pair(pair)).map(|(at, _)| at).collect()
}

/// How often each register is named, its definition included.
fn occurrences(code: &Code) -> Vec<u32> {
    let mut counts = vec![0; code.regs.len()];
    let mut seen = vec![false; code.sites.len()];
    for ins in &code.code {
        ins.each(&mut |reg| counts[reg.0 as usize] += 1);
        if let Some(site) = ins.site()
            && !std::mem::replace(&mut seen[site as usize], true)
        {
            code.sites[site as usize].each(&mut |reg| counts[reg.0 as usize] += 1);
        }
    }
    counts
}

/// An instruction whose result goes to another register, if it may be one of its operands.
fn into(ins: Ins, from: Reg, to: Reg) -> Option<Ins> {
    match ins {
        // An emitter moves the first operand, or the sum, to the result before it reads the others.
        Ins::Int { op, wide, d, a, b } if d == from && b != to => {
            Some(Ins::Int { op, wide, d: to, a, b })
        }
        Ins::Int { op: IntOp::Add, wide, d, a, b } if d == from => {
            Some(Ins::Int { op: IntOp::Add, wide, d: to, a: b, b: a }).filter(|_| a != to)
        }
        Ins::IntImm { op, wide, d, a, imm } if d == from => {
            Some(Ins::IntImm { op, wide, d: to, a, imm })
        }
        Ins::Fma { d, a, b, c } if d == from && a != to && b != to => {
            Some(Ins::Fma { d: to, a, b, c })
        }
        Ins::Lane2 { op, d, a, b } if d == from => Some(Ins::Lane2 { op, d: to, a, b }),
        _ => None,
    }
}

/// Removes instructions, and numbers loops by what is left.
fn remove(code: &mut Code, kept: &[bool]) {
    let mut number = 0;
    let numbers: Vec<u32> = kept
        .iter()
        .map(|&kept| {
            let at = number;
            number += u32::from(kept);
            at
        })
        .collect();
    // A loop begins with a label and ends with a jump, neither of which is removed.
    for (start, end) in &mut code.loops {
        *start = numbers[*start as usize];
        *end = numbers.get(*end as usize).copied().unwrap_or(number);
    }
    let mut flags = kept.iter();
    code.code.retain(|_| flags.next().copied().unwrap_or(true));
    let mut flags = kept.iter();
    code.origins.retain(|_| flags.next().copied().unwrap_or(true));
}
