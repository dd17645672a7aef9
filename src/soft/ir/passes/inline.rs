//! Inlining: calls become the callee's code. In a large kernel the functions that would be copied often stay functions.
//!
//! Early returns become branches around the rest of the code where possible, and then the callee's code is
//! inserted as it is. A callee that still returns from the middle becomes a loop of one iteration, and its
//! returns become breaks; a flag helps to break out of inner loops.

use super::TooLarge;
use crate::soft::ir::hash::FastMap;
use crate::soft::ir::walk::statements;
use crate::soft::ir::{
    Block, FuncId, Function, FunctionBuilder, Inst, Module, Op, Scalar, Span, Stmt, Type, Value,
    VarId,
};
use crate::soft::sorted;

/// Instructions after inlining, at most.
const MAX: usize = 1 << 20;
/// Statements inside each other after inlining, at most: passes and back ends recurse into them.
const DEEPEST_CODE: u64 = 4096;
/// Early returns that are turned into nested branches; more become a loop.
const DEEPEST: usize = 32;

/// Which functions stay functions: a back end's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Calls {
    /// A kernel of at most this many instructions becomes one function.
    pub(crate) small: u64,
    /// A function of fewer instructions is always inlined.
    pub(crate) short: u64,
    /// A function with fewer calls is always inlined.
    pub(crate) few: u64,
}

impl Calls {
    /// All are inlined.
    pub(crate) const NONE: Self = Self { small: u64::MAX, short: 0, few: 0 };
}

/// The cost of a call, in instructions.
const CALL: u64 = 8;

/// The module's kernel with calls inlined, and the functions that it still calls, callers first. The calls name functions by
/// their position in this list.
pub(crate) fn run(module: &Module, calls: Calls) -> Result<Vec<Function>, TooLarge> {
    let stay = choose(module, calls)?;
    let mut pass =
        Inline { module, stay: &stay, out: FunctionBuilder::new("", vec![], Type::Void) };
    let mut functions = vec![pass.kernel()?];
    for id in stay.order.iter().copied() {
        functions.push(pass.routine(id)?);
    }
    let number: usize = functions.iter().map(|function| function.insts.len()).sum();
    if number > MAX { Err(too_large(number as u64, None)) } else { Ok(functions) }
}

fn too_deep(number: u64) -> TooLarge {
    let what = "statements inside each other after its calls are inlined";
    TooLarge { what, number, limit: DEEPEST_CODE, largest: None }
}

fn too_large(number: u64, largest: Option<(String, u64)>) -> TooLarge {
    let what = "instructions after its calls are inlined";
    TooLarge { what, number, limit: MAX as u64, largest }
}

/// The functions that stay.
struct Stay {
    /// Callers first.
    order: Vec<FuncId>,
    /// For each function of the module its new number, if it stays.
    numbers: Vec<Option<FuncId>>,
}

/// Decides which functions stay, and refuses a kernel whose calls would become too much code, before any is inlined.
fn choose(module: &Module, limits: Calls) -> Result<Stay, TooLarge> {
    let count: Vec<_> = module.functions.iter().map(|function| Count::of(&function.body)).collect();
    let order = callees_first(module, &count);
    let mut numbers = vec![None; module.functions.len()];
    let depth = nesting(module, &order, &count)[module.entry.index()];
    if depth > DEEPEST_CODE {
        return Err(too_deep(depth));
    }
    let whole = measure(&order, &count, |_, size| size);
    if whole[module.entry.index()] <= limits.small {
        return Ok(Stay { order: Vec::new(), numbers });
    }
    // How many calls there are of each function, in all functions that the kernel reaches.
    let mut calls = vec![0u64; module.functions.len()];
    for id in &order {
        let made = &count[id.index()].calls;
        made.iter().for_each(|(callee, made)| calls[callee.index()] += made.times);
    }
    let mut stays = vec![false; module.functions.len()];
    let sizes = measure(&order, &count, |id, size| {
        let function = module.function(id);
        // Arguments are passed in registers, one each; results through pointers.
        let simple = |ty: &Type| !matches!(ty, Type::Vector(..) | Type::Void);
        let possible = function.result == Type::Void && function.params.iter().all(simple);
        stays[id.index()] = id != module.entry
            && possible
            && size >= limits.short
            && calls[id.index()] >= limits.few;
        if stays[id.index()] { CALL } else { size }
    });
    let size = sizes[module.entry.index()];
    if size > MAX as u64 {
        let inlined =
            |(callee, made): (&FuncId, &Made)| sizes[callee.index()].saturating_mul(made.times);
        let calls = &count[module.entry.index()].calls;
        let largest = calls.iter().max_by_key(|&call| (inlined(call), call.0));
        let name = |callee: &FuncId| module.function(*callee).name.clone();
        return Err(too_large(size, largest.map(|call| (name(call.0), inlined(call)))));
    }
    let order: Vec<FuncId> = order.into_iter().rev().filter(|id| stays[id.index()]).collect();
    for (id, number) in order.iter().zip(1..) {
        numbers[id.index()] = Some(FuncId(number));
    }
    Ok(Stay { order, numbers })
}

