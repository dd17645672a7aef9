//! Wrong messages end in the command buffer's error, whose message names them.

use super::*;

/// The error of a command buffer that an encoder records.
fn refused(record: impl FnOnce(Id)) -> String {
    let commands = commands(*queue());
    let encoder = encoder(*commands);
    record(*encoder);
    end(*encoder);
    finish(*commands).unwrap_err()
}

fn assert_says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "no {part:?} in {error:?}");
    }
}

#[test]
fn a_launch_needs_a_pipeline() {
    let error = refused(|encoder| launch(encoder, 1, 1));
    assert_says(&error, &["dispatchThreads:threadsPerThreadgroup:", "no compute pipeline state"]);
}

#[test]
fn threadgroup_sizes_are_checked() {
    let pipeline = pipeline(SAXPY, "nothing");
    for (group, threads) in
        [((1025, 1, 1), "1025"), ((32, 33, 1), "1056"), ((0, 1, 1), "0 threads")]
    {
        let error = refused(|encoder| {
            bind(encoder, *pipeline);
            send!(
                encoder, "dispatchThreadgroups:threadsPerThreadgroup:",
                MTLSize::from((1, 1, 1)) => MTLSize, MTLSize::from(group) => MTLSize; ()
            );
        });
        assert_says(&error, &["kernel 'nothing'", threads, "from 1 to 1024"]);
    }
    let huge = MTLSize::from((usize::MAX, usize::MAX, usize::MAX));
    let error = refused(|encoder| {
        bind(encoder, *pipeline);
        send!(
            encoder, "dispatchThreadgroups:threadsPerThreadgroup:", huge => MTLSize,
            huge => MTLSize; ()
        );
    });
    assert_says(&error, &["a kernel counts with 32 bits"]);
}

#[test]
fn an_empty_grid_runs_nothing() {
    let pipeline = pipeline(SAXPY, "nothing");
    let commands = commands(*queue());
    let encoder = encoder(*commands);
    bind(*encoder, *pipeline);
    launch(*encoder, 0, 32);
    end(*encoder);
    assert_eq!(finish(*commands), Ok(()));
}

#[test]
fn a_missing_binding_is_named() {
    let pipeline = pipeline(SAXPY, "saxpy");
    let buffer = buffer(64);
    let error = refused(|encoder| {
        bind(encoder, *pipeline);
        bind_buffer(encoder, *buffer, 0, 0);
        bind_buffer(encoder, *buffer, 0, 1);
        bind_buffer(encoder, *buffer, 0, 2);
        bind_buffer(encoder, Id::NIL, 0, 2);
        launch(encoder, 1, 1);
    });
    assert_says(&error, &["kernel 'saxpy'", "argument 'a'", "buffer(2)"]);
}

/// Bindings belong to one encoder: the next starts with none.
#[test]
fn an_encoder_starts_without_bindings() {
    let (pipeline, buffer) = (pipeline(SAXPY, "count_up"), buffer(64));
    let commands = commands(*queue());
    for nth in 0..2 {
        let encoder = encoder(*commands);
        bind(*encoder, *pipeline);
        if nth == 0 {
            bind_buffer(*encoder, *buffer, 0, 0);
        }
        launch(*encoder, 1, 1);
        end(*encoder);
    }
    assert_says(&finish(*commands).unwrap_err(), &["argument 'counters'"]);
}

#[test]
fn indices_and_offsets_are_checked() {
    let buffer = buffer(64);
    let error = refused(|encoder| bind_buffer(encoder, *buffer, 65, 3));
    assert_says(&error, &["setBuffer:offset:atIndex:", "offset 65", "index 3", "64 bytes"]);
    let error = refused(|encoder| bind_buffer(encoder, *buffer, 0, 31));
    assert_says(&error, &["buffer index 31", "the highest is 30"]);
    let error = refused(|encoder| push(encoder, &1u32, usize::MAX));
    assert_says(&error, &["setBytes:length:atIndex:", "the highest is 30"]);
    let error = refused(|encoder| push(encoder, &[0u8; 4097], 0));
    assert_says(&error, &["4097 bytes at index 0", "4096"]);
    let error = refused(|encoder| {
        send!(encoder, "setTexture:atIndex:", Id::NIL => Id, 128 => usize; ());
    });
    assert_says(&error, &["texture index 128"]);
    let error = refused(|encoder| {
        send!(encoder, "setSamplerState:atIndex:", Id::NIL => Id, 16 => usize; ());
    });
    assert_says(&error, &["sampler index 16"]);
    let error = refused(|encoder| {
        send!(encoder, "setThreadgroupMemoryLength:atIndex:", 32784 => usize, 0 => usize; ());
    });
    assert_says(&error, &["32784 bytes", "32768"]);
    let error = refused(|encoder| {
        send!(encoder, "setBufferOffset:atIndex:", 0 => usize, 5 => usize; ());
    });
    assert_says(&error, &["no buffer is bound at index 5"]);
    let error = refused(|encoder| {
        let (ids, offsets) = ([*buffer; 2], [0usize; 2]);
        send!(
            encoder, "setBuffers:offsets:withRange:", ids.as_ptr() => *const Id,
            offsets.as_ptr() => *const usize, NSRange { location: 30, length: 2 } => NSRange; ()
        );
    });
    assert_says(&error, &["buffer range {30, 2}"]);
}

