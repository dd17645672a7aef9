//! How values vary from lane to lane in a strip, and addresses split into uniform and varying parts.

use crate::soft::ir::facts::affine::is_within;
use crate::soft::ir::facts::uniform::Uniformity;
use crate::soft::ir::hash::FastMap;
use crate::soft::ir::{Address, Function, Input, Inst, Op, Scalar, Space, Type, Value};

/// How a value varies from lane to lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Not at all.
    Same,
    /// A 32-bit number that rises by this step from lane to lane, modulo 2^32.
    Affine(u32),
    /// A 32-bit number that differs from the first lane's by these numbers, modulo 2^32.
    Apart(Numbers),
    /// An integer of up to 32 bits that is known in each lane, in registers' form.
    Known(Numbers),
    /// In any way.
    Any,
}

/// A number for each lane of a SIMD-group: where a table of [`Shapes`] has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers(u32);

/// One number for each lane of a SIMD-group.
pub(crate) type OfLanes = [u32; 32];

/// The lanes of a strip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lanes {
    /// Their number, of which the first lane's index in the threadgroup is a multiple; 0 if it is not known.
    pub(crate) count: u32,
    /// Whether they are neighbours in the first dimension and have the same position in the others, and whether the first one's
    /// position is a multiple of their number.
    pub(crate) rows: bool,
}

impl Lanes {
    /// Any strip.
    pub(crate) const UNKNOWN: Self = Self { count: 0, rows: false };
}

/// The shapes of a function's values.
#[derive(Debug)]
pub(crate) struct Shapes {
    values: Vec<Shape>,
    /// The numbers of lanes that differ in a known way; no row occurs twice.
    numbers: Vec<OfLanes>,
    by_numbers: FastMap<OfLanes, u32>,
}

impl Shapes {
    /// `ours` are the values that the code itself loads: what the interpreter loaded is valid in active lanes only, so it
    /// may vary even if the language says that it is uniform.
    pub(crate) fn of(
        function: &Function,
        uniform: &Uniformity,
        lanes: Lanes,
        ours: impl Fn(Value) -> bool,
    ) -> Self {
        let values = vec![Shape::Any; function.insts.len()];
        let mut shapes = Self { values, numbers: Vec::new(), by_numbers: FastMap::default() };
        // Operands come before their uses in the tree, but not always by number. A few iterations are enough.
        loop {
            let mut changed = false;
            for index in 0..function.insts.len() {
                let value = Value(index as u32);
                if shapes.values[index] != Shape::Any {
                    continue;
                }
                let shape = shapes.find(function, uniform, value, lanes, &ours);
                changed |= shape != Shape::Any;
                shapes.values[index] = shape;
            }
            if !changed {
                return shapes;
            }
        }
    }

    /// The shape of a value.
    pub(crate) fn shape(&self, value: Value) -> Shape {
        self.values[value.index()]
    }

    /// Whether a value is the same in all lanes.
    pub(crate) fn is_same(&self, value: Value) -> bool {
        self.shape(value) == Shape::Same
    }

    /// The step from lane to lane, if it is the same for all lanes.
    pub(crate) fn step(&self, value: Value) -> Option<u32> {
        match self.shape(value) {
            Shape::Same => Some(0),
            Shape::Affine(step) => Some(step),
            Shape::Known(numbers) | Shape::Apart(numbers) => step_of(self.of_lanes(numbers)),
            Shape::Any => None,
        }
    }

    /// The numbers of lanes.
    pub(crate) fn of_lanes(&self, numbers: Numbers) -> &OfLanes {
        &self.numbers[numbers.0 as usize]
    }

    /// The number of a value in each lane, if it is known.
    pub(crate) fn known(&self, value: Value) -> Option<&OfLanes> {
        match self.shape(value) {
            Shape::Known(numbers) => Some(self.of_lanes(numbers)),
            _ => None,
        }
    }

