//! Numbers that are known in each lane of a SIMD-group, or whose differences from lane to lane are: what arithmetic makes of the
//! lane's index.

use super::shape::{Lanes, OfLanes, Shape, Shapes, is_multiple_at_first, step_of};
use crate::soft::ir::passes::fold;
use crate::soft::ir::{Effect, Function, Input, Inst, Op, Scalar, Type, Value};
use crate::soft::kernel::limits;

/// How many operands are followed to find one range.
const PATIENCE: u32 = 64;

impl Shapes {
    /// The shape of an instruction whose result is known in each lane, or differs from lane to lane in a known way. The
    /// strip has the lanes of a SIMD-group.
    pub(super) fn in_known_lanes(
        &mut self,
        function: &Function,
        inst: &Inst,
        lanes: Lanes,
    ) -> Option<Shape> {
        if let (Op::Input, Some((input, _))) = (inst.op, Input::from_imm(inst.imm)) {
            let mask = match input {
                Input::ThreadIndexInSimdgroup => u32::MAX,
                Input::ThreadIndexInQuadgroup => 3,
                _ => return None,
            };
            let numbers = std::array::from_fn(|lane| lane as u32 & mask);
            return Some(self.of_numbers(numbers));
        }
        let ours = short(inst.ty).is_some()
            && inst.args.iter().all(|&arg| short(function.ty(arg)).is_some());
        if !ours || inst.args.is_empty() || inst.op.row().effect != Effect::Pure {
            return None;
        }
        let is_known =
            |&arg: &Value| self.known(arg).is_some() || function.inst(arg).op == Op::Const;
        if inst.args.iter().all(is_known) {
            let mut numbers = [0; 32];
            for (lane, number) in numbers.iter_mut().enumerate() {
                let bits = inst.args.iter().map(|&arg| match self.known(arg) {
                    Some(numbers) => numbers[lane].into(),
                    None => function.inst(arg).imm,
                });
                let (_, bits) = fold::result(function, inst, &bits.collect::<Vec<_>>())?;
                *number = bits as u32;
            }
            return Some(self.of_numbers(numbers));
        }
        if let Some(shape) = self.part_of_aligned(function, inst, lanes) {
            return Some(shape);
        }
        let apart = self.differences(function, inst)?;
        Some(self.of_differences(apart))
    }

    /// Equal numbers are one for the strip, as they are for strips whose lanes have other numbers.
    fn of_numbers(&mut self, numbers: OfLanes) -> Shape {
        match numbers.iter().all(|&number| number == numbers[0]) {
            true => Shape::Same,
            false => Shape::Known(self.numbers(numbers)),
        }
    }

    fn of_differences(&mut self, apart: OfLanes) -> Shape {
        match step_of(&apart) {
            Some(0) => Shape::Same,
            Some(step) => Shape::Affine(step),
            None => Shape::Apart(self.numbers(apart)),
        }
    }

    /// The differences of an instruction's results from the first lane's.
    fn differences(&self, function: &Function, inst: &Inst) -> Option<OfLanes> {
        let [a, b] = [0, 1].map(|at| inst.args.get(at).copied());
        if matches!(inst.op, Op::Convert | Op::Bitcast) {
            let (to, (least, most)) =
                (short(inst.ty)?, self.range(function, a?, &mut PATIENCE.clone())?);
            // Registers have numbers of all types in the same form.
            let fits =
                to.bytes() == 4 || bounds(to).is_some_and(|(from, to)| from <= least && most <= to);
            return fits.then(|| self.apart(a?)).flatten();
        }
        let word = |ty| matches!(ty, Type::Scalar(Scalar::U32 | Scalar::I32));
        if !word(inst.ty) || !inst.args.iter().all(|&arg| word(function.ty(arg))) {
            return None;
        }
        let both = |f: fn(u32, u32) -> u32| -> Option<OfLanes> {
            let (a, b) = (self.apart(a?)?, self.apart(b?)?);
            Some(std::array::from_fn(|lane| f(a[lane], b[lane])))
        };
        let times = |value: Option<Value>, by: Option<Value>| -> Option<OfLanes> {
            let by = function.constant_index(by?)? as u32;
            Some(self.apart(value?)?.map(|number| number.wrapping_mul(by)))
        };
        match inst.op {
            Op::Add => both(u32::wrapping_add),
            Op::Sub => both(u32::wrapping_sub),
            Op::Mul => times(a, b).or_else(|| times(b, a)),
            Op::Shl => {
                let bits = shift_count(function, inst)?;
                self.apart(a?).map(|all| all.map(|number| number << bits))
            }
            _ => None,
        }
    }

    /// A quotient or a remainder by a power of two that divides the first lane's number, of numbers that are not negative.
    fn part_of_aligned(&mut self, function: &Function, inst: &Inst, lanes: Lanes) -> Option<Shape> {
        let [a, b] = [*inst.args.first()?, *inst.args.get(1)?];
        let by = function.constant_index(b)?;
        let (by, quotient) = match inst.op {
            Op::Div => (by, true),
            Op::Shr => (1 << shift_count(function, inst)?, true),
            Op::Rem => (by, false),
            Op::And => (by + 1, false),
            _ => return None,
        };
        let by = u32::try_from(by).ok().filter(|by| by.is_power_of_two())?;
        let apart = self.apart(a)?;
        let (least, most) = self.range(function, a, &mut PATIENCE.clone())?;
        let is_positive = least >= 0 && most < 1 << 31 && apart.iter().all(|&up| up < 1 << 31);
        if !is_positive
            || self.zeros(function, a, lanes, &mut PATIENCE.clone()) < by.trailing_zeros()
        {
            return None;
        }
        Some(match quotient {
            true => self.of_differences(apart.map(|up| up / by)),
            false => self.of_numbers(apart.map(|up| up % by)),
        })
    }