#[test]
fn encoders_end_once_and_one_at_a_time() {
    let commands = commands(*queue());
    let first = encoder(*commands);
    assert!(send!(*commands, "blitCommandEncoder"; Id).is_nil());
    end(*first);
    let error = finish(*commands).unwrap_err();
    assert_says(&error, &["blitCommandEncoder", "MTLComputeCommandEncoder before this one"]);

    let error = refused(|encoder| {
        end(encoder);
        launch(encoder, 1, 1);
    });
    assert_says(&error, &["sent after endEncoding"]);
}

#[test]
fn a_commit_needs_ended_encoders() {
    for dropped in [false, true] {
        let commands = commands(*queue());
        let open = encoder(*commands);
        let open = (!dropped).then_some(open);
        let error = finish(*commands).unwrap_err();
        assert_says(&error, &["commit", "MTLComputeCommandEncoder has not ended"]);
        drop(open);
    }
}

#[test]
fn a_command_buffer_is_committed_once() {
    let commands = commands(*queue());
    assert_eq!(finish(*commands), Ok(()));
    commit(*commands);
    assert_says(&outcome(*commands).unwrap_err(), &["commit]", "committed already"]);
    assert!(send!(*commands, "computeCommandEncoder"; Id).is_nil());
}

#[test]
fn a_wait_for_an_uncommitted_command_buffer_returns() {
    let commands = commands(*queue());
    wait(*commands);
    assert_says(&outcome(*commands).unwrap_err(), &["waitUntilCompleted", "never committed"]);
}

#[test]
fn a_faulty_kernel_fails_its_own_command_buffer_only() {
    let (pipeline, buffer) = (pipeline(SAXPY, "count_up"), buffer(400));
    let queue = queue();
    let record = |threads: usize| {
        let commands = commands(*queue);
        let encoder = encoder(*commands);
        bind(*encoder, *pipeline);
        bind_buffer(*encoder, *buffer, 0, 0);
        launch(*encoder, threads, 64);
        end(*encoder);
        commit(*commands);
        commands
    };
    let all: Vec<Own> = [100, 101, 100].into_iter().map(record).collect();
    all.iter().for_each(|commands| wait(**commands));
    assert_eq!(outcome(*all[0]), Ok(()));
    assert_eq!(outcome(*all[2]), Ok(()));
    let error = outcome(*all[1]).unwrap_err();
    assert_says(&error, &["count_up", "counters", "offset 400", "400 bytes", "thread (100, 0, 0)"]);
    assert_says(&error, &["program_source:11:"]);
    assert_eq!(pool(|| send!(send!(*all[1], "error"; Id), "code"; isize)), 3, "page fault");
}

#[test]
fn a_buffer_that_is_released_too_early_is_not_read() {
    let pipeline = pipeline(SAXPY, "count_up");
    let record = |selector: &str| {
        let queue = queue();
        let commands = pool(|| Own::retain(send!(*queue, selector; Id)));
        let buffer = buffer(400);
        let encoder = encoder(*commands);
        bind(*encoder, *pipeline);
        bind_buffer(*encoder, *buffer, 0, 0);
        launch(*encoder, 100, 64);
        end(*encoder);
        drop(buffer);
        finish(*commands)
    };
    assert_eq!(record("commandBuffer"), Ok(()));
    let error = record("commandBufferWithUnretainedReferences").unwrap_err();
    assert_says(&error, &["a buffer was released before"]);
}

