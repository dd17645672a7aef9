//! GPU captures: what command buffers did, written to a file.

use super::command::Queue;
use super::device::Gpu;
use super::enums::CaptureDestination;
use super::error::GpuError;
use super::foundation::NSURL;
use crate::abi::Id;
use crate::metal_class;
use std::path::Path;

metal_class! {
    /// Starts and stops captures of what the GPU does.
    ///
    /// ```
    /// use aruminium::{Capture, CaptureDestination, Gpu};
    /// let gpu = Gpu::open()?;
    /// let file = std::env::temp_dir().join(format!("decoder-{}.gputrace", std::process::id()));
    /// let capture = Capture::shared();
    /// println!("to files: {}", capture.supports(CaptureDestination::GPUTraceDocument));
    /// // A Mac needs `MTL_CAPTURE_ENABLED=1`; the error says so.
    /// match capture.start_device(&gpu, &file) {
    ///     Ok(()) => {
    ///         assert!(capture.is_capturing());
    ///         // Command buffers that are submitted here are written to the file.
    ///         capture.stop();
    ///         # let _ = std::fs::remove_file(&file);
    ///     }
    ///     Err(error) => println!("{error}"),
    /// }
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub class Capture: MTLCaptureManager;

    /// The manager of this process.
    pub fn shared() -> Capture = class [sharedCaptureManager];
    /// Whether captures can go to a destination.
    pub fn supports(destination: CaptureDestination) -> bool = [supportsDestination:];
    /// Whether a capture is running.
    pub fn is_capturing() -> bool = [isCapturing];
    /// End the capture, and write its file.
    pub fn stop() = [stopCapture];
    fn start(descriptor: &CaptureDescriptor) -> Result<(), GpuError>
        = [startCaptureWithDescriptor:error:] or GpuError::CaptureFailed;
}

metal_class! {
    /// The object to capture, and the destination.
    pub(crate) class CaptureDescriptor: MTLCaptureDescriptor;

    fn new() -> CaptureDescriptor = class [new];
    unsafe fn set_object(object: Id) = [setCaptureObject:];
    fn set_destination(destination: CaptureDestination) = [setDestination:];
    fn set_output(url: &NSURL) = [setOutputURL:];
}

impl Capture {
    /// Capture everything that a GPU runs in command buffers that are created from now on. On a Mac
    /// the file is for Xcode; the embedded Metal writes text, a line for each command.
    ///
    /// # Errors
    ///
    /// [`GpuError::CaptureFailed`] if captures are not enabled (`MTL_CAPTURE_ENABLED=1` on a Mac),
    /// a capture is already running, or the file already exists.
    pub fn start_device(&self, gpu: &Gpu, file: impl AsRef<Path>) -> Result<(), GpuError> {
        self.start_object(gpu.as_raw(), file.as_ref())
    }

    /// Capture the command buffers of one queue.
    ///
    /// # Errors
    ///
    /// As for [`start_device`](Self::start_device).
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// let queue = gpu.new_command_queue()?;
    /// let capture = aruminium::Capture::shared();
    /// let nowhere = capture.start_queue(&queue, "/no such folder/decoder.gputrace");
    /// assert!(nowhere.is_err());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn start_queue(&self, queue: &Queue, file: impl AsRef<Path>) -> Result<(), GpuError> {
        self.start_object(queue.as_raw(), file.as_ref())
    }

    fn start_object(&self, object: Id, file: &Path) -> Result<(), GpuError> {
        let descriptor = CaptureDescriptor::new();
        // SAFETY: the object is a live device or queue, and the descriptor retains it.
        unsafe { descriptor.set_object(object) };
        descriptor.set_destination(CaptureDestination::GPUTraceDocument);
        descriptor.set_output(&NSURL::file(&file.to_string_lossy()));
        self.start(&descriptor)
    }
}