    /// The number that each lane adds to the first lane's, modulo 2^32.
    pub(crate) fn apart(&self, value: Value) -> Option<OfLanes> {
        match self.shape(value) {
            Shape::Same => Some([0; 32]),
            Shape::Affine(step) => Some(std::array::from_fn(|lane| step.wrapping_mul(lane as u32))),
            Shape::Apart(numbers) => Some(*self.of_lanes(numbers)),
            Shape::Known(numbers) => {
                let numbers = self.of_lanes(numbers);
                Some(numbers.map(|number| number.wrapping_sub(numbers[0])))
            }
            Shape::Any => None,
        }
    }

    pub(super) fn numbers(&mut self, numbers: OfLanes) -> Numbers {
        Numbers(*self.by_numbers.entry(numbers).or_insert_with(|| {
            self.numbers.push(numbers);
            self.numbers.len() as u32 - 1
        }))
    }

    fn find(
        &mut self,
        function: &Function,
        uniform: &Uniformity,
        value: Value,
        lanes: Lanes,
        ours: &impl Fn(Value) -> bool,
    ) -> Shape {
        if uniform.values[value.index()] {
            return Shape::Same;
        }
        let inst = function.inst(value);
        if lanes.count == 32
            && let Some(shape) = self.in_known_lanes(function, inst, lanes)
        {
            return shape;
        }
        let rows = lanes.rows;
        let stride = |value: Value| match self.shape(value) {
            Shape::Same => Some(0),
            Shape::Affine(stride) => Some(stride),
            Shape::Apart(_) | Shape::Known(_) | Shape::Any => None,
        };
        let of_stride = |stride: Option<u32>| match stride {
            Some(0) => Shape::Same,
            Some(stride) => Shape::Affine(stride),
            None => Shape::Any,
        };
        let word = matches!(inst.ty, Type::Scalar(Scalar::U32 | Scalar::I32));
        match inst.op {
            Op::Input => match Input::from_imm(inst.imm) {
                Some((Input::ThreadIndexInThreadgroup | Input::ThreadIndexInSimdgroup, _)) => {
                    Shape::Affine(1)
                }
                Some((Input::ThreadPositionInGrid | Input::ThreadPositionInThreadgroup, 0))
                    if rows =>
                {
                    Shape::Affine(1)
                }
                Some((Input::ThreadPositionInGrid | Input::ThreadPositionInThreadgroup, _))
                    if rows =>
                {
                    Shape::Same
                }
                _ => Shape::Any,
            },
            Op::Add if word => of_stride(
                stride(inst.args[0]).zip(stride(inst.args[1])).map(|(a, b)| a.wrapping_add(b)),
            ),
            Op::Sub if word => of_stride(
                stride(inst.args[0]).zip(stride(inst.args[1])).map(|(a, b)| a.wrapping_sub(b)),
            ),
            Op::Mul if word => {
                let by = |a: Value, b: Value| {
                    function.constant_index(b).zip(stride(a)).map(|(b, a)| a.wrapping_mul(b as u32))
                };
                let (a, b) = (inst.args[0], inst.args[1]);
                of_stride(
                    by(a, b)
                        .or_else(|| by(b, a))
                        .or_else(|| (self.is_same(a) && self.is_same(b)).then_some(0)),
                )
            }
            Op::Shl if word => {
                let (a, b) = (inst.args[0], inst.args[1]);
                let by = function.constant_index(b).map(|bits| bits as u32 & 31);
                of_stride(
                    stride(a)
                        .zip(by)
                        .map(|(stride, bits)| stride.wrapping_shl(bits))
                        .or_else(|| (self.is_same(a) && self.is_same(b)).then_some(0)),
                )
            }
            // The same bits in another type of 32 bits.
            Op::Convert | Op::Bitcast
                if word
                    && matches!(
                        function.ty(inst.args[0]),
                        Type::Scalar(Scalar::U32 | Scalar::I32)
                    ) =>
            {
                self.shape(inst.args[0])
            }
            Op::Lt | Op::Le if is_between_strips(function, inst, lanes) => Shape::Same,
            Op::Load if ours(value) => match address(function, self, inst.args[0]) {
                Some((start, sum)) if sum.lanes.is_empty() && !start.is_thread() => Shape::Same,
                _ => Shape::Any,
            },
            // Addresses split these instead.
            _ if matches!(inst.ty, Type::Scalar(Scalar::I64 | Scalar::U64)) => Shape::Any,
            op if !op.is_free() && op.row().effect == crate::soft::ir::Effect::Pure => {
                if inst.args.iter().all(|&arg| self.is_same(arg)) {
                    Shape::Same
                } else {
                    Shape::Any
                }
            }
            _ => Shape::Any,
        }
    }
}

