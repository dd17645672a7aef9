//! Constant evaluation (C++14 expr.const): scalars, with calls of `constexpr`-like functions.

use super::{Checker, Global, State};
use crate::soft::ir::{Op, Scalar};
use crate::soft::msl::hir::{
    Binary, Constant, Expr, ExprKind, Function, GlobalIndex, InstanceIndex, LocalIndex, Stmt,
    StmtKind,
};
use crate::soft::msl::types::Types;
use std::collections::HashMap;
use std::sync::Arc;

/// The value is not constant.
#[derive(Debug)]
pub(crate) struct NotConstant;

type Evaluated<T> = Result<T, NotConstant>;

/// Wraps an integer to a type, sign-extended to 64 bits where the type is signed.
pub(crate) fn wrap(value: u64, scalar: Scalar) -> u64 {
    match scalar {
        Scalar::Bool => u64::from(value != 0),
        Scalar::I8 => value as i8 as u64,
        Scalar::U8 => value as u8 as u64,
        Scalar::I16 => value as i16 as u64,
        Scalar::U16 => value as u16 as u64,
        Scalar::I32 => value as i32 as u64,
        Scalar::U32 => value as u32 as u64,
        _ => value,
    }
}

/// Rounds to the nearest value of a floating type, ties to even.
pub(crate) fn round(value: f64, scalar: Scalar) -> f64 {
    match scalar {
        Scalar::F16 => round_to(value, 10, -14, 65504.0),
        Scalar::BF16 => round_to(value, 7, -126, f64::from(f32::from_bits(0x7f7f_0000))),
        _ => f64::from(value as f32),
    }
}

