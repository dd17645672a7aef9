//! Binary archives: compiled pipelines in a file.

use super::descriptor::PipelineDescriptor;
use super::device::Gpu;
use super::error::GpuError;
use super::foundation::{NSArray, NSURL};
use crate::metal_class;
use std::path::Path;

metal_class! {
    /// Compiled pipelines, which can be written to a file: a later process need not compile them again.
    ///
    /// ```
    /// use aruminium::{Gpu, PipelineDescriptor};
    /// let gpu = Gpu::open()?;
    /// let file = std::env::temp_dir().join(format!("kernels-{}.archive", std::process::id()));
    /// let one = gpu.compile("kernel void one(device int *x) { x[0] = 1; }")?.function("one")?;
    /// let descriptor = PipelineDescriptor::new(&one);
    ///
    /// let archive = gpu.binary_archive()?;
    /// archive.set_label("kernels");
    /// descriptor.set_binary_archives(&[&archive]);
    /// assert!(gpu.pipeline_in_archives(&descriptor).is_err(), "it has nothing yet");
    /// archive.add(&descriptor)?;
    /// archive.save(&file)?;
    ///
    /// let archive = gpu.open_binary_archive(&file)?;
    /// descriptor.set_binary_archives(&[&archive]);
    /// let pipeline = gpu.pipeline_in_archives(&descriptor)?;
    /// assert_eq!(pipeline.reflection()?.len(), 1);
    /// # let _ = std::fs::remove_file(&file);
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    ///
    /// Soft Metal's archives have no code: they record which pipelines were added.
    ///
    /// It stays on one thread, as do descriptors that name it: Apple does not document that two threads may use one archive.
    pub class BinaryArchive: MTLBinaryArchive, labelled;

    /// Compile the pipeline of a descriptor, and add its code.
    ///
    /// # Errors
    ///
    /// [`GpuError::ArchiveFailed`] with the reason.
    pub fn add(descriptor: &PipelineDescriptor) -> Result<(), GpuError>
        = [addComputePipelineFunctionsWithDescriptor:error:] or GpuError::ArchiveFailed;
    fn save_to(url: &NSURL) -> Result<(), GpuError> = [serializeToURL:error:] or GpuError::ArchiveFailed;
}

metal_class! {
    /// Where an archive is read from.
    pub(crate) class BinaryArchiveDescriptor: MTLBinaryArchiveDescriptor;

    fn new() -> BinaryArchiveDescriptor = class [new];
    fn set_url(url: &NSURL) = [setUrl:];
}

/// The URL of a file. Metal's paths are UTF-8.
fn url(file: &Path) -> Result<NSURL, GpuError> {
    let path = file.to_str();
    let path = path.ok_or_else(|| GpuError::ArchiveFailed(format!("{file:?} is not UTF-8")))?;
    Ok(NSURL::file(path))
}

impl BinaryArchive {
    /// Write the archive to a file. An existing file is overwritten, so other processes may see a part of it: write to another
    /// name and rename it if they read the file.
    ///
    /// # Errors
    ///
    /// [`GpuError::ArchiveFailed`] with the reason.
    ///
    /// ```
    /// let archive = aruminium::Gpu::open()?.binary_archive()?;
    /// assert!(archive.save("/no such folder/kernels.archive").is_err());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn save(&self, file: impl AsRef<Path>) -> Result<(), GpuError> {
        self.save_to(&url(file.as_ref())?)
    }
}

impl Gpu {
    /// An empty archive of compiled pipelines.
    ///
    /// # Errors
    ///
    /// [`GpuError::ArchiveFailed`] with the reason.
    ///
    /// ```
    /// let archive = aruminium::Gpu::open()?.binary_archive()?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn binary_archive(&self) -> Result<BinaryArchive, GpuError> {
        self.archive_of(&BinaryArchiveDescriptor::new())
    }

    /// The archive in a file that [`BinaryArchive::save`] wrote.
    ///
    /// # Errors
    ///
    /// [`GpuError::ArchiveFailed`] if the file does not exist, is no archive, or is one of another kind of GPU.
    ///
    /// ```
    /// let gpu = aruminium::Gpu::open()?;
    /// assert!(gpu.open_binary_archive("/no such folder/kernels.archive").is_err());
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn open_binary_archive(&self, file: impl AsRef<Path>) -> Result<BinaryArchive, GpuError> {
        let descriptor = BinaryArchiveDescriptor::new();
        descriptor.set_url(&url(file.as_ref())?);
        self.archive_of(&descriptor)
    }
}

impl PipelineDescriptor {
    /// Set the archives in which Metal looks for the compiled pipeline before it compiles it.
    ///
    /// ```
    /// # let gpu = aruminium::Gpu::open()?;
    /// # let function = gpu.compile("kernel void one(device int *x) { x[0] = 1; }")?.function("one")?;
    /// let descriptor = aruminium::PipelineDescriptor::new(&function);
    /// descriptor.set_binary_archives(&[&gpu.binary_archive()?]);
    /// let pipeline = gpu.pipeline_with(&descriptor)?;
    /// # Ok::<(), aruminium::GpuError>(())
    /// ```
    pub fn set_binary_archives(&self, archives: &[&BinaryArchive]) {
        self.set_archive_array(&NSArray::new(archives));
    }
}
