//! Fragments: matrices of halves or bfloats in threadgroup memory that are factors of tensor cores' products. `ldmatrix` loads up to four of
//! them at once, and transposes right factors. It needs the address of each row of eight elements, where a kernel has those of the two
//! elements of each lane. So before a loop that is written twice the lanes compare their addresses, and if four lanes have
//! a row everywhere, and rows are aligned, the version without checks loads fragments. Otherwise that version is written once more, and
//! each lane loads its elements.

use std::collections::HashMap;

use super::super::text::{Kind, Reg, ptx};
use super::Emit;
use super::flow::has_no_effect;
use super::tensor::{factors, narrow};
use crate::soft::ir::{Inst, Op, Space, Stmt, Value};

/// Rows begin at multiples of this many bytes.
const ALIGNMENT: i64 = 16;
/// The most matrices of one instruction.
const MOST: usize = 4;

/// Loads of a path, each as far from the one before, that are one instruction.
struct Run {
    loads: Vec<Value>,
    path: usize,
    first: i64,
    stride: i64,
    transposed: bool,
    /// For each lane the address of a row.
    address: Option<Reg>,
}

impl Run {
    /// Whether another load may be in it, at this distance.
    fn takes(&self, path: usize, distance: i64, transposed: bool) -> bool {
        let ahead = distance - self.first;
        let fits = match self.loads.len() {
            1 => ahead % ALIGNMENT == 0,
            count => ahead == count as i64 * self.stride,
        };
        fits && self.loads.len() < MOST && (self.path, self.transposed) == (path, transposed)
    }

    /// The loads that are written as one instruction each: no instruction has three matrices, and one that is not transposed is
    /// no better than a load.
    fn parts(mut self) -> Vec<Self> {
        let last = (self.loads.len() == 3).then(|| self.loads.pop()).flatten();
        let Self { path, first, stride, transposed, .. } = self;
        let last = last.map(|load| Self {
            loads: vec![load],
            first: first + 2 * stride,
            ..Self { loads: Vec::new(), path, first, stride, transposed, address: None }
        });
        let all = [Some(self), last].into_iter().flatten();
        all.filter(|run| run.transposed || run.loads.len() > 1).collect()
    }
}

/// The fragments of the loop that is written.
#[derive(Default)]
pub(super) struct Fragments {
    runs: Vec<Run>,
    /// Each load, its run and the place in it.
    of: HashMap<Value, (usize, usize)>,
    /// The registers of those that are loaded.
    loaded: HashMap<Value, Reg>,
}

impl Fragments {
    /// The register of a fragment, with the two elements of each lane, and whether it is transposed.
    pub(super) fn register(&self, load: Value) -> Option<(Reg, bool)> {
        let &(run, _) = self.of.get(&load)?;
        Some((*self.loaded.get(&load)?, self.runs[run].transposed))
    }
}

