//! The reference that the back end is compared with: a simple interpreter of the IR that runs one thread after the
//! other. It runs modules before any pass, and has no masks, registers or vectors of lanes.

use crate::soft::ir::half::{f16_bits, f16_value};
use crate::soft::ir::semantics::{convert, eval};
use crate::soft::ir::{
    AllocationKind, Block, FuncId, Function, Imm, Input, Module, Op, Rule, Scalar, Stmt, Type,
    Value,
};

/// The components of a value, as widened bits.
type Bits = Vec<u64>;

/// Memory by allocation, and thread memory after them.
struct Thread<'a> {
    module: &'a Module,
    memory: &'a mut Vec<Vec<u8>>,
    position: u32,
    grid: u32,
}

enum Flow {
    On,
    Break,
    Continue,
    Return(Bits),
}

struct Frame<'a> {
    function: &'a Function,
    args: Vec<Bits>,
    values: Vec<Bits>,
    variables: Vec<Bits>,
    /// The number of the memory of each local.
    locals: Vec<usize>,
}

/// Runs a kernel over a one-dimensional grid; `buffers` are the memory of the module's allocations.
pub(crate) fn run(module: &Module, grid: u32, buffers: &mut Vec<Vec<u8>>) {
    for (memory, allocation) in buffers.iter_mut().zip(&module.allocations) {
        if let AllocationKind::Table(bytes) = &allocation.kind {
            memory.clone_from(bytes);
        }
    }
    let shared = buffers.len();
    for position in 0..grid {
        let mut thread = Thread { module, memory: buffers, position, grid };
        thread.call(module.entry, Vec::new());
        buffers.truncate(shared);
    }
}

fn pointer(memory: usize, offset: i64) -> u64 {
    ((memory as u64 + 1) << 48).wrapping_add(offset as u64)
}

