//! Prints modules, for people and for snapshot tests.

use std::fmt::{Display, Formatter, Result, Write};

use super::{
    AllocationId, AllocationKind, Barrier, Block, Expected, Function, Imm, Input, Inst, LocalId,
    Module, Op, Probe, Scalar, Stmt, TextureAtomic, TextureSide, Type, Value, VarId,
};

impl Display for Module {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        writeln!(out, "kernel {}", self.name)?;
        for (number, allocation) in self.allocations.iter().enumerate() {
            write!(out, "  @{number} {}: ", allocation.name)?;
            match &allocation.kind {
                AllocationKind::Buffer { index, writable, space } => {
                    let access = if *writable { "" } else { " const" };
                    writeln!(out, "{space}{access} buffer({index})")?;
                }
                AllocationKind::Table(bytes) => writeln!(out, "table of {} bytes", bytes.len())?,
                AllocationKind::Threadgroup(bytes) => {
                    writeln!(out, "threadgroup memory of {bytes} bytes")?;
                }
                AllocationKind::ThreadgroupArgument { index } => {
                    writeln!(out, "threadgroup({index})")?;
                }
            }
        }
        for (kind, list) in [("texture", &self.textures), ("sampler", &self.samplers)] {
            for (number, bound) in list.iter().enumerate() {
                writeln!(out, "  {kind}{number} {}: {kind}({})", bound.name, bound.index)?;
            }
        }
        for (number, function) in self.functions.iter().enumerate() {
            let entry = if number == self.entry.index() { " entry" } else { "" };
            write!(out, "f{number}{entry} {function}")?;
        }
        Ok(())
    }
}

impl Display for Function {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        write!(out, "{}(", self.name)?;
        for (number, ty) in self.params.iter().enumerate() {
            write!(out, "{}{ty}", if number == 0 { "" } else { ", " })?;
        }
        writeln!(out, ") -> {} {{", self.result)?;
        for (number, variable) in self.variables.iter().enumerate() {
            writeln!(out, "  var ${number} {}: {}", variable.name, variable.ty)?;
        }
        for (number, local) in self.locals.iter().enumerate() {
            writeln!(out, "  local{number} {}: {} bytes", local.name, local.bytes)?;
        }
        block(self, &self.body, 1, out)?;
        writeln!(out, "}}")
    }
}

fn block(function: &Function, stmts: &Block, depth: usize, out: &mut Formatter<'_>) -> Result {
    for stmt in stmts {
        let indent = depth * 2;
        write!(out, "{:indent$}", "")?;
        match stmt {
            Stmt::Do(value) => writeln!(out, "{}", Line(function, *value))?,
            Stmt::If(condition, then, otherwise) => {
                writeln!(out, "if {} {{", Operand(function, *condition))?;
                block(function, then, depth + 1, out)?;
                if !otherwise.is_empty() {
                    writeln!(out, "{:indent$}}} else {{", "")?;
                    block(function, otherwise, depth + 1, out)?;
                }
                writeln!(out, "{:indent$}}}", "")?;
            }
            Stmt::Loop { body, next, .. } => {
                writeln!(out, "loop {{")?;
                block(function, body, depth + 1, out)?;
                if !next.is_empty() {
                    writeln!(out, "{:indent$}}} next {{", "")?;
                    block(function, next, depth + 1, out)?;
                }
                writeln!(out, "{:indent$}}}", "")?;
            }
            Stmt::Break => writeln!(out, "break")?,
            Stmt::Continue => writeln!(out, "continue")?,
            Stmt::Return(None) => writeln!(out, "return")?,
            Stmt::Return(Some(value)) => writeln!(out, "return {}", Operand(function, *value))?,
            Stmt::Call { func, args, result, .. } => {
                if let Some(result) = result {
                    write!(out, "{result}: {} = ", function.ty(*result))?;
                }
                write!(out, "call {func}")?;
                operands(function, args, out)?;
                out.write_char('\n')?;
            }
        }
    }
    Ok(())
}

/// One instruction, without the end of its line.
pub(crate) struct Line<'a>(pub(crate) &'a Function, pub(crate) Value);

