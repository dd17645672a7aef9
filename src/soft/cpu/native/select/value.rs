//! Instructions: arithmetic, comparisons, and calls of the interpreter's handlers for operations without code.

use super::bits::File;
use super::{Selection, wide};
use crate::soft::cpu::interp::code::Run as Handler;
use crate::soft::cpu::interp::lanes;
use crate::soft::cpu::native::lir::{Kind as Num, *};
use crate::soft::cpu::native::plan::Kind;
use crate::soft::ir::semantics::{needs_narrowing, row_scalar};
use crate::soft::ir::{Effect, Inst, Op, Rule, Scalar, Value, VarId};

impl Selection<'_> {
    pub(super) fn instruction(&mut self, value: Value) {
        let inst = *self.function.inst(value);
        let is_known = self.shapes.known(value).is_some();
        let is_made = self.run.is_done(value) || self.is_ahead(value) || is_known;
        if is_made || self.kind(value) != Kind::Direct {
            return;
        }
        match inst.op {
            Op::Store => return self.store(value, &inst),
            Op::MatrixStore => return self.matrix_access(value, &inst),
            Op::Barrier => return self.barrier(value, &inst),
            Op::Probe => return self.probe(value, &inst),
            op if op.row().effect == Effect::Syncs => return self.atomic(value, &inst),
            Op::Set => return self.assign(VarId(inst.imm as u32), inst.args[0]),
            _ if self.want[value.index()] == 0 => return,
            _ => {}
        }
        match inst.op.row().rule {
            Rule::Load => self.load(value, &inst),
            Rule::Unwritten => self.unwritten(value, &inst),
            Rule::MatrixLoad => self.matrix_access(value, &inst),
            Rule::MatrixMultiplyAdd => self.multiply_add(value, &inst),
            Rule::Across(_) | Rule::Shuffle | Rule::ShuffleFill | Rule::Vote => {
                self.across(value, &inst);
            }
            Rule::Given if inst.op == Op::SimdIsFirst => self.across(value, &inst),
            Rule::Given => self.read(value, VarId(inst.imm as u32)),
            Rule::Extract => {
                if let Some(forms) = self.component(inst.args[0], inst.imm as usize) {
                    match forms.int {
                        Some(reg) if self.is_int(value) => self.give_int(value, reg),
                        _ => self.give_lanes(value, forms.lanes),
                    }
                }
            }
            Rule::Index | Rule::Field => self.pointer(value, &inst),
            Rule::PointerToInt | Rule::IntToPointer => {
                let reg = self.number(inst.args[0]);
                self.give_int(value, reg);
            }
            Rule::Select => self.choose(value, &inst),
            Rule::Convert => self.convert(value, &inst),
            Rule::Bitcast => self.bitcast(value, &inst),
            _ if self.scalar(inst.args[0]) == Scalar::Bool => self.logic(value, &inst),
            _ => self.arithmetic(value, &inst),
        }
    }

    /// `reg` as a number of 64 bits, by the sign of its type.
    pub(super) fn widened(&mut self, value: Value) -> Reg {
        let reg = self.number(value);
        let scalar = self.scalar(value);
        if scalar.bytes() == 8 || !scalar.is_signed() || self.ty(value).space().is_some() {
            return reg;
        }
        let d = self.int();
        self.emit(Ins::Widen { from: Scalar::I32, wide: true, d, s: reg });
        d
    }

    pub(super) fn scaled(&mut self, reg: Reg, scale: i64) -> Reg {
        if scale == 1 {
            return reg;
        }
        let d = self.int();
        if scale > 0 && (scale as u64).is_power_of_two() {
            let imm = scale.trailing_zeros() as i32;
            self.emit(Ins::IntImm { op: IntOp::Shl, wide: true, d, a: reg, imm });
        } else if let Ok(imm) = i32::try_from(scale) {
            self.emit(Ins::IntImm { op: IntOp::Mul, wide: true, d, a: reg, imm });
        } else {
            let by = self.constant(scale as u64);
            self.emit(Ins::Int { op: IntOp::Mul, wide: true, d, a: reg, b: by });
        }
        d
    }

    pub(super) fn plus(&mut self, a: Reg, b: Reg) -> Reg {
        let d = self.int();
        self.emit(Ins::Int { op: IntOp::Add, wide: true, d, a, b });
        d
    }

    pub(super) fn plus_constant(&mut self, a: Reg, constant: i64) -> Reg {
        if constant == 0 {
            return a;
        }
        let d = self.int();
        match i32::try_from(constant) {
            Ok(imm) => self.emit(Ins::IntImm { op: IntOp::Add, wide: true, d, a, imm }),
            Err(_) => {
                let b = self.constant(constant as u64);
                self.emit(Ins::Int { op: IntOp::Add, wide: true, d, a, b });
            }
        }
        d
    }

    pub(super) fn pointer(&mut self, value: Value, inst: &Inst) {
        let base = self.number(inst.args[0]);
        let sum = match inst.op {
            Op::Field => self.plus_constant(base, inst.imm as i64),
            _ => match self.function.constant_index(inst.args[1]) {
                Some(number) => self.plus_constant(base, number.wrapping_mul(inst.imm as i64)),
                None => {
                    let index = self.widened(inst.args[1]);
                    let scaled = self.scaled(index, inst.imm as i64);
                    self.plus(base, scaled)
                }
            },
        };
        self.give_int(value, sum);
    }

    pub(super) fn choose(&mut self, value: Value, inst: &Inst) {
        let [c, a, b] = [inst.args[0], inst.args[1], inst.args[2]];
        if self.by_numbers(value, inst) {
            let (c, a, b) = (self.number(c), self.number(a), self.number(b));
            let d = self.int();
            self.emit(Ins::Choose { wide: true, d, c, a, b });
            return self.give_int(value, d);
        }
        let (c, a, b) = (self.in_lanes(c), self.in_lanes(a), self.in_lanes(b));
        let bools = self.is_bool(value);
        let regs = self.by_part(&[c, a, b], |selection, args| {
            let mask = args[0][0];
            let pairs = args[1].iter().zip(&args[2]);
            pairs.map(|(&a, &b)| selection.chosen_form(mask, a, b, bools)).collect()
        });
        self.give_lanes(value, regs);
    }

    /// `a` where a mask is set, else `b`: vectors, or masks of `bool`s.
    fn chosen_form(&mut self, mask: Reg, a: Reg, b: Reg, bools: bool) -> Reg {
        if bools {
            let (yes, no, d) = (self.mask(), self.mask(), self.mask());
            self.emit(Ins::MaskBin { op: MaskOp::And, d: yes, a: mask, b: a });
            self.emit(Ins::MaskBin { op: MaskOp::AndNot, d: no, a: mask, b });
            self.emit(Ins::MaskBin { op: MaskOp::Or, d, a: yes, b: no });
            return d;
        }
        self.chosen(mask, a, b)
    }

    pub(super) fn logic(&mut self, value: Value, inst: &Inst) {
        let not_after = inst.op == Op::Eq;
        let op = match inst.op {
            Op::And => Some(IntOp::And),
            Op::Or => Some(IntOp::Or),
            Op::Not => None,
            _ => Some(IntOp::Xor),
        };
        if self.by_numbers(value, inst) {
            let a = self.number(inst.args[0]);
            let mut d = a;
            if let Some(op) = op {
                let b = self.number(inst.args[1]);
                d = self.int();
                self.emit(Ins::Int { op, wide: false, d, a, b });
            }
            if op.is_none() || not_after {
                let s = d;
                d = self.int();
                self.emit(Ins::Not { wide: false, d, s });
            }
            return self.give_int(value, d);
        }
        let a = self.in_lanes(inst.args[0]);
        let b = inst.args.get(1).map(|&b| self.in_lanes(b));
        let regs = (0..self.parts())
            .map(|part| {
                let mut d = a[part];
                if let (Some(op), Some(b)) = (op, &b) {
                    let op = match op {
                        IntOp::And => MaskOp::And,
                        IntOp::Or => MaskOp::Or,
                        _ => MaskOp::Xor,
                    };
                    let to = self.mask();
                    self.emit(Ins::MaskBin { op, d: to, a: d, b: b[part] });
                    d = to;
                }
                if op.is_none() || not_after {
                    let to = self.mask();
                    self.emit(Ins::MaskNot { d: to, a: d });
                    d = to;
                }
                d
            })
            .collect();
        self.give_lanes(value, regs);
    }

    pub(super) fn arithmetic(&mut self, value: Value, inst: &Inst) {
        let scalar = self.scalar(inst.args[0]);
        let Some(row) = row_scalar(inst.op, scalar) else { unreachable!("the plan has a row") };
        let narrows = needs_narrowing(inst.op, scalar);
        if self.by_numbers(value, inst) {
            let args: Vec<Reg> = inst.args.iter().map(|&arg| self.number(arg)).collect();
            let d = self.int_op(inst.op, row, &args).unwrap_or_else(|| {
                let run = lanes::handler(inst.op, row, true);
                let args =
                    inst.args.iter().zip(&args).map(|(&arg, &reg)| self.int_operand(arg, reg));
                let args = args.collect();
                self.call_for_int(value, run, args)
            });
            let d = if narrows { self.wrapped(d, scalar) } else { d };
            return self.give_int(value, d);
        }
        let args: Vec<Vec<Reg>> = inst.args.iter().map(|&arg| self.in_lanes(arg)).collect();
        let wide = row.bytes() == 8;
        let direct = if wide { wide::has_code(inst.op) } else { has_lanes(inst.op, row) };
        if !direct {
            let run = lanes::handler(inst.op, row, false);
            let args = inst.args.iter().zip(args);
            let args = args.map(|(&arg, regs)| self.lanes_operand(arg, regs)).collect();
            let mut regs = self.call_for_lanes(value, run, args);
            if narrows {
                regs = regs.into_iter().map(|reg| self.wrapped_lanes(reg, scalar)).collect();
            }
            return self.give_lanes(value, regs);
        }
        let regs = self.by_part(&args, |selection, args| {
            if wide {
                return selection.wide_op(inst.op, row, args);
            }
            let args: Vec<Reg> = args.iter().map(|regs| regs[0]).collect();
            let d = selection.lane_op(inst.op, row, &args);
            vec![if narrows { selection.wrapped_lanes(d, scalar) } else { d }]
        });
        self.give_lanes(value, regs);
    }

    /// The operand of a call.
    pub(super) fn lanes_operand(&self, value: Value, regs: Vec<Reg>) -> Operand {
        if self.is_bool(value) {
            return Operand::Masks(regs);
        }
        if !self.is_wide(value) {
            return Operand::Lanes(regs);
        }
        let (low, high) = regs.split_at(self.parts());
        Operand::Wide { low: low.to_vec(), high: high.to_vec() }
    }

    pub(super) fn int_operand(&self, value: Value, reg: Reg) -> Operand {
        Operand::Int { reg, bool: self.is_bool(value) }
    }

    /// An operation on integers; `None` if there is no code for it.
    pub(super) fn int_op(&mut self, op: Op, row: Scalar, args: &[Reg]) -> Option<Reg> {
        let wide = row.bytes() == 8;
        let kind = if row.is_signed() { Num::Signed } else { Num::Unsigned };
        if matches!(op, Op::Abs | Op::MulHigh | Op::PopCount | Op::LeadingZeros) {
            return self.bits_of_numbers(op, row, args);
        }
        if row.bytes() < 4 {
            if !matches!(op, Op::Shl | Op::Shr) {
                return None;
            }
            let (by, imm) = (self.int(), 8 * row.bytes() as i32 - 1);
            self.emit(Ins::IntImm { op: IntOp::And, wide: false, d: by, a: args[1], imm });
            let word = if row.is_signed() { Scalar::I32 } else { Scalar::U32 };
            let shifted = self.int_op(op, word, &[args[0], by])?;
            return Some(self.wrapped(shifted, row));
        }
        let test = match op {
            Op::Eq => Some(Test::Eq),
            Op::Ne => Some(Test::Ne),
            Op::Lt => Some(Test::Lt),
            Op::Le => Some(Test::Le),
            _ => None,
        };
        if let Some(test) = test {
            let d = self.int();
            self.emit(Ins::Compare { test, kind, wide, d, a: args[0], b: args[1] });
            return Some(d);
        }
        let int = match op {
            Op::Add => IntOp::Add,
            Op::Sub => IntOp::Sub,
            Op::Mul => IntOp::Mul,
            Op::And => IntOp::And,
            Op::Or => IntOp::Or,
            Op::Xor => IntOp::Xor,
            Op::Shl => IntOp::Shl,
            Op::Shr if row.is_signed() => IntOp::Sar,
            Op::Shr => IntOp::Shr,
            Op::Div if row.is_signed() => IntOp::DivSigned,
            Op::Div => IntOp::DivUnsigned,
            Op::Rem => {
                let (a, b) = (args[0], args[1]);
                let quotient = self.int_op(Op::Div, row, args)?;
                let (product, d) = (self.int(), self.int());
                self.emit(Ins::Int { op: IntOp::Mul, wide, d: product, a: quotient, b });
                self.emit(Ins::Int { op: IntOp::Sub, wide, d, a, b: product });
                return Some(d);
            }
            Op::Neg => {
                let (zero, d) = (self.constant(0), self.int());
                self.emit(Ins::Int { op: IntOp::Sub, wide, d, a: zero, b: args[0] });
                return Some(d);
            }
            Op::Not => {
                let d = self.int();
                self.emit(Ins::Not { wide, d, s: args[0] });
                return Some(d);
            }
            Op::Min | Op::Max => {
                // The maximum is the second where the first is less.
                let (a, b) = if op == Op::Min { (args[0], args[1]) } else { (args[1], args[0]) };
                let (test, d) = (self.int(), self.int());
                self.emit(Ins::Compare {
                    test: Test::Lt,
                    kind,
                    wide,
                    d: test,
                    a: args[0],
                    b: args[1],
                });
                self.emit(Ins::Choose { wide: true, d, c: test, a, b });
                return Some(d);
            }
            _ => return None,
        };
        let d = self.int();
        self.emit(Ins::Int { op: int, wide, d, a: args[0], b: args[1] });
        Some(d)
    }

    /// A number wrapped to a narrow type and widened again.
    pub(super) fn wrapped(&mut self, reg: Reg, scalar: Scalar) -> Reg {
        let d = self.int();
        self.emit(Ins::Widen { from: scalar, wide: false, d, s: reg });
        d
    }

    pub(super) fn wrapped_lanes(&mut self, reg: Reg, scalar: Scalar) -> Reg {
        if scalar.is_float() {
            return self.rounded(scalar, reg);
        }
        let bits = 32 - 8 * scalar.bytes() as u8;
        if !scalar.is_signed() {
            let ones = self.lane_constant(u32::MAX >> bits);
            let d = self.lane();
            self.emit(Ins::Lane2 { op: Lane2::And, d, a: reg, b: ones });
            return d;
        }
        let (up, d) = (self.lane(), self.lane());
        self.emit(Ins::Lane1 { op: Lane1::Shl(bits), d: up, a: reg });
        self.emit(Ins::Lane1 { op: Lane1::Sar(bits), d, a: up });
        d
    }

    /// An operation in lanes that [`has_lanes`].
    pub(super) fn lane_op(&mut self, op: Op, row: Scalar, args: &[Reg]) -> Reg {
        let kind = match row {
            Scalar::F32 => Num::Float,
            _ if row.is_signed() => Num::Signed,
            _ => Num::Unsigned,
        };
        let test = match op {
            Op::Eq => Some(Test::Eq),
            Op::Ne => Some(Test::Ne),
            Op::Lt => Some(Test::Lt),
            Op::Le => Some(Test::Le),
            _ => None,
        };
        if let Some(test) = test {
            let d = self.mask();
            self.emit(Ins::CompareLanes { test, kind, d, a: args[0], b: args[1] });
            return d;
        }
        if op == Op::IsNan {
            let d = self.mask();
            self.emit(Ins::IsNan { d, a: args[0] });
            return d;
        }
        if op == Op::Fma && row == Scalar::F16 {
            return self.fma_of_halves(args[0], args[1], args[2]);
        }
        if op == Op::Fma {
            let d = self.lane();
            self.emit(Ins::Fma { d, a: args[0], b: args[1], c: args[2] });
            return d;
        }
        if let Some(op) = lane1(op, row) {
            let d = self.lane();
            self.emit(Ins::Lane1 { op, d, a: args[0] });
            return d;
        }
        let two = |selection: &mut Self, op: Lane2, a: Reg, b: Reg| {
            let d = selection.lane();
            selection.emit(Ins::Lane2 { op, d, a, b });
            d
        };
        match (op, row) {
            (Op::Neg, Scalar::F32) => {
                let sign = self.lane_constant(1 << 31);
                two(self, Lane2::Xor, args[0], sign)
            }
            (Op::Abs, Scalar::F32) => {
                let rest = self.lane_constant(u32::MAX >> 1);
                two(self, Lane2::And, args[0], rest)
            }
            (Op::Neg, _) => {
                let zero = self.lane_constant(0);
                two(self, Lane2::Sub, zero, args[0])
            }
            (Op::Not, _) => {
                let ones = self.lane_constant(u32::MAX);
                two(self, Lane2::Xor, args[0], ones)
            }
            (Op::Shl | Op::Shr, _) => {
                let most = 8 * row.bytes() - 1;
                let shifted = match self.code.regs[args[1].0 as usize] {
                    Info { home: Some(Home::Constant(by)), carried: false, .. } => {
                        let by = (by & most) as u8;
                        let shift = match (op, row.is_signed()) {
                            (Op::Shl, _) => Lane1::Shl(by),
                            (_, true) => Lane1::Sar(by),
                            (_, false) => Lane1::Shr(by),
                        };
                        self.lane1(shift, args[0])
                    }
                    _ => {
                        let bits = self.lane_constant(most);
                        let by = two(self, Lane2::And, args[1], bits);
                        let shift = match (op, row.is_signed()) {
                            (Op::Shl, _) => Lane2::Shl,
                            (_, true) => Lane2::Sar,
                            (_, false) => Lane2::Shr,
                        };
                        two(self, shift, args[0], by)
                    }
                };
                let wraps = op == Op::Shl && row.bytes() < 4;
                if wraps { self.wrapped_lanes(shifted, row) } else { shifted }
            }
            (Op::PopCount | Op::LeadingZeros, _) => self.count_bits(File::Lanes, op, row, args[0]),
            (Op::MulHigh, _) if row.bytes() < 4 => {
                let product = two(self, Lane2::Mul, args[0], args[1]);
                let bits = 8 * row.bytes() as u8;
                let op = if row.is_signed() { Lane1::Sar(bits) } else { Lane1::Shr(bits) };
                self.lane1(op, product)
            }
            (Op::Div | Op::Rem, Scalar::I32 | Scalar::U32) => {
                let (a, b, zero) = (args[0], args[1], self.lane_constant(0));
                let op_of = if row.is_signed() { Lane2::DivSigned } else { Lane2::DivUnsigned };
                let quotient = two(self, op_of, a, b);
                let (mask, d) = (self.mask(), self.lane());
                let (test, kind) = (Test::Eq, Num::Unsigned);
                self.emit(Ins::CompareLanes { test, kind, d: mask, a: b, b: zero });
                self.emit(Ins::Select { d, mask, a: zero, b: quotient });
                if op == Op::Div {
                    return d;
                }
                let product = two(self, Lane2::Mul, d, b);
                two(self, Lane2::Sub, a, product)
            }
            (Op::CopySign, _) => {
                let (sign, rest) = (self.lane_constant(1 << 31), self.lane_constant(u32::MAX >> 1));
                let (a, b) =
                    (two(self, Lane2::And, args[0], rest), two(self, Lane2::And, args[1], sign));
                two(self, Lane2::Or, a, b)
            }
            _ => match lane2(op, row) {
                Some(lane) => two(self, lane, args[0], args[1]),
                None => unreachable!("{} of {row} has code in lanes", op.row().name),
            },
        }
    }

    pub(super) fn site(&mut self, number: u32, what: SiteKind) -> u32 {
        self.code.sites.push(Site { number, what });
        self.code.sites.len() as u32 - 1
    }

    pub(super) fn call(
        &mut self,
        run: Option<Handler>,
        args: Vec<Operand>,
        result: Operand,
        once: bool,
    ) {
        let Some(run) = run else { unreachable!("the plan has a handler") };
        let site = self.site(0, SiteKind::Operation { run, args, result, once });
        self.emit(Ins::Call { site });
    }

    pub(super) fn call_for_int(
        &mut self,
        value: Value,
        run: Option<Handler>,
        args: Vec<Operand>,
    ) -> Reg {
        let d = self.int();
        self.call(run, args, Operand::Int { reg: d, bool: self.is_bool(value) }, true);
        d
    }

    /// Calls a handler for the lanes of a value.
    pub(super) fn call_for_lanes(
        &mut self,
        value: Value,
        run: Option<Handler>,
        args: Vec<Operand>,
    ) -> Vec<Reg> {
        let class = if self.is_bool(value) { Class::Mask } else { Class::Vector };
        let count = if self.is_wide(value) { 2 * self.parts() } else { self.parts() };
        let regs: Vec<Reg> = (0..count).map(|_| self.reg(class, false)).collect();
        let result = self.lanes_operand(value, regs.clone());
        self.call(run, args, result, false);
        regs
    }
}

