//! Makes and measures kernels: a kernel with its arguments, its peer in OpenCL, and the same work in Rust.

use std::sync::{Mutex, PoisonError};

use aruminium::{Buffer, Commands, Encoder, Gpu, GpuError, Pipeline, Plain, Queue};

use crate::opencl::{self, Argument, Memory, OpenCl};
use crate::rounds::{Way, compare, way};

/// Threads along x, y and z.
pub(crate) type Size = (usize, usize, usize);

/// The limit: code that fills a slice as fast as the machine can.
type Limit<'a, T> = &'a mut dyn FnMut(&mut [T]);

/// A kernel with its arguments and its threads.
pub(crate) struct Kernel<'a> {
    queue: &'a Queue,
    pipeline: Pipeline,
    bind: &'a dyn Fn(&Encoder),
    grid: Size,
    group: Size,
    /// The same in OpenCL, with the memory of its result.
    peer: Option<(opencl::Kernel<'a>, Memory)>,
}

impl Kernel<'_> {
    fn run(&self) -> Result<(), GpuError> {
        let commands: Commands = self.queue.commands()?;
        let encoder = commands.encoder()?;
        encoder.bind(&self.pipeline);
        (self.bind)(&encoder);
        encoder.launch(self.grid, self.group);
        encoder.finish();
        commands.submit();
        commands.finish()
    }
}

/// The devices on which kernels are made.
pub(crate) struct Place<'a> {
    pub(crate) gpu: &'a Gpu,
    pub(crate) queue: &'a Queue,
    pub(crate) cl: Option<&'a OpenCl>,
}

impl<'a> Place<'a> {
    /// A kernel and its peer, given by name and source, with their grids and threadgroups; `arguments` makes the peer's
    /// arguments, of which the first is its result.
    pub(crate) fn kernel(
        &self,
        (pipeline, grid, group): (Pipeline, Size, Size),
        ((name, opencl), peers_grid, peers_group): ((&str, &str), Size, Size),
        bind: &'a dyn Fn(&Encoder),
        arguments: impl FnOnce(&OpenCl) -> Vec<Argument<'a>>,
    ) -> Kernel<'a> {
        let peer = self.cl.map(|cl| {
            let arguments = arguments(cl);
            let Some(Argument::Memory(result)) = arguments.first() else {
                panic!("the first argument of {name} is its result")
            };
            (cl.kernel(opencl, name, &arguments, peers_grid, peers_group), *result)
        });
        Kernel { queue: self.queue, pipeline, bind, grid, group, peer }
    }

    /// A buffer of numbers.
    pub(crate) fn upload<T: Plain>(&self, values: &[T]) -> Result<Buffer, GpuError> {
        let buffer = self.gpu.buffer(size_of_val(values))?;
        buffer.write_as(|to: &mut [T]| to.copy_from_slice(values));
        Ok(buffer)
    }

    /// Measures a kernel, the same work in Rust on one core and on all cores, which fill slices, and the limit, which fills
    /// a slice with the previous contents of the kernel's result.
    pub(crate) fn beside<T: Copy + Default + PartialEq + std::fmt::Debug>(
        &self,
        title: &str,
        kernel: &Kernel<'_>,
        output: impl Fn() -> Vec<T>,
        limit: Option<Limit<'_, T>>,
        alone: impl Fn(&mut [T]),
        together: impl Fn(&mut [T]),
    ) {
        let mut best = output();
        kernel.run().expect("the kernel runs");
        let found = output();
        let mut out = vec![T::default(); found.len()];
        alone(&mut out);
        assert!(found == out, "{title}: the kernel and Rust differ");
        let mut parallel = vec![T::default(); found.len()];
        together(&mut parallel);
        assert!(parallel == out, "{title}: Rust differs on all cores");
        let has_limit = limit.is_some();
        let mut nothing = |_: &mut [T]| {};
        let limit = limit.unwrap_or(&mut nothing);
        if has_limit {
            limit(&mut best);
            assert!(best == out, "{title}: the limit and Rust differ");
        }
        if let (Some(cl), Some((peer, result))) = (self.cl, &kernel.peer) {
            peer.run();
            assert!(cl.read::<T>(*result) == out, "{title}: OpenCL and Rust differ");
        }
        let peer = || kernel.peer.iter().for_each(|(peer, _)| peer.run());
        let ways: &mut [Way<'_>] = &mut [
            way!("limit, all cores", limit(&mut best)),
            way!("Rust, one core", alone(&mut out)),
            way!("Rust, all cores", together(&mut parallel)),
            way!("aruminium", kernel.run().expect("it ran before")),
            way!("OpenCL", peer()),
        ];
        let range = usize::from(!has_limit)..if kernel.peer.is_some() { 5 } else { 4 };
        compare(title, None, &mut ways[range]);
    }
}

/// Numbers whose sums of products are exact, so that the order of additions does not matter.
pub(crate) fn floats(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37) % 101) as f32 / 16.0).collect()
}

/// A square matrix's rows from `at` on, times a matrix of as many columns.
pub(crate) fn multiply(left: &[f32], right: &[f32], side: usize, at: usize, out: &mut [f32]) {
    for (row, out) in out.chunks_mut(side).enumerate() {
        out.fill(0.0);
        let row = &left[at + row * side..][..side];
        for (&a, right) in row.iter().zip(right.chunks(side)) {
            for (out, &b) in out.iter_mut().zip(right) {
                *out += a * b;
            }
        }
    }
}

/// Splits the output over all cores; `work` gets the start of its part.
pub(crate) fn on_all_cores<T: Send>(
    out: &mut [T],
    unit: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    let part = part_of(out.len(), unit);
    std::thread::scope(|scope| {
        for (index, out) in out.chunks_mut(part).enumerate() {
            let work = &work;
            scope.spawn(move || work(index * part, out));
        }
    });
}

/// Splits the output into more parts than cores, which take the next part when they are done; `work` gets the start of
/// its part. Parts are whole units.
pub(crate) fn in_parts<T: Send>(out: &mut [T], unit: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    const PARTS: usize = 16;
    let part = part_of(out.len(), unit).div_ceil(PARTS).next_multiple_of(unit);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let parts = Mutex::new(out.chunks_mut(part).enumerate());
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    let help = || {
        while let Some((index, out)) = next() {
            work(index * part, out);
        }
    };
    std::thread::scope(|scope| {
        (1..cores).for_each(|_| drop(scope.spawn(help)));
        help();
    });
}

/// The number of elements for each core, in whole units.
pub(crate) fn part_of(elements: usize, unit: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    elements.div_ceil(cores).next_multiple_of(unit)
}