#[test]
fn missing_functions_and_libraries_are_errors() {
    let library = library(SAXPY);
    assert!(send!(*library, "newFunctionWithName:", *string("saxpi") => Id; Id).is_nil());
    let code = |make: &dyn Fn(*mut Id) -> Id| {
        pool(|| {
            let mut error = Id::NIL;
            assert!(make(&raw mut error).is_nil());
            (send!(error, "code"; isize), error_text(error))
        })
    };
    let (number, words) = code(&|error| {
        send!(
            *library, "newFunctionWithName:constantValues:error:", *string("saxpi") => Id,
            Id::NIL => Id, error => *mut Id; Id
        )
    });
    assert_eq!(number, 5);
    assert_says(&words, &["no function named 'saxpi'"]);
    let (number, words) = code(&|error| {
        send!(
            *device(), "newLibraryWithSource:options:error:",
            *string("kernel void f() { foo; }") => Id, Id::NIL => Id, error => *mut Id; Id
        )
    });
    assert_eq!(number, 3);
    assert_says(&words, &["program_source:1:19: error: use of undeclared identifier 'foo'"]);
    let (number, _) = code(&|error| {
        send!(
            *device(), "newLibraryWithFile:error:", *string("/nowhere/a.metallib") => Id,
            error => *mut Id; Id
        )
    });
    assert_eq!(number, 6);
    let (number, words) = code(&|error| {
        send!(
            *device(), "newComputePipelineStateWithFunction:error:", Id::NIL => Id,
            error => *mut Id; Id
        )
    });
    assert_eq!(number, 5);
    assert_says(&words, &["needs a function"]);
}

/// Makes a function of a library and its pipeline, or returns the error.
fn make_pipeline(library: Id, name: &str) -> Result<(), String> {
    pool(|| {
        let mut error = Id::NIL;
        let function = send!(
            library, "newFunctionWithName:constantValues:error:", *string(name) => Id,
            *new("MTLFunctionConstantValues") => Id, &raw mut error => *mut Id; Id
        );
        if function.is_nil() {
            return Err(error_text(error));
        }
        let pipeline = send!(
            *device(), "newComputePipelineStateWithFunction:error:", *Own::new(function) => Id,
            &raw mut error => *mut Id; Id
        );
        if pipeline.is_nil() {
            return Err(error_text(error));
        }
        drop(Own::new(pipeline));
        Ok(())
    })
}

#[test]
fn a_pipeline_has_at_most_32_kib_of_threadgroup_memory() {
    let made = |bytes: &str| {
        let library = library(&format!(
            "kernel void k(device int *out) {{
                threadgroup char a[{bytes}], b[16]; a[0] = b[0] = char(out[0]); out[0] = a[0] + b[0];
            }}"
        ));
        make_pipeline(*library, "k")
    };
    assert_eq!(made("32752"), Ok(()));
    for (bytes, all) in [("32753", "32784"), ("1 << 28", "268435472")] {
        let error = made(bytes).expect_err("too much");
        assert_says(&error, &["'k'", &format!("take {all} bytes"), "the limit is 32768"]);
    }
}

/// A defect of the compiler is an error of the source or of the function, and the process continues.
#[test]
fn an_internal_error_of_the_compiler_is_reported() {
    let parts = ["internal compiler error: injected by a test", "please report it"];
    for cause in ["fails_in_check", "panics_in_check"] {
        let mut error = Id::NIL;
        let source = string(&format!("kernel void f(device int *out) {{\n  int {cause} = 1;\n}}"));
        let library = send!(
            *device(), "newLibraryWithSource:options:error:", *source => Id, Id::NIL => Id,
            &raw mut error => *mut Id; Id
        );
        assert!(library.is_nil());
        let error = error_text(error);
        assert_says(&error, &parts);
        assert_says(&error, &["program_source:2:"]);
    }
    // An error that does not fail the library, here of a fragment function, does not hide the report.
    let others = ["", "fragment float4 other() { return dfdx(float4(1)); }"];
    let causes = ["fails_in_lower", "panics_in_lower"];
    for (cause, other) in causes.iter().flat_map(|one| others.map(|other| (one, other))) {
        let library = library(&format!(
            "constant int c [[function_constant(0)]]; {other}
            kernel void good(device int *out) {{ out[0] = 7; }}
            kernel void bad(device int *out) {{ out[0] = 7;\n  int {cause} = 1;\n}}"
        ));
        let mut error = Id::NIL;
        let bad = send!(
            *library, "newFunctionWithName:constantValues:error:", *string("bad") => Id,
            *new("MTLFunctionConstantValues") => Id, &raw mut error => *mut Id; Id
        );
        assert!(bad.is_nil());
        let error = error_text(error);
        assert_says(&error, &parts);
        assert_says(&error, &["program_source:4:"]);
        // The library's other kernels compile.
        assert!(!function(*library, "good").is_nil());
    }
    // In the passes and in a back end, which know kernels and no variables.
    for cause in ["fails_in_passes", "panics_in_passes", "fails_in_emit", "panics_in_emit"] {
        let source = format!("\nkernel void {cause}(device int *out) {{\n  out[0] = 7;\n}}");
        let error = make_pipeline(*library(&source), cause).expect_err("a defect");
        assert_says(&error, &parts);
        assert_says(&error, &["program_source:3:", &format!("'{cause}' cannot be run")]);
    }
}
