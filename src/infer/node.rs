//! The commands of a graph, as a program may inspect them.

use super::graph::Graph;
use super::kernels::Kernel;
use super::launch::{Arg, Grid};
use super::ranges::Role;
use super::recorder::{Command, NodeArg, Recorder};
use super::tensor::Tensor;

/// One command of a graph.
///
/// ```
/// use aruminium::infer::Graph;
/// let (graph, ()) = Graph::record(|_| Ok(()))?;
/// for node in graph.nodes() {
///     println!("{:?} {} {:?}", node.kind, node.label(), node.uses());
/// }
/// # Ok::<(), aruminium::infer::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Node<'a> {
    /// The kind of command.
    pub kind: NodeKind,
    /// The number of barriers and of changes between launches and copies before it.
    pub group: usize,
    pub(super) index: usize,
    pub(super) graph: &'a Graph,
}

/// The kind of a graph's command.
///
/// ```
/// use aruminium::infer::NodeKind;
/// println!("{:?}", NodeKind::Copy);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NodeKind {
    /// A launch of a kernel.
    Launch {
        /// The kernel.
        kernel: Kernel,
        /// The threads.
        grid: Grid,
    },
    /// A copy of bytes.
    Copy,
    /// A barrier that the program requested.
    Barrier,
}

impl Node<'_> {
    /// The label that it was recorded under.
    ///
    /// ```
    /// # let (graph, ()) = aruminium::infer::Graph::record(|_| Ok(()))?;
    /// assert!(graph.nodes().all(|node| node.label().is_empty()));
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn label(&self) -> &str {
        &self.graph.recorded.nodes[self.index].label
    }

    /// The tensors that it uses, and how.
    ///
    /// ```
    /// # let (graph, ()) = aruminium::infer::Graph::record(|_| Ok(()))?;
    /// assert!(graph.nodes().all(|node| !node.uses().is_empty()));
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn uses(&self) -> Vec<(&Tensor, Role)> {
        let Recorder { nodes, operands, .. } = &self.graph.recorded;
        let uses = nodes[self.index].operands();
        uses.map(|(operand, role)| (&operands[operand as usize].tensor, role)).collect()
    }

    /// The arguments of a launch, each with the name and the index that its kernel declares; other commands have none. A part of a
    /// slot is the tensor that was recorded, and a byte slot has the bytes that were recorded.
    ///
    /// ```
    /// use aruminium::infer::{Arg, DType, Graph, Grid, Kernels, Tensor};
    /// let gpu = aruminium::Gpu::open()?;
    /// let kernels = Kernels::new(&gpu);
    /// kernels.add("add", "kernel void add(device float *x, constant float &a [[buffer(5)]]) { x[0] += a; }");
    /// let x = Tensor::new(&gpu, DType::F32, &[1])?;
    /// let (add, one) = (kernels.get("add", "add")?, 1f32.to_ne_bytes());
    /// let (graph, ()) = Graph::record(|stream| {
    ///     stream.launch(&add, &[Arg::Tensor(&x), Arg::Bytes(&one)], Grid::threads_1d(1))
    /// })?;
    /// let node = graph.nodes().next().expect("the launch");
    /// let [("x", 0, Arg::Tensor(_)), ("a", 5, Arg::Bytes(bytes))] = node.args()[..] else { panic!("{node:?}") };
    /// assert_eq!(bytes, one);
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn args(&self) -> Vec<(&str, usize, Arg<'_>)> {
        let Recorder { nodes, operands, .. } = &self.graph.recorded;
        let Command::Launch { kernel, args, .. } = &nodes[self.index].command else {
            return Vec::new();
        };
        let parameters = kernel.parameters().list.iter().zip(args);
        let passed = parameters.map(|(parameter, arg)| {
            let arg = match arg {
                NodeArg::Operand(operand) => Arg::Tensor(&operands[*operand as usize].tensor),
                NodeArg::Bytes(bytes) => Arg::Bytes(bytes),
                NodeArg::Slot(slot, bytes) => Arg::Slot(*slot, bytes),
                NodeArg::Shared(bytes) => Arg::Shared(*bytes),
            };
            (&parameter.name[..], parameter.index, arg)
        });
        passed.collect()
    }

    /// The name in drawings.
    pub(super) fn title(&self) -> String {
        match &self.kind {
            NodeKind::Launch { kernel, .. } => kernel.name().to_owned(),
            NodeKind::Copy => "copy".to_owned(),
            NodeKind::Barrier => "barrier".to_owned(),
        }
    }
}
