//! Launches of kernels over memory between pages that end the process if they are accessed.

use crate::soft::cpu::{Pages, Program, Way, Workers, by_index::*};
use crate::soft::ir::Module;
use crate::soft::kernel::Fault;
use crate::soft::msl::{self, ConstantValues, Options};

/// The kernel `k` of a text; `name` describes it.
pub(super) fn kernel(text: &str, name: &str) -> Module {
    let library =
        msl::compile(text, &Options::default()).unwrap_or_else(|e| panic!("{name}: {e}\n{text}"));
    let kernel = library.kernel("k", &ConstantValues::default());
    kernel.unwrap_or_else(|e| panic!("{name}: {e}\n{text}")).0
}

/// The buffers of a launch, from index 0 on.
pub(super) struct Buffers<const N: usize> {
    pages: [Pages; N],
    starts: [usize; N],
    lengths: [usize; N],
}

impl<const N: usize> Buffers<N> {
    /// Buffers of these lengths, each `first` in its pages, or last. All of the pages has the bytes of [`pattern`].
    pub(super) fn new(lengths: [usize; N], first: bool) -> Self {
        let mut pages = lengths.map(|length| Pages::new(length.max(1)));
        let starts = std::array::from_fn(|n| pages[n].place(lengths[n], first));
        for page in &mut pages {
            page.iter_mut().enumerate().for_each(|(at, byte)| *byte = pattern(at));
        }
        Self { pages, starts, lengths }
    }

    /// The bytes of a buffer.
    pub(super) fn bytes(&mut self, number: usize) -> &mut [u8] {
        &mut self.pages[number][self.starts[number]..][..self.lengths[number]]
    }

    /// Writes words to a buffer.
    pub(super) fn write(&mut self, number: usize, words: &[u32]) {
        let bytes = words.iter().flat_map(|word| word.to_le_bytes());
        self.bytes(number).iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    }

    /// The words of a buffer.
    pub(super) fn words(&mut self, number: usize) -> Vec<u32> {
        let words = self.bytes(number).as_chunks().0.iter();
        words.map(|word| u32::from_le_bytes(*word)).collect()
    }

    /// Whether the bytes beside a buffer are as they were.
    pub(super) fn is_untouched_beside(&self, number: usize) -> bool {
        let own = self.starts[number]..self.starts[number] + self.lengths[number];
        let mut bytes = self.pages[number].iter().enumerate();
        bytes.all(|(at, &byte)| own.contains(&at) || byte == pattern(at))
    }

    /// Whether a buffer has the bytes that it began with.
    pub(super) fn is_untouched(&mut self, number: usize) -> bool {
        let start = self.starts[number];
        let mut bytes = self.bytes(number).iter().enumerate();
        bytes.all(|(at, &byte)| byte == pattern(start + at))
    }

    /// Runs a kernel over them, on one thread.
    pub(super) fn launch(
        &mut self,
        module: &Module,
        way: Way,
        size: [[u32; 3]; 2],
        name: &str,
    ) -> Result<(), Fault> {
        self.run(&way.program(module).unwrap_or_else(|e| panic!("{name}: {e}")), size)
    }

    /// The same with the kernel's program.
    pub(super) fn run(
        &mut self,
        program: &Program,
        [grid, group]: [[u32; 3]; 2],
    ) -> Result<(), Fault> {
        let bindings: [Binding; N] = std::array::from_fn(|n| {
            let bytes = self.bytes(n);
            Binding { index: n as u32, base: bytes.as_mut_ptr(), bytes: bytes.len() as u64 }
        });
        let launch = Launch::of(grid, group, &bindings);
        // SAFETY: the bindings are the buffers, which nothing else uses meanwhile.
        unsafe { program.launch_by_index(&launch, &Workers::new(1)) }
    }
}

/// The byte at a position of pages before a launch.
fn pattern(at: usize) -> u8 {
    (at.wrapping_mul(0x9e37_79b9) >> 7) as u8
}
