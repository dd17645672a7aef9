//! The set-up of the driver's tests: a GPU, a queue, and kernels from source text.

use aruminium::{Encoder, Gpu, GpuError, Pipeline, Queue, autorelease_pool};

/// A GPU with a queue.
pub(crate) struct Rig {
    pub(crate) gpu: Gpu,
    pub(crate) queue: Queue,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let gpu = Gpu::open().unwrap();
        let queue = gpu.new_command_queue().unwrap();
        Self { gpu, queue }
    }

    /// The only kernel of a source text.
    pub(crate) fn kernel(&self, source: &str) -> Pipeline {
        let source = format!("#include <metal_stdlib>\nusing namespace metal;\n{source}");
        let library = self.gpu.compile(&source).unwrap_or_else(|error| panic!("{error}"));
        let function = library.function(&library.function_names()[0]).unwrap();
        self.gpu.pipeline(&function).unwrap()
    }

    /// Runs the commands that a closure records, in a command buffer of its own.
    #[allow(dead_code)] // Some tests keep command buffers in flight instead.
    pub(crate) fn run(&self, record: impl FnOnce(&Encoder)) -> Result<(), GpuError> {
        autorelease_pool(|| {
            let commands = self.queue.commands()?;
            let encoder = commands.encoder()?;
            record(&encoder);
            encoder.finish();
            commands.submit();
            commands.finish()
        })
    }
}
