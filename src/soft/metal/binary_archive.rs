//! MTLBinaryArchive: which functions and pipelines a program compiled before.
//!
//! Compiling takes milliseconds here, so an archive has no code. It has a fingerprint of everything that was added, which
//! answers the only question that programs have: whether a pipeline is in the archive (`MTLPipelineOptionFailOnBinaryArchiveMiss`).

use super::absent::BINARY_ARCHIVE;
use super::descriptors::BinaryArchiveDescriptor;
use super::errors::{ArchiveError, Domain, Error};
use super::foundation::{
    Address, ErrorOut, Label, List, NSObject, Object, Retained, Strong, device, label, labelled,
    lock, of_device, set_label, soft_class,
};
use super::function_descriptors::{ComputePipelineDescriptor, FunctionDescriptor};
use super::library::Library;
use super::pipeline::{ComputePipelineState, Settings};
use crate::soft::foundation::file;
use crate::soft::kernel::Processor;
use crate::soft::sorted::SortedSet;
use std::sync::Mutex;

/// The first line of a file.
const HEAD: &str = "aruminium binary archive 1";

/// The longest file that is read.
const LONGEST: u64 = 1 << 26;

/// An archive.
pub(super) struct BinaryArchive {
    processor: &'static Processor,
    entries: Mutex<SortedSet<u64>>,
    label: Label,
}

labelled!(BinaryArchive);
of_device! { BinaryArchive, archive => archive.processor; }

soft_class! {
    /// An archive.
    pub(super) class SoftMTLBinaryArchive(BinaryArchive): NSObject, conforms [MTLBinaryArchive],
        lacks BINARY_ARCHIVE;
    [label] = label::<BinaryArchive>;
    [setLabel:] = set_label::<BinaryArchive>;
    [device] = device::<BinaryArchive>;
    [addComputePipelineFunctionsWithDescriptor:error:] = |
        archive: &BinaryArchive, descriptor: Option<&Object<ComputePipelineDescriptor>>, error: ErrorOut,
    | {
        let fields = descriptor.map(|descriptor| descriptor.get()).unwrap_or_default();
        let added = Settings::of(fields).and_then(|settings| {
            let fingerprint = settings.fingerprint();
            // One that does not compile is not added.
            ComputePipelineState::new(settings).map(|_| archive.add(fingerprint))
        });
        succeeded(added, error)
    };
    [addFunctionWithDescriptor:library:error:] = |
        archive: &BinaryArchive, descriptor: &Object<FunctionDescriptor>, library: &Object<Library>,
        error: ErrorOut,
    | {
        let made = library.of_descriptor(descriptor);
        succeeded(made.map(|function| archive.add(function.fingerprint())), error)
    };
    [serializeToURL:error:] = |archive: &BinaryArchive, url: Option<&Object<Address>>, error: ErrorOut| {
        succeeded(archive.save(url.and_then(|url| url.path())), error)
    };
}

/// Whether there was no error; an error is stored at the address that a message passed.
fn succeeded<D: Domain>(result: Result<(), Error<D>>, error: ErrorOut) -> bool {
    result.map_err(|failure| error.set(failure.ns_error())).is_ok()
}

fn invalid(path: &str, why: impl std::fmt::Display) -> Error<ArchiveError> {
    Error::new(ArchiveError::InvalidFile, format!("{path}: {why}"))
}

impl BinaryArchive {
    /// An empty archive, or the one in the file that the descriptor names.
    pub(super) fn new(
        processor: &'static Processor,
        descriptor: Option<&Object<BinaryArchiveDescriptor>>,
    ) -> Result<Strong<Self>, Error<ArchiveError>> {
        let Some(url) = descriptor.and_then(|descriptor| descriptor.get().url) else {
            let (entries, label) = Default::default();
            return Ok(Strong::new(Self { processor, entries, label }));
        };
        let path = url.path().ok_or_else(|| invalid("the URL", "it is not a file's"))?;
        let bytes = file::read(&path, LONGEST).map_err(|why| invalid(&path, why))?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        let mut lines = text.lines();
        if lines.next() != Some(HEAD) {
            return Err(invalid(&path, "this is no archive that soft Metal wrote"));
        }
        let entries: Result<_, _> = lines.map(|line| u64::from_str_radix(line, 16)).collect();
        let entries = entries.map_err(|why| invalid(&path, why))?;
        Ok(Strong::new(Self { processor, entries: Mutex::new(entries), label: Label::default() }))
    }

    fn add(&self, fingerprint: u64) {
        lock(&self.entries).insert(fingerprint);
    }

    fn save(&self, path: Option<String>) -> Result<(), Error<ArchiveError>> {
        let path = path.ok_or_else(|| invalid("the URL", "it is not a file's"))?;
        let mut text = format!("{HEAD}\n");
        for entry in lock(&self.entries).iter() {
            text += &format!("{entry:016x}\n");
        }
        std::fs::write(&path, text).map_err(|why| invalid(&path, why))
    }

    fn has(&self, fingerprint: u64) -> bool {
        lock(&self.entries).contains(&fingerprint)
    }
}

/// Whether one of the archives in a list has a pipeline.
pub(super) fn any_has(archives: Option<&Object<List>>, fingerprint: u64) -> bool {
    let has = |object: &Retained| {
        // SAFETY: the list keeps its objects alive.
        let archive = unsafe { Object::<BinaryArchive>::from_id(object.id()) };
        archive.is_some_and(|archive| archive.has(fingerprint))
    };
    archives.is_some_and(|list| list.objects().iter().any(has))
}
