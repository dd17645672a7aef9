//! Rewriting graphs: fusion by declared rules, and an order with fewer barriers.

use super::error::Error;
use super::graph::{Graph, Plan, depend};
use super::kernels::Kernel;
use super::launch::Grid;
use super::ranges::{BufferRange, Role};
use super::recorder::{Command, Node, NodeArg, Operand, Recorder};

/// A rewriting that [`Graph::optimize`] may do.
///
/// ```
/// use aruminium::infer::{Graph, Rule};
/// let (mut graph, ()) = Graph::record(|_| Ok(()))?;
/// let done = graph.optimize(&[Rule::Reorder])?;
/// assert_eq!((done.fused, done.barriers_before), (0, 0));
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Rule {
    /// Moves launches that do not depend on each other next to each other. Every launch stays after all launches that it
    /// depends on, so no byte changes.
    Reorder,
    /// Replaces two launches with one.
    Fuse(Fusion),
}

/// A launch that replaces two: `second` reads what `first` writes, and `fused` does the work of both.
///
/// A pair of launches is replaced if
///
/// * the second one binds exactly the bytes that the first one wrote, and both run the same number of threads;
/// * nothing else needs these bytes: the tensor is declared as scratch ([`Stream::scratch`](super::Stream::scratch)), and no
///   other launch reads it before it is written again;
/// * no launch between the two depends on the first one;
/// * apart from the linked argument, the two do not conflict: neither writes bytes that the other one uses, because
///   nothing would order the two accesses within one launch.
///
/// The fused kernel must have every argument that the two kernels may write, except the linked one, and be able to write it. The
/// rule's author promises that the first kernel writes all of its linked argument without reading it, and that the fused
/// kernel computes what the two compute.
///
/// ```
/// use aruminium::infer::{Arg, DType, FusedArg, Fusion, Graph, Grid, Kernels, Rule, Tensor};
/// let gpu = aruminium::Gpu::open()?;
/// let kernels = Kernels::new(&gpu);
/// kernels.add("norm", "
///     kernel void scale(device const float *x, device float *y, uint i [[thread_position_in_grid]]) { y[i] = 2 * x[i]; }
///     kernel void add(device const float *x, device const float *b, device float *y, uint i [[thread_position_in_grid]]) {
///         y[i] = x[i] + b[i];
///     }
///     kernel void scale_add(device const float *x, device const float *b, device float *y,
///                           uint i [[thread_position_in_grid]]) { y[i] = 2 * x[i] + b[i]; }");
/// let kernel = |name| kernels.get("norm", name);
/// let [x, b] = [1.0f32, 3.0].map(|value| Tensor::from_slice(&gpu, &[value; 8], &[8]));
/// let [between, y] = [(); 2].map(|_| Tensor::new(&gpu, DType::F32, &[8]));
/// let (x, b, between, y) = (x?, b?, between?, y?);
/// let (mut graph, ()) = Graph::record(|stream| {
///     stream.scratch(&between)?;
///     stream.launch(&kernel("scale")?, &[(&x).into(), (&between).into()], Grid::threads_1d(8))?;
///     stream.launch(&kernel("add")?, &[(&between).into(), (&b).into(), (&y).into()], Grid::threads_1d(8))
/// })?;
/// let fusion = Fusion {
///     first: kernel("scale")?,
///     second: kernel("add")?,
///     link: (1, 0),
///     fused: kernel("scale_add")?,
///     args: vec![FusedArg::First(0), FusedArg::Second(1), FusedArg::Second(2)],
/// };
/// let done = graph.optimize(&[Rule::Fuse(fusion)])?;
/// assert_eq!((done.fused, graph.nodes().count(), graph.barriers()), (1, 1, 0));
/// graph.replay(&gpu, &gpu.new_command_queue()?, &[], &[])?.wait()?;
/// assert_eq!(y.to_vec::<f32>()?, [5.0; 8]);
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fusion {
    /// The kernel of the first launch.
    pub first: Kernel,
    /// The kernel of the second launch.
    pub second: Kernel,
    /// The argument that the first one writes, and the argument of the second one that reads it.
    pub link: (usize, usize),
    /// The kernel that replaces both.
    pub fused: Kernel,
    /// Its arguments.
    pub args: Vec<FusedArg>,
}