/// Rounds to `bits` fraction bits with a least normal exponent; values past the largest become infinite.
fn round_to(value: f64, bits: i32, least: i32, largest: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let exponent = ((value.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(least);
    let unit = 2f64.powi(exponent - bits);
    let rounded = (value / unit).round_ties_even() * unit;
    if rounded.abs() > largest { f64::INFINITY.copysign(value) } else { rounded }
}

/// A scalar conversion (MSL 8.6).
pub(crate) fn convert(constant: Constant, from: Scalar, to: Scalar) -> Constant {
    match (constant, to.is_float()) {
        (Constant::Int(value), true) => {
            let float = if from.is_signed() { value as i64 as f64 } else { value as f64 };
            Constant::Float(round(float, to))
        }
        (Constant::Float(value), true) => Constant::Float(round(value, to)),
        (Constant::Int(value), false) => Constant::Int(wrap(value, to)),
        (Constant::Float(value), false) => Constant::Int(match to {
            Scalar::Bool => u64::from(value != 0.0),
            Scalar::I8 => value as i8 as u64,
            Scalar::U8 => value as u8 as u64,
            Scalar::I16 => value as i16 as u64,
            Scalar::U16 => value as u16 as u64,
            Scalar::I32 => value as i32 as u64,
            Scalar::U32 => value as u32 as u64,
            Scalar::I64 => value as i64 as u64,
            _ => value as u64,
        }),
    }
}

/// Whether a conversion is not narrowing ([dcl.init.list]/7): an integer keeps its value, a floating-point
/// number stays finite.
pub(super) fn fits(constant: Constant, from: Scalar, to: Scalar) -> bool {
    match (constant, convert(constant, from, to)) {
        (Constant::Int(a), Constant::Int(b)) => {
            a == b && (from.is_signed() == to.is_signed() || a as i64 >= 0)
        }
        (Constant::Int(_), back @ Constant::Float(_)) => convert(back, to, from) == constant,
        (Constant::Float(_), Constant::Int(_)) => false,
        (Constant::Float(a), Constant::Float(b)) => b.is_finite() || !a.is_finite(),
    }
}

pub(crate) fn negate(constant: Constant, scalar: Scalar) -> Constant {
    match constant {
        Constant::Int(value) => Constant::Int(wrap(value.wrapping_neg(), scalar)),
        Constant::Float(value) => Constant::Float(-value),
    }
}

fn binary(op: Binary, a: Constant, b: Constant, scalar: Scalar) -> Evaluated<Constant> {
    let truth = |yes: bool| Constant::Int(u64::from(yes));
    if let (Constant::Float(a), Constant::Float(b)) = (a, b) {
        let number = |value: f64| Constant::Float(round(value, scalar));
        return Ok(match op {
            Binary::Add => number(a + b),
            Binary::Sub => number(a - b),
            Binary::Mul => number(a * b),
            Binary::Div => number(a / b),
            Binary::Eq => truth(a == b),
            Binary::Ne => truth(a != b),
            Binary::Lt => truth(a < b),
            Binary::Gt => truth(a > b),
            Binary::Le => truth(a <= b),
            Binary::Ge => truth(a >= b),
            _ => return Err(NotConstant),
        });
    }
    let (Constant::Int(a), Constant::Int(b)) = (a, b) else { return Err(NotConstant) };
    let signed = scalar.is_signed();
    let (sa, sb) = (a as i64, b as i64);
    let less = |x: u64, y: u64| if signed { (x as i64) < (y as i64) } else { x < y };
    let count = (b & u64::from(scalar.bytes() * 8 - 1)) as u32;
    let value = match op {
        Binary::Add => a.wrapping_add(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::Mul => a.wrapping_mul(b),
        // [expr.mul]/4: division by zero is not a constant expression.
        Binary::Div | Binary::Rem if b == 0 => return Err(NotConstant),
        Binary::Div if signed => sa.wrapping_div(sb) as u64,
        Binary::Div => a / b,
        Binary::Rem if signed => sa.wrapping_rem(sb) as u64,
        Binary::Rem => a % b,
        Binary::And => a & b,
        Binary::Or => a | b,
        Binary::Xor => a ^ b,
        Binary::Shl => a << count,
        Binary::Shr if signed => (sa >> count) as u64,
        Binary::Shr => a >> count,
        Binary::Eq => return Ok(truth(a == b)),
        Binary::Ne => return Ok(truth(a != b)),
        Binary::Lt => return Ok(truth(less(a, b))),
        Binary::Gt => return Ok(truth(less(b, a))),
        Binary::Le => return Ok(truth(!less(b, a))),
        Binary::Ge => return Ok(truth(!less(a, b))),
    };
    Ok(Constant::Int(wrap(value, scalar)))
}

/// The most steps of one evaluation, so that no `constexpr` loop hangs the compiler.
const MAX_STEPS: u32 = 1 << 20;
const MAX_CALLS: u32 = 64;

/// The program as seen by constant evaluation: one that is being checked, or one that
/// is checked and has values for its function constants.
pub(crate) trait Facts {
    fn types(&self) -> &Types;
    fn global(&self, global: GlobalIndex) -> &Global;
    /// The value of a constant local of the current body.
    fn local(&self, local: LocalIndex) -> Option<Constant>;
    fn function(&mut self, index: InstanceIndex) -> Option<Arc<Function>>;
    /// Whether function constants have their values.
    fn specialised(&self) -> bool;
}

/// The value of a scalar expression, if it is constant.
pub(crate) fn evaluate(facts: &mut impl Facts, expr: &Expr) -> Evaluated<Constant> {
    Machine { facts, steps: 0, frames: Vec::new() }.run(expr)
}

/// Evaluates constant expressions.
struct Machine<'a, F> {
    facts: &'a mut F,
    steps: u32,
    /// The locals of the active calls, innermost last.
    frames: Vec<HashMap<LocalIndex, Constant>>,
}

/// How a statement ended.
enum Flow {
    Next,
    Break,
    Continue,
    Return(Option<Constant>),
}

impl Facts for Checker {
    fn types(&self) -> &Types {
        &self.types
    }

    fn global(&self, global: GlobalIndex) -> &Global {
        &self.globals[global.0 as usize]
    }

    fn local(&self, local: LocalIndex) -> Option<Constant> {
        self.body.as_ref()?.values.get(local.0 as usize).copied().flatten()
    }

    fn function(&mut self, index: InstanceIndex) -> Option<Arc<Function>> {
        match self.check_instance(index) {
            State::Checked(function) => Some(function),
            _ => None,
        }
    }

    fn specialised(&self) -> bool {
        false
    }
}

impl Checker {
    /// The value of a scalar expression, if it is constant.
    pub(super) fn evaluate(&mut self, expr: &Expr) -> Evaluated<Constant> {
        evaluate(self, expr)
    }
}

impl<F: Facts> Machine<'_, F> {
    fn scalar_of(&self, expr: &Expr) -> Evaluated<Scalar> {
        self.facts.types().as_scalar(expr.qual.ty).ok_or(NotConstant).or_else(|error| {
            match self.facts.types().get(expr.qual.ty) {
                crate::soft::msl::types::Ty::Enum(id) => {
                    Ok(self.facts.types().enumeration(*id).underlying)
                }
                _ => Err(error),
            }
        })
    }

    fn run(&mut self, expr: &Expr) -> Evaluated<Constant> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(NotConstant);
        }
        match &expr.kind {
            ExprKind::Constant(constant) => Ok(*constant),
            ExprKind::Zero => {
                let float = self.scalar_of(expr)?.is_float();
                Ok(if float { Constant::Float(0.0) } else { Constant::Int(0) })
            }
            ExprKind::Load(place) => self.run_load(place),
            ExprKind::Convert(inner) => {
                let value = self.run(inner)?;
                let (from, to) = (self.scalar_of(inner)?, self.scalar_of(expr)?);
                Ok(convert(value, from, to))
            }
            ExprKind::Negate(inner) => {
                let value = self.run(inner)?;
                Ok(negate(value, self.scalar_of(expr)?))
            }
            ExprKind::Not(inner) => match (self.run(inner)?, self.scalar_of(expr)?) {
                (Constant::Int(value), Scalar::Bool) => Ok(Constant::Int(u64::from(value == 0))),
                (Constant::Int(value), scalar) => Ok(Constant::Int(wrap(!value, scalar))),
                _ => Err(NotConstant),
            },
            ExprKind::Binary(op, left, right) => {
                let scalar = self.scalar_of(left)?;
                let left = self.run(left)?;
                let right = self.run(right)?;
                binary(*op, left, right, scalar)
            }
            ExprKind::Logical(and, left, right) => match self.run(left)? {
                Constant::Int(value) if (value != 0) == *and => self.run(right),
                value => Ok(value),
            },
            ExprKind::Conditional(condition, yes, no) => match self.run(condition)? {
                Constant::Int(0) => self.run(no),
                _ => self.run(yes),
            },
            ExprKind::Comma(left, right) => {
                self.run(left)?;
                self.run(right)
            }
            ExprKind::Op(op, arguments) => {
                let mut values = Vec::new();
                for argument in arguments {
                    values.push(self.run(argument)?);
                }
                let scalar = self.scalar_of(arguments.first().ok_or(NotConstant)?)?;
                match (op, &values[..]) {
                    (Op::Min, &[a, b]) => Ok(if less(a, b, scalar) { a } else { b }),
                    (Op::Max, &[a, b]) => Ok(if less(a, b, scalar) { b } else { a }),
                    (Op::Abs, &[a]) => Ok(match a {
                        Constant::Int(value) if (value as i64) < 0 && scalar.is_signed() => {
                            negate(a, scalar)
                        }
                        Constant::Float(value) => Constant::Float(value.abs()),
                        other => other,
                    }),
                    _ => Err(NotConstant),
                }
            }
            ExprKind::Bitcast(inner) => {
                match (self.run(inner)?, self.scalar_of(inner)?, self.scalar_of(expr)?) {
                    (Constant::Int(bits), _, Scalar::F32) => {
                        Ok(Constant::Float(f64::from(f32::from_bits(bits as u32))))
                    }
                    (Constant::Float(value), Scalar::F32, to) if !to.is_float() => {
                        Ok(Constant::Int(wrap(u64::from((value as f32).to_bits()), to)))
                    }
                    (Constant::Int(bits), from, to) if !from.is_float() && !to.is_float() => {
                        Ok(Constant::Int(wrap(bits, to)))
                    }
                    _ => Err(NotConstant),
                }
            }
            ExprKind::Postfix(place, step) => {
                let local = local_of(place)?;
                let old = self.run_load(place)?;
                let scalar = self.scalar_of(place)?;
                let one = if scalar.is_float() {
                    Constant::Float(f64::from(*step))
                } else {
                    Constant::Int(*step as u64)
                };
                let new = binary(Binary::Add, old, one, scalar)?;
                self.store(local, new)?;
                Ok(old)
            }
            ExprKind::Assign(..) | ExprKind::Compound { .. } => self.run_load(expr),
            ExprKind::IsDefined(global) if self.facts.specialised() => {
                let known = self.facts.global(*global).value.is_some();
                Ok(Constant::Int(u64::from(known)))
            }
            ExprKind::Call(index, arguments) => {
                let mut values = Vec::new();
                for argument in arguments {
                    values.push(self.run(argument)?);
                }
                if self.frames.len() as u32 >= MAX_CALLS {
                    return Err(NotConstant);
                }
                let function = self.facts.function(*index).ok_or(NotConstant)?;
                self.run_call(&function, values)
            }
            _ => Err(NotConstant),
        }
    }

    /// The value of an lvalue: a local of an active call, a constant variable, or the result of an assignment.
    fn run_load(&mut self, place: &Expr) -> Evaluated<Constant> {
        match &place.kind {
            ExprKind::Local(local) => match self.frames.last() {
                Some(frame) => frame.get(local).copied().ok_or(NotConstant),
                None => self.facts.local(*local).ok_or(NotConstant),
            },
            ExprKind::Global(global) => {
                let row = self.facts.global(*global);
                match (row.value, &row.init) {
                    (Some(value), _) => Ok(value),
                    // It may depend on function constants, whose values are known by now.
                    (None, Some(init)) if self.facts.specialised() => {
                        let init = init.clone();
                        self.run(&init)
                    }
                    _ => Err(NotConstant),
                }
            }
            ExprKind::Element(base, index) => {
                // `constant int table[] = {1, 2}; table[1]`
                let Constant::Int(at) = self.run(index)? else { return Err(NotConstant) };
                let ExprKind::Global(global) = base.kind else { return Err(NotConstant) };
                let init = self.facts.global(global).init.clone().ok_or(NotConstant)?;
                let ExprKind::Aggregate(parts) = &init.kind else { return Err(NotConstant) };
                let part = parts.get(at as usize).ok_or(NotConstant)?;
                self.run(part)
            }
            ExprKind::Assign(left, right) => {
                let value = self.run(right)?;
                self.store(local_of(left)?, value)?;
                Ok(value)
            }
            ExprKind::Compound { op, left, right, common } => {
                let old = self.run_load(left)?;
                let right = self.run(right)?;
                let own = self.scalar_of(left)?;
                let common = self.facts.types().as_scalar(*common).ok_or(NotConstant)?;
                let sum = binary(*op, convert(old, own, common), right, common)?;
                let value = convert(sum, common, own);
                self.store(local_of(left)?, value)?;
                Ok(value)
            }
            _ => Err(NotConstant),
        }
    }

    fn run_call(&mut self, function: &Function, values: Vec<Constant>) -> Evaluated<Constant> {
        let locals = (0..function.parameters).map(LocalIndex);
        self.frames.push(locals.zip(values).collect());
        let flow = self.run_block(&function.body);
        self.frames.pop();
        match flow? {
            Flow::Return(Some(value)) => Ok(value),
            _ if function.result == Types::VOID => Ok(Constant::Int(0)),
            _ => Err(NotConstant),
        }
    }

    fn run_block(&mut self, block: &[Stmt]) -> Evaluated<Flow> {
        for statement in block {
            let flow = self.run_statement(statement)?;
            if !matches!(flow, Flow::Next) {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn truth(&mut self, expr: &Expr) -> Evaluated<bool> {
        Ok(self.run(expr)? != Constant::Int(0))
    }

    fn run_statement(&mut self, statement: &Stmt) -> Evaluated<Flow> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(NotConstant);
        }
        match &statement.kind {
            StmtKind::Expr(expr) => {
                self.run(expr)?;
            }
            StmtKind::Let(local, init) => {
                if let Some(init) = init {
                    let value = self.run(init)?;
                    self.store(*local, value)?;
                }
            }
            StmtKind::Block(block) => return self.run_block(block),
            StmtKind::If(condition, yes, no) => {
                let branch = if self.truth(condition)? { yes } else { no };
                return self.run_block(branch);
            }
            StmtKind::Loop { condition, after, before, step, body } => {
                let mut first = true;
                loop {
                    self.run_block(before)?;
                    if let Some(condition) = condition
                        && !(first && *after)
                        && !self.truth(condition)?
                    {
                        break;
                    }
                    first = false;
                    match self.run_block(body)? {
                        Flow::Break => break,
                        Flow::Return(value) => return Ok(Flow::Return(value)),
                        Flow::Next | Flow::Continue => {}
                    }
                    if let Some(step) = step {
                        self.run(step)?;
                    }
                    self.steps += 1;
                    if self.steps > MAX_STEPS {
                        return Err(NotConstant);
                    }
                }
            }
            StmtKind::Return(value) => {
                return Ok(Flow::Return(match value {
                    Some(value) => Some(self.run(value)?),
                    None => None,
                }));
            }
            StmtKind::Break => return Ok(Flow::Break),
            StmtKind::Continue => return Ok(Flow::Continue),
            StmtKind::Switch(..) | StmtKind::Case(_) => return Err(NotConstant),
        }
        Ok(Flow::Next)
    }

    fn store(&mut self, local: LocalIndex, value: Constant) -> Evaluated<()> {
        let frame = self.frames.last_mut().ok_or(NotConstant)?;
        frame.insert(local, value);
        Ok(())
    }
}