/// The step from lane to lane, if it is the same for all lanes.
pub(super) fn step_of(numbers: &OfLanes) -> Option<u32> {
    let step = numbers[1].wrapping_sub(numbers[0]);
    numbers.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step).then_some(step)
}

/// Whether a comparison of a thread's position with a constant has one result in each strip, because it changes from one strip to
/// the next: at `c` for `x < c` and its negation `c <= x`, and at `c + 1` for `x <= c` and `c < x`.
fn is_between_strips(function: &Function, inst: &Inst, lanes: Lanes) -> bool {
    let [a, b] = [inst.args[0], inst.args[1]];
    let (position, change) = match (function.constant_index(a), function.constant_index(b)) {
        (None, Some(bound)) => (a, bound + i64::from(inst.op == Op::Le)),
        (Some(bound), None) => (b, bound + i64::from(inst.op == Op::Lt)),
        _ => return false,
    };
    lanes.count != 0
        && change % i64::from(lanes.count) == 0
        && is_multiple_at_first(function, position, lanes.rows)
}

/// Whether a value is a position that, in a strip's first lane, is a multiple of the strip's length, and rises by one from lane
/// to lane.
pub(super) fn is_multiple_at_first(function: &Function, value: Value, rows: bool) -> bool {
    let inst = function.inst(value);
    match inst.op {
        Op::Input => match Input::from_imm(inst.imm) {
            Some((Input::ThreadIndexInThreadgroup | Input::ThreadIndexInSimdgroup, _)) => true,
            Some((Input::ThreadPositionInThreadgroup, 0)) => rows,
            _ => false,
        },
        Op::Convert | Op::Bitcast => {
            let word = |ty| matches!(ty, Type::Scalar(Scalar::U32 | Scalar::I32));
            let from = inst.args[0];
            word(inst.ty) && word(function.ty(from)) && is_multiple_at_first(function, from, rows)
        }
        _ => false,
    }
}

/// A 64-bit number as a sum of uniform values and varying 32-bit indices.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    /// Uniform values, and the factor of each.
    pub(crate) same: Vec<(Value, i64)>,
    /// Varying values, and the factor of each. Those of 32 bits are extended by the sign of their type.
    pub(crate) lanes: Vec<(Value, i64)>,
    pub(crate) constant: i64,
}

/// Where an access starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// A region of the launch: the number of an allocation, plus one.
    Region(u32),
    /// A uniform pointer.
    Pointer(Value),
    /// A local in thread memory, by number.
    Local(u32),
    /// A uniform pointer into thread memory.
    ThreadPointer(Value),
}

impl Start {
    /// The pointer, if it is one.
    pub(crate) fn pointer(self) -> Option<Value> {
        match self {
            Self::Pointer(pointer) | Self::ThreadPointer(pointer) => Some(pointer),
            Self::Region(_) | Self::Local(_) => None,
        }
    }

    /// Whether it is in thread memory.
    pub(crate) fn is_thread(self) -> bool {
        matches!(self, Self::Local(_) | Self::ThreadPointer(_))
    }
}