impl Emit<'_> {
    /// The load of two elements from threadgroup memory that a factor is, if nothing else needs them.
    pub(super) fn loaded_factor(&self, factor: Value) -> Option<Value> {
        let function = self.function;
        let (_, parts) = narrow(function, factor)?;
        let is_used_once = |value: &Value| self.uses[value.index()] == 1;
        let inst = function.inst(factor);
        let load = match parts[..] {
            [x, y] => {
                let [first, second] = [x, y].map(|part| *function.inst(part));
                let is_part = |part: Inst, at: u64| part.op == Op::Extract && part.imm == at;
                let converted =
                    inst.args.iter().all(is_used_once) && parts.iter().all(is_used_once);
                let same = first.args[0] == second.args[0];
                (is_part(first, 0) && is_part(second, 1) && same && converted)
                    .then(|| first.args[0])?
            }
            [whole] => whole,
            _ => return None,
        };
        let (inst, uses) = (function.inst(load), self.uses[load.index()] as usize);
        let is_fragment = inst.op == Op::Load
            && inst.ty.bytes() == 4
            && uses == parts.len()
            && function.ty(inst.args[0]).space() == Some(Space::Threadgroup);
        is_fragment.then_some(load)
    }

    /// The register of a factor that is loaded as a fragment, and whether it is transposed.
    pub(super) fn loaded_fragment(&self, factor: Value) -> Option<(Reg, bool)> {
        self.versions.fragments.register(self.loaded_factor(factor)?)
    }

    /// The loads of a block that may be of fragments, and whether they are transposed.
    fn fragment_loads(&self, block: &[Stmt]) -> HashMap<Value, bool> {
        let function = self.function;
        // How often each factor is a left one and a right one.
        let mut roles: HashMap<Value, [u32; 2]> = HashMap::new();
        for stmt in block {
            if let Stmt::Do(product) = *stmt
                && factors(function, product).is_some()
            {
                for (role, &factor) in function.inst(product).args[..2].iter().enumerate() {
                    roles.entry(factor).or_default()[role] += 1;
                }
            }
        }
        let load = |(&factor, &[left, right]): (&Value, &[u32; 2])| {
            let one_role = (left == 0 || right == 0) && self.uses[factor.index()] == left + right;
            one_role.then(|| Some((self.loaded_factor(factor)?, right != 0))).flatten()
        };
        roles.iter().filter_map(load).collect()
    }

    /// Finds the fragments of a loop's body, whose addresses are checked before it. The predicate, if there are any, is whether each
    /// lane has to load its elements after all.
    pub(super) fn find_fragments(&mut self, body: &[Stmt]) -> Option<Reg> {
        if !self.options.tensor || !self.flow.is_whole() {
            return None;
        }
        let wanted = self.fragment_loads(body);
        let (mut runs, mut last): (Vec<Run>, Option<Run>) = (Vec::new(), None);
        for stmt in body {
            let load = if let Stmt::Do(value) = *stmt { Some(value) } else { None };
            let place = load.and_then(|load| {
                Some((load, *wanted.get(&load)?, self.versions.fixed_path(load)?))
            });
            let Some((load, transposed, (path, distance))) = place else {
                // No memory may be written between loads that are one instruction.
                let orders_nothing = load.is_some_and(|value| self.idle_barriers.contains(&value));
                if !orders_nothing && !has_no_effect(self.function, stmt) {
                    runs.extend(last.take().map_or_else(Vec::new, Run::parts));
                }
                continue;
            };
            match &mut last {
                Some(run) if run.takes(path, distance, transposed) => {
                    if run.loads.len() == 1 {
                        run.stride = distance - run.first;
                    }
                    run.loads.push(load);
                }
                _ => {
                    let (loads, first, stride, address) = (vec![load], distance, 0, None);
                    let run = Run { loads, path, first, stride, transposed, address };
                    runs.extend(last.replace(run).map_or_else(Vec::new, Run::parts));
                }
            }
        }
        runs.extend(last.map_or_else(Vec::new, Run::parts));
        if runs.is_empty() {
            return None;
        }
        let split = self.text.reg(Kind::Predicate);
        ptx!(self.text, "mov.pred {split}, 0;");
        let mut rows: HashMap<usize, Reg> = HashMap::new();
        for run in &mut runs {
            let row = match rows.get(&run.path) {
                Some(&row) => row,
                None => {
                    let row = self.row_address(run.path, split);
                    rows.insert(run.path, row);
                    row
                }
            };
            run.address = Some(self.run_address(run, row, split));
        }
        let of = runs.iter().enumerate().flat_map(|(number, run)| {
            run.loads.iter().enumerate().map(move |(at, &load)| (load, (number, at)))
        });
        let fragments = &mut self.versions.fragments;
        (fragments.of, fragments.runs) = (of.collect(), runs);
        // All lanes load fragments, or none.
        let mask = self.mask();
        ptx!(self.text, "vote.sync.any.pred {split}, {split}, {mask};");
        Some(split)
    }

    /// The address of the row that a lane passes for the first matrix. Sets `split` unless four lanes have the elements of a row.
    fn row_address(&mut self, path: usize, split: Reg) -> Reg {
        let (mask, address) = (self.mask(), self.versions.address(path));
        let text = &mut self.text;
        let [own, lane, other, row] = [(); 4].map(|()| text.reg(Kind::Word));
        ptx!(text, "cvt.u32.u64 {own}, {address};");
        ptx!(text, "mov.u32 {lane}, %laneid;");
        ptx!(text, "and.b32 {other}, {lane}, 28;");
        ptx!(text, "shfl.sync.idx.b32 {row}, {own}, {other}, 31, {mask};");
        ptx!(text, "and.b32 {other}, {lane}, 3;");
        ptx!(text, "mad.lo.u32 {row}, {other}, 4, {row};");
        ptx!(text, "setp.ne.or.u32 {split}, {own}, {row}, {split};");
        // The first lane of a row has its address.
        ptx!(text, "and.b32 {other}, {lane}, 7;");
        ptx!(text, "shl.b32 {other}, {other}, 2;");
        ptx!(text, "shfl.sync.idx.b32 {row}, {own}, {other}, 31, {mask};");
        row
    }

    /// The same for the matrices of a run: eight lanes pass the rows of each.
    fn run_address(&mut self, run: &Run, row: Reg, split: Reg) -> Reg {
        let text = &mut self.text;
        let [address, part] = [(); 2].map(|()| text.reg(Kind::Word));
        let wide = text.reg(Kind::Long);
        ptx!(text, "add.u32 {address}, {row}, {};", run.first);
        ptx!(text, "and.b32 {part}, {address}, {};", ALIGNMENT - 1);
        ptx!(text, "setp.ne.or.u32 {split}, {part}, 0, {split};");
        ptx!(text, "mov.u32 {part}, %laneid;");
        ptx!(text, "shr.u32 {part}, {part}, 3;");
        ptx!(text, "mad.lo.u32 {address}, {part}, {}, {address};", run.stride);
        ptx!(text, "cvt.u64.u32 {wide}, {address};");
        wide
    }

    /// The elements of a load of a fragment. The first of a run loads all of it.
    pub(super) fn fragment(&mut self, load: Value) -> Option<Vec<Reg>> {
        let fragments = &mut self.versions.fragments;
        let &(number, at) = fragments.of.get(&load)?;
        let Run { ref loads, address, transposed, .. } = fragments.runs[number];
        if !self.flow.is_whole() {
            fragments.loaded.remove(&load);
        } else if at == 0 {
            let regs: Vec<Reg> = loads.iter().map(|_| self.text.reg(Kind::Word)).collect();
            fragments.loaded.extend(loads.iter().copied().zip(regs.iter().copied()));
            let list = regs.iter().map(Reg::to_string).collect::<Vec<_>>().join(", ");
            let (count, turned) = (regs.len(), if transposed { ".trans" } else { "" });
            let (mask, address) = (self.mask(), address?);
            self.has_tensor = true;
            let ahead = self.versions.tile_of(load);
            // A lane reads what others have written.
            ptx!(self.text, "bar.warp.sync {mask};");
            ptx!(
                self.text,
                "ldmatrix.sync.aligned.m8n8.x{count}{turned}.shared.b16 {{{list}}}, [{address}+{ahead}];"
            );
        }
        let (reg, _) = self.versions.fragments.register(load)?;
        self.targets.remove(&load);
        let halves = [(); 2].map(|()| self.text.reg(Kind::Half));
        ptx!(self.text, "mov.b32 {{{}, {}}}, {reg};", halves[0], halves[1]);
        Some(halves.to_vec())
    }
}
