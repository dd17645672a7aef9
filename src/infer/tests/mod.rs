//! Tests of `infer`.

mod cache;
mod errors;
mod graph;
mod kernels;
mod optimize;
mod order;
mod ranges;
mod stream;
mod tensor;
#[cfg(not(target_vendor = "apple"))]
mod worker;

use super::{Arg, Error, Grid, Kernel, Kernels, Stream, Tensor};
use crate::test_random::Random;
use crate::{Gpu, Queue};

/// The device and the queue of the tests.
struct Bench {
    gpu: Gpu,
    queue: Queue,
    kernels: Kernels,
}

/// Kernels of one, two and three tensors whose results depend on the order in which they run.
const SOURCE: &str = "
    kernel void twist(device uint *x, constant uint &a, uint i [[thread_position_in_grid]]) {
        x[i] = x[i] * 3 + a;
    }
    kernel void mix(device const uint *from, device uint *to, constant uint &a, uint i [[thread_position_in_grid]]) {
        to[i] = to[i] * 5 + from[i] + a;
    }
    kernel void join(device const uint *one, device const uint *other, device uint *to, constant uint &a,
                     uint i [[thread_position_in_grid]]) {
        to[i] = one[i] * 7 + other[i] + a;
    }";

impl Bench {
    fn new() -> Self {
        let gpu = Gpu::open().unwrap();
        let kernels = Kernels::new(&gpu);
        kernels.add("order", SOURCE);
        Self { queue: gpu.new_command_queue().unwrap(), gpu, kernels }
    }

    fn stream(&self) -> Stream {
        Stream::new(&self.gpu, &self.queue)
    }

    fn kernel(&self, name: &str) -> Kernel {
        self.kernels.get("order", name).unwrap()
    }

    fn tensor(&self, values: &[u32]) -> Tensor {
        Tensor::from_slice(&self.gpu, values, &[values.len()]).unwrap()
    }
}

/// One launch of a random program: a kernel by its number of tensors, views of the memory by number, and a number that
/// it adds.
#[derive(Clone, Debug)]
struct Step {
    /// For each tensor its memory and where it begins there, in values; the last is written.
    views: Vec<(usize, usize)>,
    add: u32,
}

/// A random program over overlapping views of few memories.
struct Program {
    steps: Vec<Step>,
    memories: usize,
}

/// The number of values of a memory, and of a view.
const VALUES: usize = 40;
const VIEW: usize = 8;

impl Program {
    fn random(random: &mut Random, launches: usize) -> Self {
        let memories = 1 + random.below(4);
        let step = |random: &mut Random| Step {
            views: (0..1 + random.below(3))
                .map(|_| (random.below(memories), random.below(VALUES - VIEW + 1)))
                .collect(),
            add: random.below(1000) as u32,
        };
        Self { steps: (0..launches).map(|_| step(random)).collect(), memories }
    }

    /// The memories of a run, with their initial values.
    fn memory(&self, bench: &Bench) -> Vec<Tensor> {
        let values =
            |memory: usize| (0..VALUES).map(|i| (memory * 1000 + i) as u32).collect::<Vec<_>>();
        (0..self.memories).map(|memory| bench.tensor(&values(memory))).collect()
    }

    /// Records the steps in an order.
    fn record(
        &self,
        bench: &Bench,
        memory: &[Tensor],
        order: impl Iterator<Item = usize>,
        stream: &mut Stream,
    ) -> Result<(), Error> {
        for step in order.map(|index| &self.steps[index]) {
            let views: Vec<Tensor> = step
                .views
                .iter()
                .map(|&(index, start)| memory[index].narrow(0, start..start + VIEW).unwrap())
                .collect();
            let kernel = bench.kernel(["twist", "mix", "join"][views.len() - 1]);
            let add = step.add.to_ne_bytes();
            let mut args: Vec<Arg<'_>> = views.iter().map(Arg::Tensor).collect();
            args.push(Arg::Bytes(&add));
            stream.launch(&kernel, &args, Grid::threads_1d(VIEW))?;
        }
        Ok(())
    }

    /// Whether two steps conflict, by the definition: value by value.
    fn conflict(&self, first: usize, second: usize) -> bool {
        let uses = |step: &Step| -> Vec<(usize, usize, bool)> {
            let last = step.views.len() - 1;
            let all = step.views.iter().enumerate();
            all.flat_map(|(nth, &(memory, start))| {
                (start..start + VIEW).map(move |value| (memory, value, nth == last))
            })
            .collect()
        };
        let (first, second) = (uses(&self.steps[first]), uses(&self.steps[second]));
        first.iter().any(|one| {
            second.iter().any(|other| (one.0, one.1) == (other.0, other.1) && (one.2 || other.2))
        })
    }

    /// The least number of barriers of this order, found by trying: the fewest groups of consecutive steps without a
    /// conflict in a group.
    fn fewest_barriers(&self) -> u64 {
        let count = self.steps.len();
        // The fewest groups for the first `n` steps.
        let mut fewest = vec![0u64; count + 1];
        for end in 1..=count {
            let mut best = u64::MAX;
            for start in (0..end).rev() {
                if (start + 1..end).any(|other| self.conflict(start, other)) {
                    break;
                }
                best = best.min(fewest[start] + 1);
            }
            fewest[end] = best;
        }
        fewest[count].saturating_sub(1)
    }

    /// The values after the steps ran one after the other.
    fn expected(&self) -> Vec<Vec<u32>> {
        self.expected_in(0..self.steps.len())
    }

    /// The values after the steps ran in an order, computed here.
    fn expected_in(&self, order: impl Iterator<Item = usize>) -> Vec<Vec<u32>> {
        let mut memory: Vec<Vec<u32>> = (0..self.memories)
            .map(|memory| (0..VALUES).map(|i| (memory * 1000 + i) as u32).collect())
            .collect();
        order.for_each(|index| self.step(index, &mut memory));
        memory
    }

    /// Runs one step on the values of the memories.
    fn step(&self, index: usize, memory: &mut [Vec<u32>]) {
        let step = &self.steps[index];
        // The threads of a launch run in any order: views of one launch that overlap are left out by `without_races`.
        for i in 0..VIEW {
            let at = |nth: usize| {
                let (index, start) = step.views[nth];
                memory[index][start + i]
            };
            let last = step.views.len() - 1;
            let value = match last {
                0 => at(0).wrapping_mul(3).wrapping_add(step.add),
                1 => at(1).wrapping_mul(5).wrapping_add(at(0)).wrapping_add(step.add),
                _ => at(0).wrapping_mul(7).wrapping_add(at(1)).wrapping_add(step.add),
            };
            let (index, start) = step.views[last];
            memory[index][start + i] = value;
        }
    }

    /// Leaves out steps whose own threads race, because their output overlaps an input at another offset.
    fn without_races(mut self) -> Self {
        self.steps.retain(|step| {
            let (written, rest) = step.views.split_last().unwrap();
            rest.iter().all(|read| {
                read.0 != written.0 || read.1 == written.1 || read.1.abs_diff(written.1) >= VIEW
            })
        });
        self
    }
}

fn values(memory: &[Tensor]) -> Vec<Vec<u32>> {
    memory.iter().map(|tensor| tensor.to_vec::<u32>().unwrap()).collect()
}