fn less(a: Constant, b: Constant, scalar: Scalar) -> bool {
    matches!(binary(Binary::Lt, a, b, scalar), Ok(Constant::Int(1)))
}

fn local_of(place: &Expr) -> Evaluated<LocalIndex> {
    match place.kind {
        ExprKind::Local(local) => Ok(local),
        _ => Err(NotConstant),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_nearest_even_with_denormals() {
        assert_eq!(round(65519.9, Scalar::F16), 65504.0);
        assert_eq!(round(65520.0, Scalar::F16), f64::INFINITY);
        assert_eq!(round(1.0 + 2f64.powi(-11), Scalar::F16), 1.0);
        assert_eq!(round(1.0 + 3.0 * 2f64.powi(-11), Scalar::F16), 1.0 + 2f64.powi(-9));
        assert_eq!(round(2f64.powi(-25) * 1.1, Scalar::F16), 2f64.powi(-24));
        assert_eq!(round(1.0 + 2f64.powi(-8), Scalar::BF16), 1.0);
        assert_eq!(round(0.1, Scalar::F32), f64::from(0.1f32));
    }

    #[test]
    fn conversions_wrap_truncate_and_clamp() {
        let int = |value: i64| Constant::Int(value as u64);
        assert_eq!(convert(int(300), Scalar::I32, Scalar::U8), int(44));
        assert_eq!(convert(int(-1), Scalar::I32, Scalar::U32), int(0xffff_ffff));
        assert_eq!(convert(Constant::Float(-1.9), Scalar::F32, Scalar::I32), int(-1));
        assert_eq!(convert(Constant::Float(f64::NAN), Scalar::F32, Scalar::I32), int(0));
        assert_eq!(convert(int(-3), Scalar::I32, Scalar::F32), Constant::Float(-3.0));
        for (value, from, to, kept) in [
            (int(255), Scalar::I32, Scalar::U8, true),
            (int(256), Scalar::I32, Scalar::U8, false),
            (int(-1), Scalar::I32, Scalar::U64, false),
            (int(-1), Scalar::U64, Scalar::I64, false),
            (int(1 << 24), Scalar::I32, Scalar::F32, true),
            (int((1 << 24) + 1), Scalar::I32, Scalar::F32, false),
            (Constant::Float(1.0), Scalar::F32, Scalar::I32, false),
            (Constant::Float(0.1), Scalar::F32, Scalar::F16, true),
            (Constant::Float(1e6), Scalar::F32, Scalar::F16, false),
        ] {
            assert_eq!(fits(value, from, to), kept, "{value:?} {from:?} {to:?}");
        }
    }
}