/// An argument of a fused launch: one of the launches that it replaces, by its position there.
///
/// ```
/// use aruminium::infer::FusedArg;
/// assert_ne!(FusedArg::First(0), FusedArg::Second(0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FusedArg {
    /// An argument of the first launch.
    First(usize),
    /// An argument of the second launch.
    Second(usize),
}

/// The changes by [`Graph::optimize`].
///
/// ```
/// # let (mut graph, ()) = aruminium::infer::Graph::record(|_| Ok(()))?;
/// let done = graph.optimize(&[])?;
/// assert_eq!(done.barriers_before, done.barriers_after);
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Optimized {
    /// The number of pairs that were fused.
    pub fused: usize,
    /// The number of remaining launches whose position changed.
    pub moved: usize,
    /// The number of barriers before.
    pub barriers_before: u64,
    /// The number of barriers after.
    pub barriers_after: u64,
}

impl Graph {
    /// Applies rules, in order. An error leaves the graph unchanged.
    ///
    /// Dependences are known for the tensors that were recorded. So after this, a replay whose tensors overlap each other
    /// or the rest of the graph where the recorded ones did not is an error.
    ///
    /// # Errors
    ///
    /// If the rule of a fusion names arguments that its kernels do not have, binds one that they do not accept, or leaves out
    /// one that they write.
    ///
    /// ```
    /// use aruminium::infer::{Arg, DType, Graph, Grid, Kernels, Rule, Tensor};
    /// let gpu = aruminium::Gpu::open()?;
    /// let kernels = Kernels::new(&gpu);
    /// kernels.add("add", "kernel void add(device float *x, uint i [[thread_position_in_grid]]) { x[i] += 1; }");
    /// let add = kernels.get("add", "add")?;
    /// let (x, y) = (Tensor::new(&gpu, DType::F32, &[8])?, Tensor::new(&gpu, DType::F32, &[8])?);
    /// let (mut graph, ()) = Graph::record(|stream| {
    ///     for tensor in [&x, &x, &y, &y] {
    ///         stream.launch(&add, &[tensor.into()], Grid::threads_1d(8))?;
    ///     }
    ///     Ok(())
    /// })?;
    /// // x and y side by side, twice.
    /// let done = graph.optimize(&[Rule::Reorder])?;
    /// assert_eq!((done.barriers_before, done.barriers_after), (2, 1));
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn optimize(&mut self, rules: &[Rule]) -> Result<Optimized, Error> {
        let mut done = Optimized { barriers_before: self.barriers(), ..Optimized::default() };
        let before = self.recorded.nodes.clone();
        let needs = |operand: &Operand| (operand.align, operand.written);
        let needed: Vec<_> = self.recorded.operands.iter().map(needs).collect();
        let result = rules.iter().try_for_each(|rule| match rule {
            Rule::Reorder => {
                done.moved += reorder(&mut self.recorded);
                Ok(())
            }
            Rule::Fuse(fusion) => {
                while fuse(&mut self.recorded, fusion)? {
                    done.fused += 1;
                }
                Ok(())
            }
        });
        if let Err(error) = result {
            self.recorded.nodes = before;
            for (operand, needs) in self.recorded.operands.iter_mut().zip(needed) {
                (operand.align, operand.written) = needs;
            }
            return Err(error);
        }
        self.recorded.rewritten |= done.moved + done.fused > 0;
        self.plan = Plan::of(&self.recorded);
        done.barriers_after = self.barriers();
        Ok(done)
    }
}