impl Display for Line<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        instruction(self.0, self.1, out)
    }
}

fn operands(function: &Function, args: &[Value], out: &mut Formatter<'_>) -> Result {
    for (number, &arg) in args.iter().enumerate() {
        write!(out, "{}{}", if number == 0 { " " } else { ", " }, Operand(function, arg))?;
    }
    Ok(())
}

fn instruction(function: &Function, value: Value, out: &mut Formatter<'_>) -> Result {
    let inst = function.inst(value);
    if inst.ty != Type::Void {
        write!(out, "{value}: {} = ", inst.ty)?;
    }
    out.write_str(inst.op.row().name)?;
    match inst.op.row().imm {
        Imm::None | Imm::Bits | Imm::Param | Imm::Input => {}
        Imm::Allocation | Imm::Texture | Imm::Sampler | Imm::Local => {}
        Imm::Variable => write!(out, " {}", VarId(inst.imm as u32))?,
        Imm::Component => write!(out, ".{}", component(inst.imm))?,
        Imm::Pattern => {
            out.write_char('.')?;
            for k in 0..inst.ty.width() {
                out.write_char(component(inst.imm >> (4 * k) & 15))?;
            }
        }
        Imm::Bytes => write!(out, " {:+}", inst.imm as i64)?,
        Imm::Width if inst.imm == 32 => {}
        Imm::Width => write!(out, ".{}", inst.imm)?,
        Imm::Joined => out.write_str(if inst.imm == 0 { "" } else { ".joined" })?,
        Imm::Expected => {
            if let Some(expected) = Expected::from_imm(inst.imm) {
                write!(out, ".{}.{}", expected.kind, expected.scalar)?;
            }
        }
        Imm::Side => write!(out, ".{}", TextureSide::NAMES[inst.imm as usize % 5])?,
        Imm::TextureAtomic => write!(out, ".{}", TextureAtomic::NAMES[inst.imm as usize % 10])?,
        Imm::Barrier => out.write_str(match Barrier::from_imm(inst.imm).0 {
            Barrier::Threadgroup => ".threadgroup",
            Barrier::Simdgroup => ".simdgroup",
        })?,
        Imm::Probe => {
            if let Some(probe) = Probe::from_imm(inst.imm) {
                write!(out, ".{probe:?}")?;
            }
        }
    }
    let comma = matches!(inst.op.row().imm, Imm::Variable | Imm::Bytes) && !inst.args.is_empty();
    out.write_str(if comma { "," } else { "" })?;
    operands(function, &inst.args, out)
}

/// The letter of a component: `xyzw` of the first vector, `abcd` of the second.
fn component(number: u64) -> char {
    b"xyzwabcd".get(number as usize).map_or('?', |&letter| letter.into())
}

/// An operand: its number, or the instruction itself if it is free.
struct Operand<'a>(&'a Function, Value);

impl Display for Operand<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let Self(function, value) = *self;
        let Some(inst) = function.insts.get(value.index()) else {
            return write!(out, "{value}?");
        };
        match inst.op {
            Op::Const => constant(inst, out),
            Op::Input => match Input::from_imm(inst.imm) {
                Some((input, component)) => {
                    let letter = ['x', 'y', 'z'][component as usize];
                    write!(out, "{}.{letter}", input.name())
                }
                None => write!(out, "input?"),
            },
            Op::Param if inst.imm == Function::CALL_RESULT => value.fmt(out),
            Op::Param => write!(out, "param{}", inst.imm),
            Op::Allocation => AllocationId(inst.imm as u32).fmt(out),
            Op::Texture | Op::Sampler => write!(out, "{}{}", inst.op.row().name, inst.imm),
            Op::Local => LocalId(inst.imm as u32).fmt(out),
            _ => value.fmt(out),
        }
    }
}