/// The contents of a function.
#[derive(Default)]
struct Count {
    instructions: u64,
    /// Its calls of each other function.
    calls: FastMap<FuncId, Made>,
    /// How deep statements are nested.
    depth: u64,
    returns: u64,
}

/// The calls of one function in another.
#[derive(Clone, Copy, Default)]
struct Made {
    times: u64,
    /// How deep the deepest of them is nested.
    depth: u64,
}

impl Count {
    fn of(block: &Block) -> Self {
        let mut count = Self::default();
        let mut open = vec![(block.as_slice(), 0)];
        while let Some((block, depth)) = open.pop() {
            count.depth = count.depth.max(depth);
            for stmt in block {
                match stmt {
                    Stmt::Call { func, .. } => {
                        let made = count.calls.entry(*func).or_default();
                        *made = Made { times: made.times + 1, depth: made.depth.max(depth) };
                    }
                    Stmt::Do(_) => count.instructions += 1,
                    Stmt::Return(_) => count.returns += 1,
                    _ => {}
                }
                let inner = stmt.blocks().into_iter().filter(|block| !block.is_empty());
                open.extend(inner.map(|block| (block, depth + 1)));
            }
        }
        count
    }
}

/// The functions that the kernel reaches, each after those that it calls. The IR has no recursion.
fn callees_first(module: &Module, count: &[Count]) -> Vec<FuncId> {
    let mut done = vec![false; module.functions.len()];
    let (mut order, mut waiting) = (Vec::new(), vec![module.entry]);
    while let Some(&id) = waiting.last() {
        let before = waiting.len();
        let mut callees: Vec<FuncId> = count[id.index()].calls.keys().copied().collect();
        // The order of a map of hashes is not deterministic.
        sorted::sort(&mut callees);
        waiting.extend(callees.into_iter().filter(|callee| !done[callee.index()]));
        if waiting.len() > before {
            continue;
        }
        waiting.pop();
        if !std::mem::replace(&mut done[id.index()], true) {
            order.push(id);
        }
    }
    order
}

/// The size of each function with its calls inlined. `as_callee` says what a call of a function of that size adds.
fn measure(
    order: &[FuncId],
    count: &[Count],
    mut as_callee: impl FnMut(FuncId, u64) -> u64,
) -> Vec<u64> {
    let mut added = vec![0u64; count.len()];
    for &id in order {
        let Count { instructions, calls, .. } = &count[id.index()];
        let inlined =
            |(callee, made): (&FuncId, &Made)| added[callee.index()].saturating_mul(made.times);
        let size = calls.iter().map(inlined).fold(*instructions, u64::saturating_add);
        added[id.index()] = as_callee(id, size);
    }
    added
}

/// How deep the statements of each function are nested, at most, with its calls inlined.
fn nesting(module: &Module, order: &[FuncId], count: &[Count]) -> Vec<u64> {
    let mut depths = vec![0; count.len()];
    for &id in order {
        let Count { calls, depth, returns, .. } = &count[id.index()];
        let inlined = |(callee, made): (&FuncId, &Made)| made.depth + depths[callee.index()];
        let deepest = calls.iter().map(inlined).fold(*depth, u64::max);
        let body = &module.function(id).body;
        // Statements after an early return move into a branch, or the whole body into a loop.
        let added = match body.last() {
            _ if !ends_only(body, DEEPEST) => 1,
            Some(Stmt::Return(_)) => (*returns - 1).min(DEEPEST as u64),
            _ => (*returns).min(DEEPEST as u64),
        };
        depths[id.index()] = deepest + added;
    }
    depths
}