/// Sorts the nodes by their depth: the longest chain of dependences before them. Nodes of one depth do not depend on each other,
/// so the number of barriers is the length of the longest chain. Returns how many nodes moved.
fn reorder(recorded: &mut Recorder) -> usize {
    let uses = recorded.uses();
    let mut depth = vec![0usize; uses.len()];
    for second in 0..uses.len() {
        // A depth of an earlier node that is not greater cannot change the result.
        for first in (0..second).rev() {
            if depth[first] >= depth[second] && depend(&uses[first], &uses[second]) {
                depth[second] = depth[first] + 1;
            }
        }
    }
    // Copies of one depth come last, so that the encoder changes once.
    let is_copy = |node: usize| matches!(recorded.nodes[node].command, Command::Copy { .. });
    let mut order: Vec<usize> = (0..uses.len()).collect();
    order.sort_by_key(|&node| (depth[node], is_copy(node)));
    let moved = order.iter().enumerate().filter(|(to, from)| to != *from).count();
    recorded.nodes = order.iter().map(|&node| recorded.nodes[node].clone()).collect();
    moved
}

/// The launch of a node.
fn launch(node: &Node) -> Option<(&Kernel, &[NodeArg], Grid)> {
    match &node.command {
        Command::Launch { kernel, args, grid } => Some((kernel, args, *grid)),
        _ => None,
    }
}

