//! Textures (MSL 6.12): member functions become operations on four coordinates and pixels of four 32-bit words.

use super::Body;
use crate::soft::ir::{Bound, Op, Sampler, Scalar, TextureAtomic, TextureSide, Type, Value};
use crate::soft::msl::check::texture::{Operation, Role, TextureCall};
use crate::soft::msl::hir::{Constant, Expr};
use crate::soft::msl::texture::{Kind, Texture};
use crate::soft::msl::types::Ty;

/// The arguments of a call by their role.
#[derive(Default)]
struct Given {
    sampler: Option<Value>,
    coordinates: Option<Value>,
    pixel: Option<Value>,
    face: Option<Value>,
    element: Option<Value>,
    sample: Option<Value>,
    value: Option<Value>,
    /// The pointer to the expected value of a pixel.
    expected: Option<Value>,
    compared: Option<Value>,
    /// A level of detail, or a bias.
    lod: Option<Value>,
    /// The pointer to the gradients.
    gradient: Option<Value>,
    least: Option<Value>,
    offset: Option<Value>,
    component: u64,
    level: Option<Value>,
}

impl Body<'_, '_> {
    /// The value of a sampler argument that is omitted.
    pub(super) fn absent_sampler(&mut self) -> Value {
        self.b.constant(Scalar::U64, Sampler::default().0)
    }

    /// `is_null_texture`: a null texture has no levels.
    pub(super) fn is_null_texture(&mut self, texture: &Expr) -> Value {
        let texture = self.value(texture);
        let zero = self.b.u32(0);
        let levels = self.b.texture_size(TextureSide::Levels, texture, zero);
        self.b.op(Op::Eq, &[levels, zero])
    }

    /// A call of a member function, whose first argument is the texture.
    pub(super) fn texture(&mut self, call: TextureCall, arguments: &[Expr]) -> Value {
        let Some((object, arguments)) = arguments.split_first() else { return self.b.i32(0) };
        let Ty::Texture(ty) = *self.module.types.get(object.qual.ty) else {
            return self.b.i32(0);
        };
        let kind = ty.kind();
        let texture = self.value(object);
        let (roles, _) = call.roles(kind);
        let mut given = Given::default();
        for ((role, _), argument) in roles.into_iter().zip(arguments) {
            self.argument(&mut given, role, argument);
        }
        let zero = self.b.u32(0);
        let level = given.level.unwrap_or(zero);
        match call.operation() {
            Operation::Read => {
                let at = self.pixel_position(&given, kind);
                let pixel = self.b.op(Op::TextureRead, &[texture, at, level]);
                self.pixel_value(pixel, ty)
            }
            Operation::Write => {
                let at = self.pixel_position(&given, kind);
                let Some(value) = given.value else { return zero };
                let pixel = self.words(value);
                self.b.op(Op::TextureWrite, &[texture, at, level, pixel]);
                zero
            }
            Operation::Sample
            | Operation::SampleCompare
            | Operation::Gather
            | Operation::GatherCompare => self.sampled(call.operation(), texture, ty, &given),
            Operation::Width => self.b.texture_size(TextureSide::Width, texture, level),
            Operation::Height => self.b.texture_size(TextureSide::Height, texture, level),
            Operation::Depth => self.b.texture_size(TextureSide::Depth, texture, level),
            // The samples of a pixel are its images.
            Operation::Samples => self.b.texture_size(TextureSide::Depth, texture, zero),
            Operation::Elements => self.b.texture_size(TextureSide::Elements, texture, zero),
            // MSL 6.12.1: always 0 for one dimension.
            Operation::Levels if kind.sides == 1 => zero,
            Operation::Levels => self.b.texture_size(TextureSide::Levels, texture, zero),
            // A thread's reads see its own writes anyway.
            Operation::Fence => zero,
            Operation::Atomic(_)
            | Operation::AtomicSub
            | Operation::AtomicLoad
            | Operation::AtomicStore => self.atomic_function(call.operation(), texture, ty, &given),
        }
    }