/// The replacement of a return.
#[derive(Clone, Copy, Debug)]
enum Returns {
    /// It stays: this is the kernel.
    Keep,
    /// An assignment: it is at the end.
    Assign(Option<VarId>),
    /// An assignment and a break, with a flag that is set in inner loops.
    Break { result: Option<VarId>, flag: VarId },
}

/// A function that is being inlined.
struct Frame<'a> {
    function: &'a Function,
    args: Vec<Value>,
    /// Where it is called.
    span: Span,
    values: Vec<Option<Value>>,
    variables: Vec<VarId>,
    locals: Vec<Value>,
    returns: Returns,
    /// Loops of the function around this point.
    depth: u32,
}

struct Inline<'a> {
    module: &'a Module,
    stay: &'a Stay,
    out: FunctionBuilder,
}

type Done = Result<(), TooLarge>;

impl<'a> Inline<'a> {
    /// The kernel.
    fn kernel(&mut self) -> Result<Function, TooLarge> {
        let entry = self.module.function(self.module.entry);
        let params = self.begin(entry);
        let mut frame = self.frame(self.module.entry, params, Span::default(), Returns::Keep);
        self.block(&entry.body, &mut frame)?;
        Ok(self.end())
    }

    /// A function that stays: it has one end, as an inlined one has.
    fn routine(&mut self, id: FuncId) -> Result<Function, TooLarge> {
        let params = self.begin(self.module.function(id));
        self.expand(id, params, Span::default())?;
        Ok(self.end())
    }

    /// Begins the code of a function, and returns its parameters.
    fn begin(&mut self, function: &Function) -> Vec<Value> {
        let params = function.params.clone();
        let count = params.len() as u32;
        let out = FunctionBuilder::new(&function.name, params, function.result);
        self.out = out.reserved_for(function);
        (0..count).map(|index| self.out.param(index)).collect()
    }

    fn end(&mut self) -> Function {
        std::mem::replace(&mut self.out, FunctionBuilder::new("", vec![], Type::Void)).finish()
    }