    /// The number of low bits that are 0 in the first lane.
    fn zeros(&self, function: &Function, value: Value, lanes: Lanes, left: &mut u32) -> u32 {
        let inst = function.inst(value);
        if let Some(number) = function.constant_index(value) {
            return number.trailing_zeros();
        }
        if let Some(numbers) = self.known(value) {
            return numbers[0].trailing_zeros();
        }
        if *left == 0 || short(inst.ty).is_none() {
            return 0;
        }
        *left -= 1;
        if is_multiple_at_first(function, value, lanes.rows) {
            return lanes.count.trailing_zeros();
        }
        let mut of = |at: usize| self.zeros(function, inst.args[at], lanes, left);
        let zeros = match inst.op {
            Op::Add | Op::Sub | Op::Or => of(0).min(of(1)),
            Op::And => of(0).max(of(1)),
            Op::Mul => of(0) + of(1),
            Op::Shl => of(0) + shift_count(function, inst).unwrap_or(0),
            Op::Convert | Op::Bitcast if short(function.ty(inst.args[0])).is_some() => of(0),
            _ => 0,
        };
        zeros.min(32)
    }

    /// The least and the largest number that a value may have.
    fn range(&self, function: &Function, value: Value, left: &mut u32) -> Option<(i64, i64)> {
        let inst = function.inst(value);
        let scalar = short(inst.ty)?;
        let all = bounds(scalar)?;
        if let Some(number) = function.constant_index(value) {
            return Some((number, number));
        }
        if let Some(numbers) = self.known(value) {
            let signed = |number: u32| i64::from(number as i32);
            let numbers = numbers
                .map(|number| if scalar.is_signed() { signed(number) } else { number.into() });
            return numbers.iter().copied().min().zip(numbers.iter().copied().max());
        }
        if *left == 0 {
            return Some(all);
        }
        *left -= 1;
        let mut of = |at: usize| self.range(function, *inst.args.get(at)?, left);
        let threads = i64::from(limits::THREADS);
        let found = match inst.op {
            Op::Input => match Input::from_imm(inst.imm)?.0 {
                Input::ThreadIndexInSimdgroup | Input::SimdgroupIndexInThreadgroup => Some((0, 31)),
                Input::ThreadIndexInQuadgroup => Some((0, 3)),
                Input::ThreadIndexInThreadgroup | Input::ThreadPositionInThreadgroup => {
                    Some((0, threads - 1))
                }
                Input::ThreadsPerThreadgroup => Some((0, threads)),
                _ => None,
            },
            Op::Convert => of(0),
            Op::Add => of(0).zip(of(1)).map(|(a, b)| (a.0 + b.0, a.1 + b.1)),
            Op::Sub => of(0).zip(of(1)).map(|(a, b)| (a.0 - b.1, a.1 - b.0)),
            Op::Mul => of(0).zip(of(1)).and_then(|(a, b)| {
                // Products of more than 31 bits do not fit anyway.
                let small = |(least, most): (i64, i64)| least >= 0 && most < 1 << 31;
                (small(a) && small(b)).then(|| (a.0 * b.0, a.1 * b.1))
            }),
            Op::Shl => {
                let by = shift_count(function, inst);
                of(0).zip(by).map(|((least, most), by)| (least << by, most << by))
            }
            Op::And => {
                let [a, b] = [of(0), of(1)].map(|range| range.filter(|&(least, _)| least >= 0));
                let most = a.map(|a| a.1).into_iter().chain(b.map(|b| b.1)).min();
                most.map(|most| (0, most))
            }
            Op::Shr => {
                let by = shift_count(function, inst);
                let positive = of(0).filter(|&(least, _)| least >= 0);
                positive.zip(by).map(|((least, most), by)| (least >> by, most >> by))
            }
            Op::Div | Op::Rem => {
                let by = function.constant_index(*inst.args.get(1)?).filter(|&by| by > 0);
                let positive = of(0).filter(|&(least, _)| least >= 0);
                match (inst.op, positive, by) {
                    (Op::Div, Some((least, most)), Some(by)) => Some((least / by, most / by)),
                    (Op::Rem, Some((_, most)), Some(by)) => Some((0, most.min(by - 1))),
                    _ => None,
                }
            }
            _ => None,
        };
        // Sums that do not fit wrap.
        Some(found.filter(|found| all.0 <= found.0 && found.1 <= all.1).unwrap_or(all))
    }
}

/// By how many bits a shift moves its first operand, if that is constant: the count modulo the operand's width.
fn shift_count(function: &Function, inst: &Inst) -> Option<u32> {
    let [value, by] = [*inst.args.first()?, *inst.args.get(1)?];
    let bits = 8 * short(function.ty(value))?.bytes();
    Some(function.constant_index(by)? as u32 & (bits - 1))
}

/// An integer type of up to 32 bits.
fn short(ty: Type) -> Option<Scalar> {
    let Type::Scalar(scalar) = ty else { return None };
    (scalar.is_int() && scalar.bytes() <= 4).then_some(scalar)
}

/// The least and the largest number of such a type.
fn bounds(scalar: Scalar) -> Option<(i64, i64)> {
    let bits = 8 * scalar.bytes();
    (scalar.is_int() && bits <= 32).then(|| match scalar.is_signed() {
        true => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        false => (0, (1 << bits) - 1),
    })
}