    /// An atomic function of the integer in a pixel, which is the first component of its value.
    fn atomic_function(
        &mut self,
        operation: Operation,
        texture: Value,
        ty: Texture,
        given: &Given,
    ) -> Value {
        let zero = self.b.u32(0);
        let at = self.pixel_position(given, ty.kind());
        let first = |body: &mut Self, value: Value| {
            let words = body.words(value);
            body.b.extract(words, 0)
        };
        let mut operand = given.value.map_or(zero, |value| first(self, value));
        let function = match operation {
            Operation::Atomic(TextureAtomic::Min) if ty.scalar == Scalar::U32 => {
                TextureAtomic::UnsignedMin
            }
            Operation::Atomic(TextureAtomic::Max) if ty.scalar == Scalar::U32 => {
                TextureAtomic::UnsignedMax
            }
            Operation::Atomic(function) => function,
            Operation::AtomicSub => {
                operand = self.b.op(Op::Neg, &[operand]);
                TextureAtomic::Add
            }
            Operation::AtomicStore => TextureAtomic::Exchange,
            // A load changes no bit.
            _ => TextureAtomic::Or,
        };
        let vector = Type::Vector(ty.scalar, 4);
        let expected = given.expected.map(|pointer| {
            let value = self.b.load(pointer, vector);
            (pointer, first(self, value))
        });
        let wanted = expected.map_or(zero, |expected| expected.1);
        let operands = [texture, at, operand, wanted];
        let old = self.b.emit(Op::TextureAtomic, Type::U32, &operands, function as u64);
        let one = self.b.u32(1);
        let pixel = self.b.op(Op::Compose, &[old, zero, zero, one]);
        let pixel = self.b.bitcast(pixel, vector);
        let Some((pointer, wanted)) = expected else { return pixel };
        // The old value is stored for the next attempt.
        self.b.store(pointer, pixel);
        self.b.op(Op::Eq, &[old, wanted])
    }

    fn argument(&mut self, given: &mut Given, role: Role, argument: &Expr) {
        if role == Role::Component {
            match self.known(argument) {
                Some(Constant::Int(number)) => given.component = number & 3,
                _ => self.error("the component of a gather must be a constant"),
            }
            return;
        }
        // Level, bias and gradients are structs: the value is their address.
        let value = self.value(argument);
        match role {
            Role::Sampler => given.sampler = Some(value),
            Role::Coordinates => given.coordinates = Some(value),
            Role::Pixel => given.pixel = Some(value),
            Role::Face => given.face = Some(value),
            Role::Element => given.element = Some(value),
            Role::Sample => given.sample = Some(value),
            Role::Value => given.value = Some(value),
            Role::Expected => given.expected = Some(value),
            Role::Compared => given.compared = Some(value),
            Role::Level | Role::Bias => {
                given.lod = Some(self.b.load(value, Type::Scalar(Scalar::F32)));
            }
            Role::LeastLevel => {
                given.least = Some(self.b.load(value, Type::Scalar(Scalar::F32)));
            }
            Role::Gradient => given.gradient = Some(value),
            Role::Offset => given.offset = Some(value),
            Role::WholeLevel => given.level = Some(self.wide(value)),
            Role::Component => {}
        }
    }

    /// An unsigned integer as `uint`.
    fn wide(&mut self, value: Value) -> Value {
        let ty = self.b.ty(value).with_scalar(Scalar::U32);
        self.b.convert(value, ty)
    }

    /// A vector of `n` components; missing ones are 0.
    fn filled(&mut self, mut parts: Vec<Value>, scalar: Scalar, width: usize) -> Value {
        let zero = self.b.constant(scalar, 0);
        parts.resize(width, zero);
        self.b.op(Op::Compose, &parts)
    }

    /// x, y, z or face or sample, element.
    fn pixel_position(&mut self, given: &Given, kind: &Kind) -> Value {
        let zero = self.b.u32(0);
        let mut parts = match given.pixel {
            Some(pixel) => {
                let pixel = self.wide(pixel);
                self.components(pixel)
            }
            None => Vec::new(),
        };
        parts.resize(3, zero);
        if kind.cube
            && let Some(face) = given.face
        {
            parts[2] = self.wide(face);
        }
        if let Some(sample) = given.sample {
            parts[2] = self.wide(sample);
        }
        parts.push(given.element.map_or(zero, |element| self.wide(element)));
        self.b.op(Op::Compose, &parts)
    }

    fn sampled(
        &mut self,
        operation: Operation,
        texture: Value,
        ty: Texture,
        given: &Given,
    ) -> Value {
        let zero = self.b.constant(Scalar::F32, 0);
        let (Some(sampler), Some(coordinates)) = (given.sampler, given.coordinates) else {
            return zero;
        };
        let mut at = self.components(coordinates);
        at.resize(3, zero);
        // An element's index fits a float: there are at most 2048, and larger indices are clamped.
        at.push(given.element.map_or(zero, |e| self.b.convert(e, Type::Scalar(Scalar::F32))));
        let at = self.b.op(Op::Compose, &at);
        let offset = given.offset.map_or_else(Vec::new, |offset| self.components(offset));
        let offset = self.filled(offset, Scalar::I32, 3);
        let compared = given.compared.unwrap_or(zero);
        match operation {
            Operation::Gather => {
                let args = [texture, sampler, at, offset];
                let found = self.b.emit(Op::TextureGather, Type::Void, &args, given.component);
                self.whole_pixel(found, ty)
            }
            Operation::GatherCompare => {
                let args = [texture, sampler, at, offset, compared];
                self.b.op(Op::TextureGatherCompare, &args)
            }
            _ => {
                let mut lod = given.lod.unwrap_or(zero);
                if let Some(gradient) = given.gradient {
                    lod = self.gradient_lod(texture, ty.kind(), coordinates, gradient);
                }
                if let Some(least) = given.least {
                    lod = self.b.op(Op::Max, &[lod, least]);
                }
                if operation == Operation::SampleCompare {
                    let args = [texture, sampler, at, offset, lod, compared];
                    return self.b.op(Op::TextureCompare, &args);
                }
                let found = self.b.op(Op::TextureSample, &[texture, sampler, at, offset, lod]);
                self.pixel_value(found, ty)
            }
        }
    }