    fn frame(&mut self, id: FuncId, args: Vec<Value>, span: Span, returns: Returns) -> Frame<'a> {
        let function = self.module.function(id);
        let variables = &function.variables;
        let locals = &function.locals;
        Frame {
            function,
            args,
            span,
            values: vec![None; function.insts.len()],
            variables: variables.iter().map(|v| self.out.variable(&v.name, v.ty)).collect(),
            locals: locals.iter().map(|l| self.out.local_like(l.clone())).collect(),
            returns,
            depth: 0,
        }
    }

    fn value(&mut self, value: Value, frame: &Frame<'_>) -> Value {
        if let Some(known) = frame.values[value.index()] {
            return known;
        }
        let inst = frame.function.inst(value);
        match inst.op {
            Op::Param => frame.args[inst.imm as usize],
            Op::Local => frame.locals[inst.imm as usize],
            _ => self.out.free(inst.op, inst.ty, inst.imm),
        }
    }

    fn block(&mut self, block: &[Stmt], frame: &mut Frame<'a>) -> Done {
        for stmt in block {
            self.stmt(stmt, frame)?;
        }
        Ok(())
    }

    fn stmt(&mut self, stmt: &Stmt, frame: &mut Frame<'a>) -> Done {
        match stmt {
            Stmt::Do(value) => {
                if self.out.len() > MAX {
                    return Err(too_large(self.out.len() as u64, None));
                }
                let inst = *frame.function.inst(*value);
                let new = self.instruction(&inst, frame);
                frame.values[value.index()] = Some(new);
            }
            Stmt::If(condition, then, otherwise) => {
                let condition = self.value(*condition, frame);
                self.out.begin_if(condition);
                self.block(then, frame)?;
                if !otherwise.is_empty() {
                    self.out.begin_else();
                    self.block(otherwise, frame)?;
                }
                self.out.end_if();
            }
            Stmt::Loop { body, next, span } => {
                frame.depth += 1;
                self.at(*span, frame);
                self.out.begin_loop();
                self.block(body, frame)?;
                self.out.begin_next();
                self.block(next, frame)?;
                self.out.end_loop();
                frame.depth -= 1;
                if let Returns::Break { flag, .. } = frame.returns
                    && (returns(body) || returns(next))
                {
                    let left = self.out.get(flag);
                    self.out.break_if(left);
                }
            }
            Stmt::Break => self.out.break_(),
            Stmt::Continue => self.out.continue_(),
            Stmt::Return(value) => {
                let value = value.map(|value| self.value(value, frame));
                self.leave(value, frame);
            }
            Stmt::Call { func, args, result, span } => {
                let span = self.at(*span, frame);
                let args = args.iter().map(|&arg| self.value(arg, frame)).collect();
                let given = self.call(*func, args, span)?;
                if let (Some(result), Some(given)) = (result, given) {
                    frame.values[result.index()] = Some(given);
                }
            }
        }
        Ok(())
    }

    /// Sets the source position of the following code: that of the call where the callee's code has none.
    fn at(&mut self, span: Span, frame: &Frame<'_>) -> Span {
        let span = if span == Span::default() { frame.span } else { span };
        self.out.at(span);
        span
    }

    fn instruction(&mut self, inst: &Inst, frame: &Frame<'_>) -> Value {
        self.at(inst.span, frame);
        let args: Vec<Value> = inst.args.iter().map(|&arg| self.value(arg, frame)).collect();
        let imm = match inst.op {
            Op::Get | Op::Set => frame.variables[inst.imm as usize].0.into(),
            _ => inst.imm,
        };
        self.out.emit(inst.op, inst.ty, &args, imm)
    }

    fn leave(&mut self, value: Option<Value>, frame: &Frame<'_>) {
        let (Returns::Assign(result) | Returns::Break { result, .. }) = frame.returns else {
            return self.out.return_(value);
        };
        if let (Some(result), Some(value)) = (result, value) {
            self.out.set(result, value);
        }
        if let Returns::Break { flag, .. } = frame.returns {
            if frame.depth > 0 {
                let yes = self.out.bool(true);
                self.out.set(flag, yes);
            }
            self.out.break_();
        }
    }

    /// Calls a function that stays, or inlines it; returns its result.
    fn call(
        &mut self,
        func: FuncId,
        args: Vec<Value>,
        span: Span,
    ) -> Result<Option<Value>, TooLarge> {
        match self.stay.numbers[func.index()] {
            Some(number) => Ok(self.out.call(number, &args, Type::Void)),
            None => self.expand(func, args, span),
        }
    }

    /// Inlines a callee, and returns its result.
    fn expand(
        &mut self,
        func: FuncId,
        args: Vec<Value>,
        span: Span,
    ) -> Result<Option<Value>, TooLarge> {
        let callee = self.module.function(func);
        let result = match callee.result {
            Type::Void => None,
            ty => Some(self.out.variable(&callee.name, ty)),
        };
        if ends_only(&callee.body, DEEPEST) {
            let mut frame = self.frame(func, args, span, Returns::Assign(result));
            self.tail(&callee.body.iter().collect::<Vec<_>>(), &mut frame)?;
        } else {
            let flag = self.out.variable("", Type::Scalar(Scalar::Bool));
            let no = self.out.bool(false);
            self.out.set(flag, no);
            let mut frame = self.frame(func, args, span, Returns::Break { result, flag });
            self.out.begin_loop();
            self.block(&callee.body, &mut frame)?;
            self.out.break_();
            self.out.end_loop();
        }
        Ok(result.map(|result| self.out.get(result)))
    }

    /// Moves returns to the ends of code: the code after an `if` with a branch that returns goes into the other branch.
    fn tail(&mut self, code: &[&Stmt], frame: &mut Frame<'a>) -> Done {
        for (index, stmt) in code.iter().enumerate() {
            match stmt {
                Stmt::If(condition, then, otherwise) if returns(then) || returns(otherwise) => {
                    let rest = &code[index + 1..];
                    let branch = |block: &'_ Block| -> usize {
                        if always_returns(block) { 0 } else { rest.len() }
                    };
                    let (after_then, after_else) = (branch(then), branch(otherwise));
                    let condition = self.value(*condition, frame);
                    self.out.begin_if(condition);
                    let code: Vec<&Stmt> =
                        then.iter().chain(rest[..after_then].iter().copied()).collect();
                    self.tail(&code, frame)?;
                    self.out.begin_else();
                    let code: Vec<&Stmt> =
                        otherwise.iter().chain(rest[..after_else].iter().copied()).collect();
                    self.tail(&code, frame)?;
                    self.out.end_if();
                    return Ok(());
                }
                Stmt::Return(_) => return self.stmt(stmt, frame),
                _ => self.stmt(stmt, frame)?,
            }
        }
        Ok(())
    }
}

