//! Tapes in rotation, for loops that encode ahead of the GPU.

use super::tape::Tape;
use super::work::Work;
use crate::usage::Epoch;
use crate::{Buffer, Gpu, GpuError};
use std::ops::Deref;

/// Tapes used in rotation: memory for one step of a loop, reused when the GPU has finished with it.
///
/// With two tapes the CPU encodes a step while the GPU runs the previous one. A step allocates no memory from the
/// system.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gpu = aruminium::Gpu::open()?;
/// # let queue = gpu.new_command_queue()?;
/// # let source = "kernel void twice(device float *x, uint i [[thread_position_in_grid]]) { x[i] *= 2; }";
/// # let pipeline = gpu.pipeline(&gpu.compile(source)?.function("twice")?)?;
/// use aruminium::memory::Frames;
/// let mut frames = Frames::new(&gpu, 2, 1 << 16)?;
/// for step in 0..10u8 {
///     let frame = frames.next()?;
///     let mut x = frame.slice::<f32>(32).expect("there is room");
///     x.view_mut().fill(f32::from(step));
///     let commands = queue.commands()?;
///     let encoder = commands.encoder()?;
///     encoder.bind(&pipeline);
///     x.bind(&encoder, 0);
///     encoder.launch((32, 1, 1), (32, 1, 1));
///     encoder.finish();
///     commands.submit();
///     if step == 9 {
///         assert_eq!(x.view_completed()?[31], 18.0);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Frames {
    slots: Vec<Slot>,
    next: usize,
    /// Whether the frame before is in use.
    running: bool,
}

#[derive(Debug)]
struct Slot {
    tape: Tape,
    /// When the step that it was for ended. Command buffers that are submitted later and only use a residency set that
    /// has the tape do not use it.
    ended: Epoch,
}

/// A tape for one step; see [`Frames`]. It derefs to a [`Tape`] whose buffer the encoders bind.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let gpu = aruminium::Gpu::open()?;
/// let mut frames = aruminium::memory::Frames::new(&gpu, 2, 4096)?;
/// let frame = frames.next()?;
/// assert!(frame.take(64, 64).is_some() && frame.buffer().size() >= 4096);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Frame<'a>(&'a Slot);

impl Frames {
    /// `frames` tapes of at least `bytes` bytes each.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferCreationFailed`] for no frames or no bytes, or with the system's error.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// use aruminium::memory::Frames;
    /// assert_eq!(Frames::new(&gpu, 3, 4096)?.len(), 3);
    /// assert!(Frames::new(&gpu, 0, 4096).is_err() && Frames::new(&gpu, 2, 0).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(gpu: &Gpu, frames: usize, bytes: usize) -> Result<Self, GpuError> {
        if frames == 0 {
            return Err(GpuError::BufferCreationFailed("a rotation of no frames".into()));
        }
        let slot = |_| {
            let tape = Tape::start(bytes)?.on(gpu)?;
            Ok(Slot { tape, ended: Epoch::now() })
        };
        let slots = (0..frames).map(slot).collect::<Result<_, GpuError>>()?;
        Ok(Self { slots, next: 0, running: false })
    }

    /// The next tape, empty, once the GPU has finished with it.
    ///
    /// # Errors
    ///
    /// [`GpuError::BufferAccess`] if a command buffer was encoded with the frame, or declared by
    /// [`until`](Frame::until), and never submitted: it could still be submitted, and would find other data. Submit
    /// it, or drop it with its encoders; the frame is returned then.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let commands = gpu.new_command_queue()?.commands()?;
    /// let mut frames = aruminium::memory::Frames::new(&gpu, 1, 4096)?;
    /// let copier = commands.copier()?;
    /// copier.fill(frames.next()?.buffer(), (0..64).into(), 1);
    /// copier.finish();
    /// assert!(frames.next().is_err(), "the command buffer was not submitted");
    /// commands.submit();
    /// assert_eq!(frames.next()?.used(), 0);
    /// # Ok(())
    /// # }
    /// ```
    #[allow(clippy::should_implement_trait)] // The result borrows the frames.
    pub fn next(&mut self) -> Result<Frame<'_>, GpuError> {
        let frames = self.slots.len();
        if std::mem::take(&mut self.running) {
            self.slots[(self.next + frames - 1) % frames].ended = Epoch::now();
        }
        let slot = &mut self.slots[self.next];
        let declared = slot.tape.declared_mut().wait();
        let waited = slot.tape.record().wait_for_gpu(Some(slot.ended));
        if waited.is_err() || !declared {
            return Err(GpuError::BufferAccess(format!(
                "a command buffer that uses frame {} was encoded and never submitted: submit it, or drop it",
                self.next
            )));
        }
        (self.next, self.running) = ((self.next + 1) % frames, true);
        slot.tape.restart();
        Ok(Frame(slot))
    }

    /// How many tapes are in rotation.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// let frames = aruminium::memory::Frames::new(&gpu, 3, 4096)?;
    /// assert!(frames.len() == 3 && !frames.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Always false: a rotation has at least one tape.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// assert!(!aruminium::memory::Frames::new(&gpu, 3, 4096)?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

impl Drop for Frames {
    /// Declared work does not retain the memory, so wait for it.
    fn drop(&mut self) {
        for mut slot in self.slots.drain(..) {
            let is_done = slot.tape.declared_mut().wait();
            slot.tape.record().usage().wait();
            // The program can still submit the work: the memory is never freed, and its block, of which there may be clones, is
            // never divided or viewed again.
            if !is_done {
                std::mem::forget(slot);
            }
        }
    }
}

impl Frame<'_> {
    /// The frame's memory as a buffer.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// let mut frames = aruminium::memory::Frames::new(&gpu, 2, 4096)?;
    /// assert!(frames.next()?.buffer().size() >= 4096);
    /// # Ok(())
    /// # }
    /// ```
    pub fn buffer(&self) -> &Buffer {
        self.0.tape.buffer().expect("a frame's tape is on a GPU")
    }

    /// Declares work that uses the frame by means that are not tracked: the frame is not reused, and its memory not
    /// freed, before it is done. Bindings by safe methods of encoders need no declaration.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let dispatch = aruminium::Dispatch::new(&gpu.new_command_queue()?);
    /// let mut frames = aruminium::memory::Frames::new(&gpu, 2, 4096)?;
    /// let frame = frames.next()?;
    /// // SAFETY: the frame lives until the work is done, and is not viewed before: `until` below ensures it.
    /// let future = unsafe { dispatch.batch_async(|batch| batch.bind_buffer(frame.buffer(), 0, 0)) };
    /// frame.until(&future);
    /// # Ok(())
    /// # }
    /// ```
    pub fn until(&self, work: &impl Work) {
        self.0.tape.declared().add(work);
    }
}

impl Deref for Frame<'_> {
    type Target = Tape;

    #[inline]
    fn deref(&self) -> &Tape {
        &self.0.tape
    }
}
