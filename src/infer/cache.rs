//! Kernels in a file.

use super::error::Error;
use crate::{BinaryArchive, Gpu, GpuError, Pipeline, PipelineDescriptor, Shader};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The compiled kernels of a file, and those that it lacks.
#[derive(Debug)]
pub(super) struct Cache {
    file: PathBuf,
    /// The file's kernels when it was opened; `None` if there was no file, or Metal cannot use it.
    archive: Option<Mutex<Archive>>,
    /// The kernels that were compiled because the file lacks them.
    missing: Mutex<Vec<Shader>>,
    loaded: AtomicU64,
}

#[derive(Debug)]
struct Archive(BinaryArchive);

// SAFETY: it is used, and descriptors name it, only while the mutex around it is locked.
unsafe impl Send for Archive {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cache {
    pub(super) fn open(gpu: &Gpu, file: &Path) -> Self {
        // Whatever the error is, the file is written anew.
        let archive =
            gpu.open_binary_archive(file).ok().map(|archive| Mutex::new(Archive(archive)));
        Self { file: file.into(), archive, missing: Mutex::default(), loaded: AtomicU64::new(0) }
    }

    /// The pipeline of a kernel, from the file if it has it.
    pub(super) fn pipeline(&self, gpu: &Gpu, function: &Shader) -> Result<Pipeline, GpuError> {
        if let Some(archive) = &self.archive {
            let archive = lock(archive);
            // Dropped before the lock is.
            let descriptor = PipelineDescriptor::new(function);
            descriptor.set_binary_archives(&[&archive.0]);
            if let Ok(pipeline) = gpu.pipeline_in_archives(&descriptor) {
                self.loaded.fetch_add(1, Ordering::Relaxed);
                return Ok(pipeline);
            }
        }
        let pipeline = gpu.pipeline_reflected(function)?;
        lock(&self.missing).push(function.clone());
        Ok(pipeline)
    }

    pub(super) fn loaded(&self) -> u64 {
        self.loaded.load(Ordering::Relaxed)
    }

    /// Adds the missing kernels to the file.
    pub(super) fn save(&self, gpu: &Gpu) -> Result<usize, Error> {
        self.save_by(gpu, |archive, function| archive.add(&PipelineDescriptor::new(function)))
    }

    fn save_by(
        &self,
        gpu: &Gpu,
        add: impl Fn(&BinaryArchive, &Shader) -> Result<(), GpuError>,
    ) -> Result<usize, Error> {
        let mut missing = lock(&self.missing);
        if missing.is_empty() {
            return Ok(0);
        }
        // Opened again: another process may have added kernels since.
        let archive = gpu.open_binary_archive(&self.file).or_else(|_| gpu.binary_archive())?;
        let added: Vec<Result<(), GpuError>> =
            missing.iter().map(|function| add(&archive, function)).collect();
        self.replace(&archive)?;
        let count = missing.len();
        // Those that Metal did not add are tried again by the next call.
        let mut results = added.iter();
        missing.retain(|_| results.next().is_some_and(Result::is_err));
        added.into_iter().collect::<Result<(), _>>()?;
        Ok(count)
    }

    /// Writes another file and renames it, so that the name always leads to a whole archive.
    fn replace(&self, archive: &BinaryArchive) -> Result<(), Error> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut other = OsString::from(&self.file);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        other.push(format!(".{}-{number}", std::process::id()));
        let written = archive.save(&other).map_err(Error::from);
        let replaced = written.and_then(|()| Ok(fs::rename(&other, &self.file)?));
        if replaced.is_err() {
            // The file may not exist.
            _ = fs::remove_file(&other);
        }
        replaced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel that Metal does not add stays one of those to save.
    #[test]
    fn kernels_that_are_not_added_are_saved_by_the_next_call() {
        let gpu = Gpu::open().unwrap();
        let file = std::env::temp_dir().join(format!("aruminium-added-{}", std::process::id()));
        let source = "kernel void one(device int *x) { x[0] = 1; } kernel void two(device int *x) { x[0] = 2; }";
        let library = gpu.compile(source).unwrap();
        let cache = Cache::open(&gpu, &file);
        let functions = ["one", "two"].map(|name| library.function(name).unwrap());
        functions.iter().for_each(|function| drop(cache.pipeline(&gpu, function).unwrap()));
        let full = |archive: &BinaryArchive, function: &Shader| match &function.name()[..] {
            "one" => Err(GpuError::Unsupported("the archive is full".into())),
            _ => archive.add(&PipelineDescriptor::new(function)),
        };
        for _ in 0..2 {
            let error = cache.save_by(&gpu, full).unwrap_err();
            assert!(error.to_string().contains("the archive is full"), "{error}");
        }
        let loaded = || {
            let cache = Cache::open(&gpu, &file);
            functions.iter().for_each(|function| drop(cache.pipeline(&gpu, function).unwrap()));
            cache.loaded()
        };
        assert_eq!(loaded(), 1, "the other one is in the file");
        assert_eq!((cache.save(&gpu).unwrap(), cache.save(&gpu).unwrap(), loaded()), (1, 0, 2));
        fs::remove_file(&file).unwrap();
    }
}
