//! Arithmetic, comparisons, selections, and vectors taken apart and put together.

use super::super::text::{Kind, Reg, ptx};
use super::{Emit, Root};
use crate::soft::ir::semantics::needs_narrowing;
use crate::soft::ir::{
    Inst, Op, Routine, Scalar, Type, Value, compiling_instruction, internal_error,
};

/// The suffix of instructions that take integers of a scalar type in a register.
fn int(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::I64 => "s64",
        Scalar::U64 => "u64",
        _ if scalar.is_signed() => "s32",
        _ => "u32",
    }
}

/// Bits of a scalar in memory.
fn width(scalar: Scalar) -> u32 {
    8 * scalar.bytes()
}

impl Emit<'_> {
    /// Writes the instruction of a value. Arithmetic is on scalars here.
    pub(super) fn instruction(&mut self, value: Value) {
        let inst = *self.function.inst(value);
        compiling_instruction(inst.span);
        let regs = match inst.op {
            Op::Get => {
                let regs = self.text.regs(inst.ty);
                let from = self.variables[inst.imm as usize].clone();
                self.copy(&regs, &from);
                regs
            }
            Op::Set => {
                let root = self.pointers.of_variable(inst.imm).root;
                let from = self.operand_from(root, inst.args[0]);
                let to = self.variables[inst.imm as usize].clone();
                self.copy(&to, &from);
                return;
            }
            Op::Select => self.select(self.root(value), &inst),
            Op::Convert => {
                let from = self.scalar_type(inst.args[0]);
                let reg = self.scalar(inst.args[0]);
                vec![self.convert(from, inst.ty.scalar().unwrap_or(from), reg)]
            }
            Op::Bitcast => self.bitcast(&inst),
            Op::Compose => inst.args.iter().map(|&arg| self.scalar(arg)).collect(),
            Op::Splat => vec![self.scalar(inst.args[0]); inst.ty.width() as usize],
            Op::Extract => vec![self.value(inst.args[0])[inst.imm as usize]],
            Op::Insert => {
                let mut regs = self.value(inst.args[0]);
                regs[inst.imm as usize] = self.scalar(inst.args[1]);
                regs
            }
            Op::Index | Op::Field => vec![self.advance(&inst)],
            Op::PointerToInt => vec![self.whole(inst.args[0])],
            Op::IntToPointer => vec![self.scalar(inst.args[0])],
            Op::Address => vec![self.address(inst.args[0])],
            Op::FromMemory | Op::ToMemory => vec![self.form(&inst)],
            Op::Load => self.load(value, &inst),
            Op::Store => {
                self.store(value, &inst);
                return;
            }
            Op::MatrixLoad => self.matrix_load(&inst),
            Op::MatrixStore => {
                self.matrix_store(&inst);
                return;
            }
            Op::MatrixMultiplyAdd => self.matrix_multiply_add(&inst),
            Op::Barrier => {
                if !self.idle_barriers.contains(&value) {
                    self.barrier(&inst);
                }
                return;
            }
            Op::Probe | Op::Unwritten => {
                internal_error("PTX: a probe in a kernel without checks".to_owned())
            }
            op if is_atomic(op) => self.atomic(&inst),
            op if is_across(op) => self.across(&inst),
            op => match Routine::of(op) {
                Some(routine) => self.texture(routine, &inst),
                None => {
                    let args = inst.args.iter().map(|&arg| self.operand(arg)[0]);
                    let args: Vec<Reg> = args.collect();
                    let scalar = match self.function.ty(inst.args[0]) {
                        Type::Pointer(_) => Scalar::U64,
                        _ => self.scalar_type(inst.args[0]),
                    };
                    vec![match (self.divisor(&inst), self.fused(&inst)) {
                        (Some(by), _) => self.divide_by(op, scalar, args[0], by),
                        (_, Some(args)) => {
                            let args = args.map(|arg| self.scalar(arg));
                            self.line(Kind::Word, "fma.rn.f32", &args)
                        }
                        _ => self.pure(op, scalar, &args),
                    }]
                }
            },
        };
        self.values[value.index()] = regs;
    }

    /// The type of a scalar value.
    pub(super) fn scalar_type(&self, value: Value) -> Scalar {
        match self.function.ty(value) {
            Type::Scalar(scalar) => scalar,
            ty => internal_error(format!("PTX: a scalar was expected, not {ty}")),
        }
    }

    /// The registers of an operand, whether or not it is a pointer from a root.
    fn operand_from(&mut self, root: Root, value: Value) -> Vec<Reg> {
        match root {
            Root::Unknown => self.operand(value),
            Root::Allocation(_) | Root::Local(_) => self.value(value),
        }
    }

    fn select(&mut self, root: Root, inst: &Inst) -> Vec<Reg> {
        let condition = self.value(inst.args[0]);
        let [yes, no] = [inst.args[1], inst.args[2]].map(|arg| self.operand_from(root, arg));
        let choose = |(k, (yes, no)): (usize, (&Reg, &Reg))| {
            self.choose(condition[k.min(condition.len() - 1)], *yes, *no)
        };
        yes.iter().zip(&no).enumerate().map(choose).collect()
    }

    /// `condition ? yes : no`
    pub(super) fn choose(&mut self, condition: Reg, yes: Reg, no: Reg) -> Reg {
        let reg = self.text.reg(yes.kind);
        if yes.kind == Kind::Predicate {
            let other = self.text.reg(Kind::Predicate);
            ptx!(self.text, "and.pred {reg}, {condition}, {yes};");
            ptx!(self.text, "not.pred {other}, {condition};");
            ptx!(self.text, "and.pred {other}, {other}, {no};");
            ptx!(self.text, "or.pred {reg}, {reg}, {other};");
        } else {
            ptx!(self.text, "selp.{} {reg}, {yes}, {no}, {condition};", yes.kind.name());
        }
        reg
    }

    /// The result of a pure operation on scalars.
    pub(super) fn pure(&mut self, op: Op, scalar: Scalar, args: &[Reg]) -> Reg {
        match scalar {
            Scalar::Bool => self.pure_bool(op, args),
            Scalar::F32 => self.pure_float(op, args),
            Scalar::F16 => self.pure_half(op, args),
            Scalar::BF16 => self.pure_bfloat(op, args),
            _ => {
                let reg = self.pure_int(op, scalar, args);
                if needs_narrowing(op, scalar) { self.narrow(scalar, reg) } else { reg }
            }
        }
    }

    /// An instruction with a result of the kind of a scalar.
    fn line(&mut self, kind: Kind, name: &str, args: &[Reg]) -> Reg {
        let reg = self.text.reg(kind);
        let list: Vec<String> = args.iter().map(Reg::to_string).collect();
        ptx!(self.text, "{name} {reg}, {};", list.join(", "));
        reg
    }

    fn pure_bool(&mut self, op: Op, args: &[Reg]) -> Reg {
        let name = match op {
            Op::And => "and.pred",
            Op::Or => "or.pred",
            Op::Xor | Op::Ne => "xor.pred",
            Op::Not => "not.pred",
            Op::Eq => {
                let other = self.line(Kind::Predicate, "xor.pred", args);
                return self.line(Kind::Predicate, "not.pred", &[other]);
            }
            _ => internal_error(format!("PTX: {op:?} of bool")),
        };
        self.line(Kind::Predicate, name, args)
    }

    fn pure_float(&mut self, op: Op, args: &[Reg]) -> Reg {
        let word = Kind::Word;
        let name = match op {
            Op::Add => "add.rn.f32",
            Op::Sub => "sub.rn.f32",
            Op::Mul => "mul.rn.f32",
            Op::Div => "div.rn.f32",
            Op::Fma => "fma.rn.f32",
            Op::Sqrt => "sqrt.rn.f32",
            Op::Floor => "cvt.rmi.f32.f32",
            Op::Ceil => "cvt.rpi.f32.f32",
            Op::Trunc => "cvt.rzi.f32.f32",
            Op::Rint => "cvt.rni.f32.f32",
            // Signs are bits: these keep those of a NaN.
            Op::Neg | Op::Abs | Op::CopySign => return self.signs(op, args, "b32", 1 << 31),
            Op::Min | Op::Max => return self.least(op, args, "f32"),
            _ => return self.compare(op, args, "f32"),
        };
        self.line(word, name, args)
    }

    fn pure_half(&mut self, op: Op, args: &[Reg]) -> Reg {
        let name = match op {
            Op::Add => "add.rn.f16",
            Op::Sub => "sub.rn.f16",
            Op::Mul => "mul.rn.f16",
            Op::Fma => "fma.rn.f16",
            Op::Floor => "cvt.rmi.f16.f16",
            Op::Ceil => "cvt.rpi.f16.f16",
            Op::Trunc => "cvt.rzi.f16.f16",
            Op::Rint => "cvt.rni.f16.f16",
            Op::Neg | Op::Abs | Op::CopySign => return self.signs(op, args, "b16", 1 << 15),
            Op::Min | Op::Max => return self.least(op, args, "f16"),
            Op::Div | Op::Sqrt => return self.by_float(op, Scalar::F16, args),
            _ => return self.compare(op, args, "f16"),
        };
        self.line(Kind::Half, name, args)
    }

    fn pure_bfloat(&mut self, op: Op, args: &[Reg]) -> Reg {
        match op {
            Op::Neg | Op::Abs | Op::CopySign => self.signs(op, args, "b16", 1 << 15),
            Op::Fma => self.fma_bfloat(args),
            _ => self.by_float(op, Scalar::BF16, args),
        }
    }

    /// An operation on a narrow type by that of `f32`, and a rounding.
    fn by_float(&mut self, op: Op, scalar: Scalar, args: &[Reg]) -> Reg {
        let wide: Vec<Reg> =
            args.iter().map(|&arg| self.convert(scalar, Scalar::F32, arg)).collect();
        let reg = self.pure_float(op, &wide);
        match reg.kind {
            Kind::Predicate => reg,
            _ if matches!(op, Op::Min | Op::Max) => {
                // One of the operands, unchanged.
                let first = self.text.reg(Kind::Predicate);
                ptx!(self.text, "setp.eq.b32 {first}, {reg}, {};", wide[0]);
                self.choose(first, args[0], args[1])
            }
            _ => self.convert(Scalar::F32, scalar, reg),
        }
    }

    /// `a * b + c` of `bfloat`, rounded once: the sum is rounded to odd on the way.
    fn fma_bfloat(&mut self, args: &[Reg]) -> Reg {
        let wide: Vec<Reg> = args
            .iter()
            .map(|&arg| {
                let float = self.convert(Scalar::BF16, Scalar::F32, arg);
                self.line(Kind::Long, "cvt.f64.f32", &[float])
            })
            .collect();
        let [zero, down, up] =
            ["rz", "rm", "rp"].map(|way| self.line(Kind::Long, &format!("fma.{way}.f64"), &wide));
        let inexact = self.line(Kind::Predicate, "setp.ne.f64", &[down, up]);
        let odd = self.line(Kind::Word, "cvt.rz.f32.f64", &[zero]);
        let back = self.line(Kind::Long, "cvt.f64.f32", &[odd]);
        let cut = self.line(Kind::Predicate, "setp.ne.f64", &[back, zero]);
        let sticky = self.line(Kind::Predicate, "or.pred", &[inexact, cut]);
        let set = self.text.reg(Kind::Word);
        ptx!(self.text, "or.b32 {set}, {odd}, 1;");
        let sum = self.choose(sticky, set, odd);
        self.convert(Scalar::F32, Scalar::BF16, sum)
    }

    /// Operations on signs, as bits.
    fn signs(&mut self, op: Op, args: &[Reg], bits: &str, sign: u64) -> Reg {
        let kind = args[0].kind;
        let reg = self.text.reg(kind);
        let rest = sign - 1;
        match op {
            Op::Neg => ptx!(self.text, "xor.{bits} {reg}, {}, {sign:#x};", args[0]),
            Op::Abs => ptx!(self.text, "and.{bits} {reg}, {}, {rest:#x};", args[0]),
            _ => {
                let other = self.text.reg(kind);
                ptx!(self.text, "and.{bits} {reg}, {}, {rest:#x};", args[0]);
                ptx!(self.text, "and.{bits} {other}, {}, {sign:#x};", args[1]);
                ptx!(self.text, "or.{bits} {reg}, {reg}, {other};");
            }
        }
        reg
    }

    /// The smaller or the larger of floats; of zeros, the second.
    fn least(&mut self, op: Op, args: &[Reg], ty: &str) -> Reg {
        let test = if op == Op::Min { "lt" } else { "gt" };
        let (first, nan) = (self.text.reg(Kind::Predicate), self.text.reg(Kind::Predicate));
        let (a, b) = (args[0], args[1]);
        ptx!(self.text, "setp.{test}.{ty} {first}, {a}, {b};");
        ptx!(self.text, "setp.nan.{ty} {nan}, {b}, {b};");
        ptx!(self.text, "or.pred {first}, {first}, {nan};");
        self.choose(first, a, b)
    }

    /// A comparison of floats.
    fn compare(&mut self, op: Op, args: &[Reg], ty: &str) -> Reg {
        let test = match op {
            Op::Eq => "eq",
            Op::Ne => "neu",
            Op::Lt => "lt",
            Op::Le => "le",
            Op::IsNan => {
                return self.line(Kind::Predicate, &format!("setp.nan.{ty}"), &[args[0]; 2]);
            }
            _ => internal_error(format!("PTX: {op:?} of {ty}")),
        };
        self.line(Kind::Predicate, &format!("setp.{test}.{ty}"), args)
    }

    fn pure_int(&mut self, op: Op, scalar: Scalar, args: &[Reg]) -> Reg {
        let (kind, ty) = (Kind::of(scalar), int(scalar));
        let bits = kind.name();
        let name = match op {
            Op::Add => format!("add.{ty}"),
            Op::Sub => format!("sub.{ty}"),
            Op::Mul => format!("mul.lo.{ty}"),
            Op::Min => format!("min.{ty}"),
            Op::Max => format!("max.{ty}"),
            Op::And => format!("and.{bits}"),
            Op::Or => format!("or.{bits}"),
            Op::Xor => format!("xor.{bits}"),
            Op::Not => format!("not.{bits}"),
            Op::Neg => format!("neg.{}", ty.replace('u', "s")),
            Op::Abs if !scalar.is_signed() => return args[0],
            Op::Abs => format!("abs.{ty}"),
            Op::Div | Op::Rem => return self.divide(op, ty, args),
            Op::MulHigh if scalar.bytes() < 4 => {
                let product = self.line(kind, &format!("mul.lo.{ty}"), args);
                let reg = self.text.reg(kind);
                ptx!(self.text, "shr.{ty} {reg}, {product}, {};", width(scalar));
                return reg;
            }
            Op::MulHigh => format!("mul.hi.{ty}"),
            Op::Shl | Op::Shr => return self.shift(op, scalar, args),
            Op::LeadingZeros | Op::PopCount => return self.count(op, scalar, args[0]),
            Op::Eq | Op::Ne | Op::Lt | Op::Le => {
                let test = match op {
                    Op::Eq => "eq",
                    Op::Ne => "ne",
                    Op::Lt => "lt",
                    _ => "le",
                };
                return self.line(Kind::Predicate, &format!("setp.{test}.{ty}"), args);
            }
            _ => internal_error(format!("PTX: {op:?} of {scalar}")),
        };
        self.line(kind, &name, args)
    }

    /// The constant that an integer is divided by, if it is an ordinary one.
    fn divisor(&self, inst: &Inst) -> Option<i64> {
        let is_division = matches!(inst.op, Op::Div | Op::Rem)
            && self.function.ty(inst.args[0]).scalar().is_some_and(Scalar::is_int);
        let by = is_division.then(|| self.function.constant_index(inst.args[1]))??;
        (1..=i32::MAX.into()).contains(&by).then_some(by)
    }

    /// The factors and the summand of a sum that one fused instruction computes with the same bits, since rounding the product changes
    /// nothing: its factors have few bits; or one is an integer, so that the product is 0 only if a factor is, and the summand is 0.
    fn fused(&self, sum: &Inst) -> Option<[Value; 3]> {
        let function = self.function;
        if sum.op != Op::Add || sum.ty != Type::Scalar(Scalar::F32) {
            return None;
        }
        // The bits of a number that was converted from a narrow type, or of an integer.
        let bits = |value: Value| {
            let inst = function.inst(value);
            let from = inst.args.first().filter(|_| inst.op == Op::Convert)?;
            match function.ty(*from).scalar()? {
                Scalar::F16 => Some((11, false)),
                scalar if scalar.is_int() => Some((width(scalar), true)),
                _ => None,
            }
        };
        [(0, 1), (1, 0)].into_iter().find_map(|(product, summand)| {
            let (inst, summand) = (function.inst(sum.args[product]), sum.args[summand]);
            if inst.op != Op::Mul {
                return None;
            }
            let [a, b] = [inst.args[0], inst.args[1]];
            let (of_a, of_b) = (bits(a), bits(b));
            let few = of_a.zip(of_b).is_some_and(|((a, _), (b, _))| a + b <= 24);
            let is_integer = [of_a, of_b].into_iter().flatten().any(|(_, is_integer)| is_integer);
            let zero = function.inst(summand);
            let is_zero = zero.op == Op::Const && zero.imm == 0;
            (few || is_integer && is_zero).then_some([a, b, summand])
        })
    }

    /// A division by a constant, for which the assembler has better code than for one by a register.
    fn divide_by(&mut self, op: Op, scalar: Scalar, from: Reg, by: i64) -> Reg {
        let name = if op == Op::Div { "div" } else { "rem" };
        let reg = self.text.reg(from.kind);
        ptx!(self.text, "{name}.{} {reg}, {from}, {by};", int(scalar));
        if needs_narrowing(op, scalar) { self.narrow(scalar, reg) } else { reg }
    }

    /// A division; by zero, the quotient is 0 and the remainder the dividend.
    fn divide(&mut self, op: Op, ty: &str, args: &[Reg]) -> Reg {
        let (a, b) = (args[0], args[1]);
        let (one, zero) = (self.bits(a.kind, 1), self.bits(a.kind, 0));
        let by_zero = self.line(Kind::Predicate, &format!("setp.eq.{ty}"), &[b, zero]);
        let by = self.choose(by_zero, one, b);
        let name = if op == Op::Div { "div" } else { "rem" };
        let reg = self.line(a.kind, &format!("{name}.{ty}"), &[a, by]);
        self.choose(by_zero, if op == Op::Div { zero } else { a }, reg)
    }

    /// A shift by a count modulo the width of the type.
    fn shift(&mut self, op: Op, scalar: Scalar, args: &[Reg]) -> Reg {
        let (kind, ty) = (Kind::of(scalar), int(scalar));
        let count = self.text.reg(Kind::Word);
        match kind {
            Kind::Long => ptx!(self.text, "cvt.u32.u64 {count}, {};", args[1]),
            _ => ptx!(self.text, "mov.b32 {count}, {};", args[1]),
        }
        ptx!(self.text, "and.b32 {count}, {count}, {};", width(scalar) - 1);
        if op == Op::Shr {
            return self.line(kind, &format!("shr.{ty}"), &[args[0], count]);
        }
        let reg = self.line(kind, &format!("shl.{}", kind.name()), &[args[0], count]);
        self.narrow(scalar, reg)
    }

    /// Leading zeros, or bits that are set.
    fn count(&mut self, op: Op, scalar: Scalar, arg: Reg) -> Reg {
        let name = if op == Op::PopCount { "popc" } else { "clz" };
        let (kind, bits) = (Kind::of(scalar), width(scalar));
        let low = self.text.reg(kind);
        match bits {
            8 | 16 => ptx!(self.text, "and.b32 {low}, {arg}, {};", (1 << bits) - 1),
            _ => ptx!(self.text, "mov.{} {low}, {arg};", kind.name()),
        }
        let count = self.line(Kind::Word, &format!("{name}.{}", kind.name()), &[low]);
        if bits == 64 {
            return self.line(Kind::Long, "cvt.u64.u32", &[count]);
        }
        if op == Op::LeadingZeros && bits < 32 {
            let reg = self.text.reg(kind);
            ptx!(self.text, "sub.u32 {reg}, {count}, {};", 32 - bits);
            return reg;
        }
        count
    }

    /// A pointer that is moved: an offset from the same root, or a whole pointer.
    fn advance(&mut self, inst: &Inst) -> Reg {
        let from = self.scalar(inst.args[0]);
        let reg = self.text.reg(Kind::Long);
        if inst.op == Op::Field {
            ptx!(self.text, "add.s64 {reg}, {from}, {};", inst.imm as i64);
            return reg;
        }
        let stride = inst.imm as i64;
        if let Some(number) = self.function.constant_index(inst.args[1]) {
            ptx!(self.text, "add.s64 {reg}, {from}, {};", number.wrapping_mul(stride));
            return reg;
        }
        let scalar = self.scalar_type(inst.args[1]);
        let index = self.scalar(inst.args[1]);
        let narrow = index.kind == Kind::Word;
        match (narrow, scalar.is_signed()) {
            (true, true) if i32::try_from(stride).is_ok() => {
                ptx!(self.text, "mad.wide.s32 {reg}, {index}, {stride}, {from};");
            }
            (true, false) if u32::try_from(stride).is_ok() => {
                ptx!(self.text, "mad.wide.u32 {reg}, {index}, {stride}, {from};");
            }
            _ => {
                let wide = self.convert(scalar, Scalar::I64, index);
                let by = self.bits(Kind::Long, stride as u64);
                ptx!(self.text, "mad.lo.s64 {reg}, {wide}, {by}, {from};");
            }
        }
        reg
    }
}

/// Whether an operation is atomic.
fn is_atomic(op: Op) -> bool {
    (Op::AtomicLoad..=Op::AtomicXor).contains(&op)
}

/// Whether an operation exchanges values between lanes.
pub(super) fn is_across(op: Op) -> bool {
    (Op::SimdSum..=Op::SimdIsFirst).contains(&op)
}