impl Thread<'_> {
    fn call(&mut self, func: FuncId, args: Vec<Bits>) -> Bits {
        let function = &self.module.functions[func.index()];
        let first = self.memory.len();
        self.memory.extend(function.locals.iter().map(|local| vec![0; local.bytes as usize]));
        let mut frame = Frame {
            function,
            args,
            values: vec![Vec::new(); function.insts.len()],
            variables: function.variables.iter().map(|v| vec![0; v.ty.width() as usize]).collect(),
            locals: (first..first + function.locals.len()).collect(),
        };
        match self.block(&function.body, &mut frame) {
            Flow::Return(value) => value,
            _ => Vec::new(),
        }
    }

    fn block(&mut self, block: &Block, frame: &mut Frame<'_>) -> Flow {
        for stmt in block {
            match stmt {
                Stmt::Do(value) => {
                    let bits = self.instruction(*value, frame);
                    frame.values[value.index()] = bits;
                }
                Stmt::If(condition, then, otherwise) => {
                    let taken = if self.get(*condition, frame)[0] != 0 { then } else { otherwise };
                    match self.block(taken, frame) {
                        Flow::On => {}
                        flow => return flow,
                    }
                }
                Stmt::Loop { body, next, .. } => loop {
                    match self.block(body, frame) {
                        Flow::On | Flow::Continue => {}
                        Flow::Break => break,
                        flow => return flow,
                    }
                    match self.block(next, frame) {
                        Flow::Break => break,
                        Flow::Return(value) => return Flow::Return(value),
                        _ => {}
                    }
                },
                Stmt::Break => return Flow::Break,
                Stmt::Continue => return Flow::Continue,
                Stmt::Return(value) => {
                    return Flow::Return(value.map_or(Vec::new(), |v| self.get(v, frame)));
                }
                Stmt::Call { func, args, result, .. } => {
                    let args = args.iter().map(|&arg| self.get(arg, frame)).collect();
                    let given = self.call(*func, args);
                    if let Some(result) = result {
                        frame.values[result.index()] = given;
                    }
                }
            }
        }
        Flow::On
    }

    fn get(&self, value: Value, frame: &Frame<'_>) -> Bits {
        let inst = frame.function.inst(value);
        match inst.op {
            Op::Const => vec![inst.imm],
            Op::Param if inst.imm != Function::CALL_RESULT => frame.args[inst.imm as usize].clone(),
            Op::Allocation => vec![pointer(inst.imm as usize, 0)],
            Op::Local => vec![pointer(frame.locals[inst.imm as usize], 0)],
            Op::Input => vec![match Input::from_imm(inst.imm).unwrap() {
                (Input::ThreadPositionInGrid, 0) => self.position.into(),
                (Input::ThreadsPerGrid, 0) => self.grid.into(),
                (Input::ThreadsPerGrid, _) => 1,
                (Input::ThreadPositionInGrid, _) => 0,
                (input, _) => panic!("{input:?} is not supported for a single thread"),
            }],
            _ => frame.values[value.index()].clone(),
        }
    }

    fn bytes(&mut self, pointer: u64, count: u32) -> &mut [u8] {
        let (memory, offset) = ((pointer >> 48) as usize - 1, (pointer & 0xffff_ffff) as usize);
        &mut self.memory[memory][offset..offset + count as usize]
    }

    fn load(&mut self, pointer: u64, ty: Type) -> Bits {
        let scalar = ty.scalar().unwrap_or(Scalar::U64);
        let size = scalar.bytes();
        (0..ty.width())
            .map(|k| {
                let bytes = self.bytes(pointer + u64::from(k * size), size);
                let mut raw = [0; 8];
                raw[..size as usize].copy_from_slice(bytes);
                widen(scalar, u64::from_le_bytes(raw))
            })
            .collect()
    }

    fn store(&mut self, pointer: u64, ty: Type, value: &Bits) {
        let scalar = ty.scalar().unwrap_or(Scalar::U64);
        let size = scalar.bytes();
        for (k, &bits) in value.iter().enumerate() {
            let raw = narrow_bits(scalar, bits).to_le_bytes();
            self.bytes(pointer + k as u64 * u64::from(size), size)
                .copy_from_slice(&raw[..size as usize]);
        }
    }

    fn instruction(&mut self, value: Value, frame: &mut Frame<'_>) -> Bits {
        let inst = *frame.function.inst(value);
        let args: Vec<Bits> = inst.args.iter().map(|&arg| self.get(arg, frame)).collect();
        let types: Vec<Type> = inst.args.iter().map(|&arg| frame.function.ty(arg)).collect();
        let width = inst.ty.width() as usize;
        let at = |k: usize, component: usize| {
            if args[k].len() == 1 { args[k][0] } else { args[k][component] }
        };
        let signed = |k: usize| {
            let scalar = types[k].scalar().unwrap();
            if scalar.is_signed() && scalar.bytes() < 8 {
                args[k][0] as i32 as i64
            } else {
                args[k][0] as i64
            }
        };
        match inst.op.row().rule {
            Rule::Given => frame.variables[inst.imm as usize].clone(),
            Rule::Set => {
                frame.variables[inst.imm as usize] = args[0].clone();
                Vec::new()
            }
            Rule::Convert => {
                let (from, to) = (types[0].scalar().unwrap(), inst.ty.scalar().unwrap());
                args[0].iter().map(|&bits| convert(from, to, bits)).collect()
            }
            Rule::Bitcast => {
                let from = types[0].scalar().unwrap();
                let bytes: Vec<u8> = args[0]
                    .iter()
                    .flat_map(|&bits| {
                        narrow_bits(from, bits).to_le_bytes()[..from.bytes() as usize].to_vec()
                    })
                    .collect();
                let to = inst.ty.scalar().unwrap();
                bytes
                    .chunks(to.bytes() as usize)
                    .map(|chunk| {
                        let mut raw = [0; 8];
                        raw[..chunk.len()].copy_from_slice(chunk);
                        widen(to, u64::from_le_bytes(raw))
                    })
                    .collect()
            }
            Rule::Compose => args.iter().map(|arg| arg[0]).collect(),
            Rule::Splat => vec![args[0][0]; width],
            Rule::Extract => vec![args[0][inst.imm as usize]],
            Rule::ExtractAt => {
                let power = args[0].len().next_power_of_two() - 1;
                vec![args[0].get(args[1][0] as usize & power).copied().unwrap_or(args[0][0])]
            }
            Rule::Insert => {
                let mut all = args[0].clone();
                all[inst.imm as usize] = args[1][0];
                all
            }
            Rule::InsertAt => {
                let mut all = args[0].clone();
                let power = all.len().next_power_of_two() - 1;
                if let Some(component) = all.get_mut(args[2][0] as usize & power) {
                    *component = args[1][0];
                }
                all
            }
            Rule::Swizzle => (0..width)
                .map(|k| {
                    let pick = (inst.imm >> (4 * k) & 15) as usize;
                    args[pick / 4][pick % 4]
                })
                .collect(),
            Rule::Dot => {
                let scalar = inst.ty.scalar().unwrap();
                let products = args[0].iter().zip(&args[1]);
                let products = products.map(|(&a, &b)| eval(Op::Mul, scalar, &[a, b]).unwrap());
                vec![products.reduce(|a, b| eval(Op::Add, scalar, &[a, b]).unwrap()).unwrap()]
            }
            Rule::Reduce => {
                let all = inst.op == Op::All;
                let held = args[0].iter().any(|&bits| (bits != 0) != all) != all;
                vec![held.into()]
            }
            Rule::Index => vec![args[0][0].wrapping_add((signed(1) * inst.imm as i64) as u64)],
            Rule::Field => vec![args[0][0].wrapping_add(inst.imm)],
            Rule::PointerToInt | Rule::IntToPointer | Rule::Form => args[0].clone(),
            // Threads that share nothing do not have to wait.
            Rule::Barrier => Vec::new(),
            Rule::Load => self.load(args[0][0], inst.ty),
            Rule::Store => {
                self.store(args[0][0], types[1], &args[1]);
                Vec::new()
            }
            Rule::Copy => {
                let bytes = self.bytes(args[1][0], inst.imm as u32).to_vec();
                self.bytes(args[0][0], inst.imm as u32).copy_from_slice(&bytes);
                Vec::new()
            }
            rule => {
                assert!(matches!(inst.op.row().imm, Imm::None), "{rule:?}");
                let scalar = types[if inst.op == Op::Select { 1 } else { 0 }]
                    .scalar()
                    .unwrap_or(Scalar::U64);
                (0..width)
                    .map(|component| {
                        let args: Vec<u64> = (0..args.len()).map(|k| at(k, component)).collect();
                        eval(inst.op, scalar, &args).unwrap()
                    })
                    .collect()
            }
        }
    }
}

/// The widened bits of a scalar in memory.
pub(crate) fn widen(scalar: Scalar, bits: u64) -> u64 {
    match scalar {
        Scalar::Bool => u64::from(bits as u8 != 0),
        Scalar::I8 => bits as i8 as u32 as u64,
        Scalar::I16 => bits as i16 as u32 as u64,
        Scalar::F16 => f16_value(bits as u16).to_bits().into(),
        Scalar::BF16 => (bits & 0xffff) << 16,
        _ => bits,
    }
}

/// The bits in memory of a widened scalar.
pub(crate) fn narrow_bits(scalar: Scalar, bits: u64) -> u64 {
    match scalar {
        Scalar::F16 => f16_bits(f32::from_bits(bits as u32)).into(),
        Scalar::BF16 => bits >> 16,
        _ => bits,
    }
}