/// The largest number of varying indices of an address, and of uniform ones.
const MAX_TERMS: usize = 3;
const MAX_SAME: usize = 16;
/// The depth to which 64-bit sums are split.
const MAX_DEPTH: u32 = 16;

/// Splits the address of an access; `None` if this back end has no code for it.
pub(crate) fn address(
    function: &Function,
    shapes: &Shapes,
    pointer: Value,
) -> Option<(Start, Sum)> {
    let thread = function.ty(pointer).space() == Some(Space::Thread);
    let address = Address::of(function, pointer);
    let inst = function.inst(address.base);
    let start = match inst.op {
        Op::Local => Start::Local(inst.imm as u32),
        Op::Allocation if thread => return None,
        Op::Allocation => Start::Region(inst.imm as u32 + 1),
        _ if shapes.is_same(address.base) && thread => Start::ThreadPointer(address.base),
        _ if shapes.is_same(address.base) => Start::Pointer(address.base),
        _ => return None,
    };
    let mut sum = Sum { constant: address.bytes, ..Sum::default() };
    for (index, scale) in address.terms {
        sum.add(function, shapes, index, scale, 0)?;
    }
    (sum.lanes.len() <= MAX_TERMS).then_some((start, sum))
}

impl Sum {
    /// Adds an index times a scale. 64-bit arithmetic is split, since it wraps only where the sum does.
    fn add(
        &mut self,
        function: &Function,
        shapes: &Shapes,
        index: Value,
        scale: i64,
        depth: u32,
    ) -> Option<()> {
        // A sum that is added to itself repeatedly would become long.
        if depth > MAX_DEPTH || self.lanes.len() > MAX_TERMS || self.same.len() > MAX_SAME {
            return None;
        }
        let depth = depth + 1;
        let ty = function.ty(index);
        let scalar = ty.scalar()?;
        if let Some(number) = function.constant_index(index) {
            self.constant = self.constant.wrapping_add(number.wrapping_mul(scale));
            return Some(());
        }
        if shapes.is_same(index) {
            self.same.push((index, scale));
            return Some(());
        }
        if scalar.bytes() <= 4 {
            return self.add_lanes(index, scale);
        }
        let inst = function.inst(index);
        match inst.op {
            Op::Convert => {
                let from = function.ty(inst.args[0]).scalar()?;
                // A narrower value is extended by the sign of its own type.
                if !from.is_int() {
                    return self.add_lanes(index, scale);
                }
                self.add(function, shapes, inst.args[0], scale, depth)
            }
            Op::Add => {
                self.add(function, shapes, inst.args[0], scale, depth)?;
                self.add(function, shapes, inst.args[1], scale, depth)
            }
            Op::Sub => {
                self.add(function, shapes, inst.args[0], scale, depth)?;
                self.add(function, shapes, inst.args[1], scale.wrapping_neg(), depth)
            }
            Op::Mul => {
                let (a, b) = (inst.args[0], inst.args[1]);
                match (function.constant_index(a), function.constant_index(b)) {
                    (_, Some(by)) => self.add(function, shapes, a, scale.wrapping_mul(by), depth),
                    (Some(by), _) => self.add(function, shapes, b, scale.wrapping_mul(by), depth),
                    _ => self.add_lanes(index, scale),
                }
            }
            Op::Shl => {
                let Some(by) = function.constant_index(inst.args[1]) else {
                    return self.add_lanes(index, scale);
                };
                let by = by as u32 & 63;
                self.add(function, shapes, inst.args[0], scale.wrapping_shl(by), depth)
            }
            _ => self.add_lanes(index, scale),
        }
    }

    /// Adds a varying index. Only scales for which a 32-bit product can be checked are accepted.
    fn add_lanes(&mut self, index: Value, scale: i64) -> Option<()> {
        if scale == 0 || !is_within(scale, 1 << 20) {
            return None;
        }
        self.lanes.push((index, scale));
        Some(())
    }
}