/// Whether a block returns anywhere.
fn returns(block: &[Stmt]) -> bool {
    statements(block).any(|stmt| matches!(stmt, Stmt::Return(_)))
}

/// Whether every path through a block returns.
fn always_returns(block: &Block) -> bool {
    block.iter().any(|stmt| match stmt {
        Stmt::Return(_) => true,
        Stmt::If(_, a, b) => always_returns(a) && always_returns(b),
        _ => false,
    })
}

/// Whether the rest after each returning branch can go into the other one, `depth` times at most.
fn ends_only(block: &[Stmt], depth: usize) -> bool {
    for (index, stmt) in block.iter().enumerate() {
        match stmt {
            Stmt::Return(_) => return true,
            Stmt::Loop { body, next, .. } if returns(body) || returns(next) => return false,
            Stmt::If(_, then, otherwise) if returns(then) || returns(otherwise) => {
                let rest = &block[index + 1..];
                let both = always_returns(then) || always_returns(otherwise) || rest.is_empty();
                return depth > 0
                    && both
                    && ends_only(then, depth - 1)
                    && ends_only(otherwise, depth - 1)
                    && ends_only(rest, depth - 1);
            }
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::ir::verify;

    fn module(callee: Function) -> Module {
        let mut b = FunctionBuilder::new("kernel", vec![], Type::Void);
        let local = b.local("out", 4);
        let x = b.u32(7);
        let result = b.call(FuncId(1), &[x], Type::U32).expect("a result");
        b.store(local, result);
        let functions = vec![b.finish(), callee];
        Module {
            name: "kernel".into(),
            allocations: vec![],
            textures: vec![],
            samplers: vec![],
            library: Default::default(),
            functions,
            entry: FuncId(0),
        }
    }

    fn inlined(callee: Function) -> String {
        let mut module = module(callee);
        verify(&module).unwrap();
        module.functions = run(&module, Calls::NONE).unwrap();
        verify(&module).unwrap();
        module.functions[0].to_string()
    }

    #[test]
    fn early_returns_become_branches() {
        let mut b = FunctionBuilder::new("f", vec![Type::U32], Type::U32);
        let (x, ten) = (b.param(0), b.u32(10));
        let small = b.lt(x, ten);
        b.begin_if(small);
        b.return_(Some(ten));
        b.end_if();
        let twice = b.add(x, x);
        b.return_(Some(twice));
        let text = inlined(b.finish());
        let want = "  %3: bool = lt 7u32, 10u32
  if %3 {
    set $0, 10u32
  } else {
    %5: u32 = add 7u32, 7u32
    set $0, %5
  }
  %7: u32 = get $0
  store local0, %7
";
        assert!(text.contains(want), "{text}");
    }

    #[test]
    fn returns_out_of_loops_break_with_a_flag() {
        let mut b = FunctionBuilder::new("f", vec![Type::U32], Type::U32);
        let (x, ten) = (b.param(0), b.u32(10));
        b.begin_loop();
        let small = b.lt(x, ten);
        b.begin_if(small);
        b.return_(Some(ten));
        b.end_if();
        b.end_loop();
        b.return_(Some(x));
        let text = inlined(b.finish());
        let want = "  loop {
    loop {
      %5: bool = lt 7u32, 10u32
      if %5 {
        set $0, 10u32
        set $1, true
        break
      }
    }
    %9: bool = get $1
    if %9 {
      break
    }
    set $0, 7u32
    break
    break
  }
";
        assert!(text.contains(want), "{text}");
    }
}
