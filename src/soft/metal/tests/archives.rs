//! Binary archives.

use super::*;

const SOURCE: &str = "
    kernel void one(device int *out) { out[0] = 1; }
    kernel void two(device int *out) { out[0] = 2; }";

fn archive(path: Option<&str>) -> Result<Own, String> {
    pool(|| {
        let descriptor = new("MTLBinaryArchiveDescriptor");
        if let Some(path) = path {
            let url = send!(class("NSURL"), "fileURLWithPath:", *string(path) => Id; Id);
            send!(*descriptor, "setUrl:", url => Id; ());
        }
        let mut error = Id::NIL;
        let archive = send!(
            *device(), "newBinaryArchiveWithDescriptor:error:", *descriptor => Id,
            &raw mut error => *mut Id; Id
        );
        if archive.is_nil() { Err(error_text(error)) } else { Ok(Own::new(archive)) }
    })
}

/// A descriptor of a kernel, with an archive.
fn described(source: &str, name: &str, archive: Id) -> Own {
    let descriptor = new("MTLComputePipelineDescriptor");
    let library = library(source);
    let function = function(*library, name);
    send!(*descriptor, "setComputeFunction:", *function => Id; ());
    pool(|| {
        let list = send!(class("NSArray"), "arrayWithObject:", archive => Id; Id);
        send!(*descriptor, "setBinaryArchives:", list => Id; ());
    });
    descriptor
}

/// Whether the pipeline is found in the archive; else the error says that it is not.
fn is_found(descriptor: Id) -> bool {
    let mut error = Id::NIL;
    let none: *mut Id = std::ptr::null_mut();
    let pipeline = send!(
        *device(), "newComputePipelineStateWithDescriptor:options:reflection:error:",
        descriptor => Id, 4 => usize, none => *mut Id, &raw mut error => *mut Id; Id
    );
    if pipeline.is_nil() {
        let text = pool(|| error_text(error));
        assert!(text.contains("in none of the descriptor's binary archives"), "{text}");
        return false;
    }
    drop(Own::new(pipeline));
    true
}

#[test]
fn an_archive_has_the_pipelines_that_were_added() {
    let first = archive(None).unwrap();
    let add = |name: &str| {
        let mut error = Id::NIL;
        send!(
            *first, "addComputePipelineFunctionsWithDescriptor:error:",
            *described(SOURCE, name, *first) => Id, &raw mut error => *mut Id; Bool
        )
        .get()
    };
    assert!(!is_found(*described(SOURCE, "one", *first)));
    assert!(add("one"));
    assert!(is_found(*described(SOURCE, "one", *first)));
    assert!(!is_found(*described(SOURCE, "two", *first)));
    // The same name in another text.
    let other = SOURCE.replace("= 1", "= 3");
    assert!(!is_found(*described(&other, "one", *first)));

    // Written to a file and read again.
    let path = std::env::temp_dir().join(format!("aruminium-archive-{}", std::process::id()));
    let path = path.to_str().unwrap();
    pool(|| {
        let url = send!(class("NSURL"), "fileURLWithPath:", *string(path) => Id; Id);
        let none: *mut Id = std::ptr::null_mut();
        assert!(send!(*first, "serializeToURL:error:", url => Id, none => *mut Id; Bool).get());
    });
    let second = archive(Some(path)).unwrap();
    assert!(is_found(*described(SOURCE, "one", *second)));
    assert!(!is_found(*described(SOURCE, "two", *second)));
    std::fs::write(path, "something else").unwrap();
    let error = archive(Some(path)).err().unwrap();
    assert!(error.contains("no archive that soft Metal wrote"), "{error}");
    std::fs::remove_file(path).unwrap();
    assert!(archive(Some(path)).is_err());
}