/// The machine operation of one operand, if there is one.
fn lane1(op: Op, row: Scalar) -> Option<Lane1> {
    Some(match (op, row) {
        (Op::Sqrt, Scalar::F32) => Lane1::Sqrt,
        (Op::Floor, Scalar::F32) => Lane1::Floor,
        (Op::Ceil, Scalar::F32) => Lane1::Ceil,
        (Op::Trunc, Scalar::F32) => Lane1::Trunc,
        (Op::Rint, Scalar::F32) => Lane1::Rint,
        (Op::Abs, Scalar::I32) => Lane1::AbsInt,
        (Op::Abs, Scalar::U32) => Lane1::Move,
        _ => return None,
    })
}

/// The machine operation of two operands, if there is one.
fn lane2(op: Op, row: Scalar) -> Option<Lane2> {
    Some(match (op, row) {
        (Op::Add, Scalar::F32) => Lane2::AddFloat,
        (Op::Sub, Scalar::F32) => Lane2::SubFloat,
        (Op::Mul, Scalar::F32) => Lane2::MulFloat,
        (Op::Div, Scalar::F32) => Lane2::DivFloat,
        (Op::Min, Scalar::F32) => Lane2::MinFloat,
        (Op::Max, Scalar::F32) => Lane2::MaxFloat,
        (Op::Add, Scalar::U32) => Lane2::Add,
        (Op::Sub, Scalar::U32) => Lane2::Sub,
        (Op::Mul, Scalar::U32) => Lane2::Mul,
        (Op::Min, Scalar::I32) => Lane2::MinSigned,
        (Op::Min, Scalar::U32) => Lane2::MinUnsigned,
        (Op::Max, Scalar::I32) => Lane2::MaxSigned,
        (Op::Max, Scalar::U32) => Lane2::MaxUnsigned,
        (Op::And, Scalar::U32) => Lane2::And,
        (Op::Or, Scalar::U32) => Lane2::Or,
        (Op::Xor, Scalar::U32) => Lane2::Xor,
        (Op::MulHigh, Scalar::I32) => Lane2::MulHighSigned,
        (Op::MulHigh, Scalar::U32) => Lane2::MulHighUnsigned,
        _ => return None,
    })
}

/// Whether an operation has code in lanes.
fn has_lanes(op: Op, row: Scalar) -> bool {
    let word = matches!(row, Scalar::I32 | Scalar::U32 | Scalar::F32);
    let other = match op {
        Op::Eq | Op::Ne | Op::Lt | Op::Le => word,
        Op::Fma => matches!(row, Scalar::F32 | Scalar::F16),
        Op::IsNan | Op::CopySign => row == Scalar::F32,
        Op::Neg => word,
        Op::Abs => row == Scalar::F32,
        Op::Not => row == Scalar::U32,
        Op::Shl | Op::Shr | Op::PopCount | Op::LeadingZeros => row.is_int() && row.bytes() <= 4,
        Op::MulHigh => row.bytes() < 4,
        Op::Div | Op::Rem => matches!(row, Scalar::I32 | Scalar::U32),
        _ => false,
    };
    other || lane1(op, row).is_some() || lane2(op, row).is_some()
}