fn constant(inst: &Inst, out: &mut Formatter<'_>) -> Result {
    let bits = inst.imm;
    match inst.ty.scalar() {
        Some(Scalar::Bool) => write!(out, "{}", bits != 0),
        Some(scalar) if scalar.is_float() => {
            write!(out, "{:?}{scalar}", f32::from_bits(bits as u32))
        }
        Some(scalar @ Scalar::I64) => write!(out, "{}{scalar}", bits as i64),
        Some(scalar) if scalar.is_signed() => write!(out, "{}{scalar}", bits as u32 as i32),
        Some(scalar) => write!(out, "{bits}{scalar}"),
        None => write!(out, "{bits}?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::{Allocation, Barrier, Bound, FuncId, FunctionBuilder, Space, Span};

    /// One example of everything that has its own printed form.
    fn module() -> Module {
        let mut b = FunctionBuilder::new("twice", vec![Type::F32], Type::F32);
        let x = b.param(0);
        let sum = b.add(x, x);
        b.return_(Some(sum));
        let callee = b.finish();
        let mut b = FunctionBuilder::new("show", vec![], Type::Void);
        b.at(Span(4));
        let (out, table) = (
            b.allocation(AllocationId(0), Space::Device),
            b.allocation(AllocationId(1), Space::Constant),
        );
        let i = b.input(Input::ThreadPositionInGrid, 0);
        let (total, count) = (b.variable("total", Type::F32), b.variable("", Type::U32));
        let array = b.local("array", 64);
        let (zero, one, half) = (b.f32(0.0), b.u32(1), b.f32(0.5));
        b.set(total, zero);
        let pointer = b.index(table, i, 16);
        let four = b.load(pointer, Type::of(Scalar::F32, 4));
        let pair = b.swizzle(four, &[3, 0]);
        let twice = b.emit(Op::Swizzle, Type::of(Scalar::F32, 2), &[pair, pair], 0x50);
        let x = b.extract(twice, 1);
        let root = b.op(Op::Sqrt, &[x]);
        let given = b.call(FuncId(1), &[root], Type::F32).expect("a result");
        let small = b.lt(given, half);
        b.begin_if(small);
        b.return_(None);
        b.begin_else();
        b.set(total, given);
        b.end_if();
        b.begin_loop();
        let n = b.get(count);
        let done = b.lt(one, n);
        b.break_if(done);
        b.begin_if(small);
        b.continue_();
        b.end_if();
        b.begin_next();
        b.barrier(Barrier::Threadgroup);
        b.end_loop();
        let sum = b.get(total);
        let sum = b.simd(Op::SimdSum, 4, Type::Void, &[sum]);
        let target = b.field(out, -8);
        b.store(target, sum);
        let (minus, level) = (b.i32(-3), b.u32(2));
        b.store(array, minus);
        b.copy(out, array, 64);
        let texture = b.free(Op::Texture, Type::U64, 0);
        let sampler = b.free(Op::Sampler, Type::U64, 0);
        let wide = b.texture_size(TextureSide::Width, texture, level);
        let at = b.splat(half, 4);
        let (unmoved, position) = (b.i32(0), b.splat(wide, 4));
        let offset = b.splat(unmoved, 3);
        let pixel = b.op(Op::TextureSample, &[texture, sampler, at, offset, zero]);
        b.op(Op::TextureWrite, &[texture, position, level, pixel]);
        let functions = vec![b.finish(), callee];
        let bound = |name: &str, index| vec![Bound { name: name.into(), index }];
        let (textures, samplers) = (bound("image", 3), bound("linear", 1));
        let buffer = |name: &str, index, writable, space| Allocation {
            name: name.into(),
            kind: AllocationKind::Buffer { index, writable, space },
        };
        let other = |name: &str, kind| Allocation { name: name.into(), kind };
        let allocations = vec![
            buffer("out", 0, true, Space::Device),
            buffer("in", 2, false, Space::Constant),
            other("primes", AllocationKind::Table(vec![2, 3, 5])),
            other("tile", AllocationKind::Threadgroup(128)),
            other("scratch", AllocationKind::ThreadgroupArgument { index: 1 }),
        ];
        Module {
            name: "show".into(),
            allocations,
            textures,
            samplers,
            functions,
            library: Default::default(),
            entry: FuncId(0),
        }
    }

    #[test]
    fn a_module_prints_as_the_snapshot_shows() {
        let module = module();
        crate::soft::ir::verify(&module).unwrap();
        assert_eq!(module.to_string(), include_str!("snapshot.txt"));
    }
}