/// Fuses the first pair that a rule allows; returns whether there was one.
fn fuse(recorded: &mut Recorder, fusion: &Fusion) -> Result<bool, Error> {
    let uses = recorded.uses();
    for second in 0..uses.len() {
        let Some((kernel, _, _)) = launch(&recorded.nodes[second]) else { continue };
        if !kernel.is_same(&fusion.second) {
            continue;
        }
        for first in (0..second).rev() {
            if links(recorded, fusion, first, second)
                && is_private(recorded, &uses, fusion, first, second)?
            {
                let node = fused(recorded, fusion, first, second)?;
                recorded.nodes[second] = node;
                recorded.nodes.remove(first);
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn missing(fusion: &Fusion, kernel: &Kernel, position: usize) -> Error {
    let (fused, name) = (fusion.fused.name().into(), kernel.name());
    Error::Launch {
        kernel: fused,
        why: format!("its rule names argument {position} of '{name}', which has no such argument"),
    }
}

/// Whether two nodes are launches of a rule's kernels with as many threads, and the second binds what the first wrote.
fn links(recorded: &Recorder, fusion: &Fusion, first: usize, second: usize) -> bool {
    let nodes = &recorded.nodes;
    let (Some(one), Some(other)) = (launch(&nodes[first]), launch(&nodes[second])) else {
        return false;
    };
    let (written, read) = (one.1.get(fusion.link.0), other.1.get(fusion.link.1));
    one.0.is_same(&fusion.first)
        && one.2 == other.2
        && matches!((written, read), (Some(NodeArg::Operand(a)), Some(NodeArg::Operand(b))) if a == b)
}

/// Whether only the two launches use the tensor between them, and the first one can run as late as the second.
fn is_private(
    recorded: &Recorder,
    uses: &[Vec<BufferRange>],
    fusion: &Fusion,
    first: usize,
    second: usize,
) -> Result<bool, Error> {
    let Some((kernel, args, _)) = launch(&recorded.nodes[first]) else { return Ok(false) };
    let Some(NodeArg::Operand(between)) = args.get(fusion.link.0) else {
        return Err(missing(fusion, kernel, fusion.link.0));
    };
    let range = BufferRange::of(&recorded.operands[*between as usize].tensor, Role::Write);
    let is_scratch = recorded.scratch.iter().any(|scratch| scratch.contains(&range));
    // Nodes between the two stay before the fused launch, so they must not depend on the first.
    let can_move = uses[first + 1..second].iter().all(|node| !depend(&uses[first], node));
    // The next node that touches it must write it anew, without reading it.
    let touches = |node: &usize| uses[*node].iter().any(|other| other.overlaps(&range));
    let next = (second + 1..uses.len()).find(touches);
    let unread = next.is_none_or(|node| {
        let alone = uses[node].iter().filter(|other| other.overlaps(&range)).count() == 1;
        alone
            && match &recorded.nodes[node].command {
                Command::Copy { to, .. } => to == between,
                Command::Launch { kernel, args, .. } => {
                    kernel.is_same(&fusion.first)
                        && args.get(fusion.link.0) == Some(&NodeArg::Operand(*between))
                }
                Command::Barrier => false,
            }
    });
    // The other uses of the same bytes by the two launches themselves.
    let own = |node: usize| uses[node].iter().filter(|other| other.overlaps(&range)).count();
    // Within one launch nothing orders what the two do with other memory.
    let rest = |node: usize| -> Vec<BufferRange> {
        uses[node].iter().filter(|other| !other.overlaps(&range)).copied().collect()
    };
    let apart = !depend(&rest(first), &rest(second));
    Ok(is_scratch && can_move && unread && own(first) == 1 && own(second) == 1 && apart)
}

/// The launch that replaces two.
fn fused(
    recorded: &mut Recorder,
    fusion: &Fusion,
    first: usize,
    second: usize,
) -> Result<Node, Error> {
    let nodes = &recorded.nodes;
    let (Some((one, one_args, grid)), Some((other, other_args, _))) =
        (launch(&nodes[first]), launch(&nodes[second]))
    else {
        return Err(Error::Shape("only launches can be fused".into()));
    };
    let args: Vec<NodeArg> = fusion
        .args
        .iter()
        .map(|arg| match *arg {
            FusedArg::First(nth) => {
                one_args.get(nth).cloned().ok_or_else(|| missing(fusion, one, nth))
            }
            FusedArg::Second(nth) => {
                other_args.get(nth).cloned().ok_or_else(|| missing(fusion, other, nth))
            }
        })
        .collect::<Result<_, _>>()?;
    let tensors: Vec<_> = recorded.operands.iter().map(|operand| operand.tensor.clone()).collect();
    let passed: Vec<_> = args.iter().map(|arg| arg.passed(&tensors, |_, bytes| bytes)).collect();
    let parameters = fusion.fused.parameters();
    parameters.check(fusion.fused.name(), &passed, &grid)?;
    let label = nodes[second].label.clone();
    let uses: Vec<_> = parameters
        .list
        .iter()
        .zip(&args)
        .filter_map(|(parameter, arg)| match arg {
            NodeArg::Operand(operand) => Some((*operand, parameter.align, parameter.written)),
            _ => None,
        })
        .collect();
    let node =
        Node { label, command: Command::Launch { kernel: fusion.fused.clone(), args, grid } };
    for (old, link) in [(&nodes[first], fusion.link.0), (&nodes[second], fusion.link.1)] {
        check_writes(&node, old, link)?;
    }
    for (operand, align, written) in uses {
        recorded.operands[operand as usize].add_use(align, written);
    }
    Ok(node)
}

/// Checks that a fused launch writes what a launch that it replaces writes, except the linked argument.
fn check_writes(fused: &Node, old: &Node, link: usize) -> Result<(), Error> {
    let (Some((kernel, _, _)), Some((one, args, _))) = (launch(fused), launch(old)) else {
        return Ok(());
    };
    let parameters = one.parameters().list.iter().zip(args).enumerate();
    for (_, (parameter, arg)) in parameters.filter(|(nth, _)| *nth != link) {
        let NodeArg::Operand(operand) = arg else { continue };
        if parameter.written && !fused.operands().any(|other| other == (*operand, Role::Write)) {
            let why = format!(
                "it does not write '{}', which '{}', a kernel that it replaces, may write",
                parameter.name,
                one.name()
            );
            return Err(Error::Launch { kernel: kernel.name().into(), why });
        }
    }
    Ok(())
}