    /// The level at which the longer gradient has the length of one pixel. On a cube, gradients are those of the
    /// direction, taken as if it had length 1 and the face were near.
    fn gradient_lod(
        &mut self,
        texture: Value,
        kind: &Kind,
        coordinates: Value,
        gradient: Value,
    ) -> Value {
        let float = Type::Scalar(Scalar::F32);
        let width = self.b.ty(coordinates).width();
        let vector = Type::of(Scalar::F32, width);
        let zero = self.b.u32(0);
        let sides = [TextureSide::Width, TextureSide::Height, TextureSide::Depth];
        let mut size: Vec<Value> = (0..width as usize)
            .map(|axis| {
                let side = if kind.cube { TextureSide::Width } else { sides[axis] };
                let size = self.b.texture_size(side, texture, zero);
                self.b.convert(size, float)
            })
            .collect();
        if kind.cube {
            let half = self.constant(Constant::Float(0.5), float);
            size.iter_mut().for_each(|size| *size = self.b.mul(*size, half));
        }
        let size = self.b.op(Op::Compose, &size);
        // `float3` has the size of four components (MSL 2.2).
        let stride = if width == 3 { 16 } else { i64::from(vector.bytes()) };
        let squares = [0, stride].map(|offset| {
            let at = self.b.field(gradient, offset);
            let step = self.b.load(at, vector);
            let step = self.b.mul(step, size);
            self.b.op(Op::Dot, &[step, step])
        });
        let longer = self.b.op(Op::Max, &squares);
        let log = self.b.op(Op::Log2, &[longer]);
        let half = self.constant(Constant::Float(0.5), float);
        self.b.mul(log, half)
    }

    /// The result of a member function from a pixel's words: a depth is the first of them.
    fn pixel_value(&mut self, words: Value, ty: Texture) -> Value {
        let pixel = self.whole_pixel(words, ty);
        if ty.kind().depth { self.b.extract(pixel, 0) } else { pixel }
    }

    /// A pixel's words as a vector of the texture's type; integers are clamped to its range (MSL 8.7.6).
    fn whole_pixel(&mut self, words: Value, ty: Texture) -> Value {
        let wide = Type::Vector(ty.scalar.widened(), 4);
        let mut pixel = self.b.bitcast(words, wide);
        let ends: &[(Op, i64)] = match ty.scalar {
            Scalar::I16 => &[(Op::Max, i16::MIN as i64), (Op::Min, i16::MAX as i64)],
            Scalar::U16 => &[(Op::Min, u16::MAX as i64)],
            _ => &[],
        };
        for &(op, end) in ends {
            let end = self.constant(Constant::Int(end as u64), wide);
            pixel = self.b.op(op, &[pixel, end]);
        }
        self.b.convert(pixel, Type::Vector(ty.scalar, 4))
    }

    /// A pixel's words.
    fn words(&mut self, value: Value) -> Value {
        let ty = self.b.ty(value);
        let wide = ty.scalar().map_or(Scalar::U32, Scalar::widened);
        let value = self.b.convert(value, ty.with_scalar(wide));
        self.b.bitcast(value, Type::Vector(Scalar::U32, 4))
    }

    /// Textures or samplers that the host binds, starting at an index: one, or an array of them in memory.
    pub(super) fn bound(&mut self, op: Op, name: &str, index: u32, count: Option<u32>) -> Value {
        let one = |body: &mut Self, at: u32| {
            let list = match op {
                Op::Texture => &mut body.module.textures,
                _ => &mut body.module.samplers,
            };
            let number = list.len() as u64;
            list.push(Bound { name: name.to_owned(), index: index + at });
            body.b.free(op, Type::U64, number)
        };
        let Some(count) = count else { return one(self, 0) };
        let memory = self.b.local_handles(name, count);
        for at in 0..count {
            let value = one(self, at);
            let place = self.b.field(memory, i64::from(at) * 8);
            self.b.store(place, value);
        }
        memory
    }
}
