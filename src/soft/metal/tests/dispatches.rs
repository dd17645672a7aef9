//! Kernels, from source text to results.

use super::*;

#[test]
fn saxpy_from_source_to_result() {
    let count = 10_000;
    let x: Vec<f32> = (0..count).map(|i| i as f32).collect();
    let (y, x) = (buffer_of(&vec![1.0f32; count]), buffer_of(&x));
    let pipeline = pipeline(SAXPY, "saxpy");
    let commands = commands(*queue());
    let encoder = encoder(*commands);
    bind(*encoder, *pipeline);
    bind_buffer(*encoder, *y, 0, 0);
    bind_buffer(*encoder, *x, 0, 1);
    push(*encoder, &2.0f32, 2);
    launch(*encoder, count, 256);
    end(*encoder);
    assert_eq!(finish(*commands), Ok(()));
    for (i, y) in contents::<f32>(*y).into_iter().enumerate() {
        assert_eq!(y, 2.0 * i as f32 + 1.0);
    }
    let time = |selector| send!(*commands, selector; f64);
    let (start, end) = (time("GPUStartTime"), time("GPUEndTime"));
    assert!(0.0 < start && start < end && end - start < 60.0);
    assert!(time("kernelStartTime") <= time("kernelEndTime"));
    assert!(time("kernelEndTime") <= start);
}

#[test]
fn arguments_are_a_snapshot_of_each_dispatch() {
    let source = "
        kernel void put(device uint *to, constant uint2 &where_and_what) {
            to[where_and_what.x] = where_and_what.y;
        }";
    let (pipeline, buffer) = (pipeline(source, "put"), buffer(400));
    let commands = commands(*queue());
    let encoder = encoder(*commands);
    bind(*encoder, *pipeline);
    bind_buffer(*encoder, *buffer, 0, 0);
    for place in 0..50u32 {
        push(*encoder, &[place, place * place], 1);
        launch(*encoder, 1, 1);
    }
    send!(*encoder, "setBufferOffset:atIndex:", 200 => usize, 0 => usize; ());
    for place in 0..50u32 {
        push(*encoder, &[place, 7], 1);
        launch(*encoder, 1, 1);
    }
    end(*encoder);
    assert_eq!(finish(*commands), Ok(()));
    let expected: Vec<u32> = (0..50).map(|i| i * i).chain([7; 50]).collect();
    assert_eq!(contents::<u32>(*buffer), expected);
}

#[test]
fn groups_and_threads_are_the_same_work() {
    let source = "
        kernel void where_am_i(device uint *out, uint2 at [[thread_position_in_grid]],
                               uint2 grid [[threads_per_grid]], uint2 group [[threads_per_threadgroup]]) {
            out[at.y * grid.x + at.x] = group.x * 100 + group.y;
        }";
    let pipeline = pipeline(source, "where_am_i");
    let run = |selector: &str, grid: (usize, usize, usize), count: usize| {
        let buffer = buffer(count * 4);
        let commands = commands(*queue());
        let encoder = encoder(*commands);
        bind(*encoder, *pipeline);
        bind_buffer(*encoder, *buffer, 0, 0);
        send!(
            *encoder, selector, MTLSize::from(grid) => MTLSize,
            MTLSize::from((4, 2, 1)) => MTLSize; ()
        );
        end(*encoder);
        assert_eq!(finish(*commands), Ok(()));
        contents::<u32>(*buffer)
    };
    assert_eq!(run("dispatchThreadgroups:threadsPerThreadgroup:", (2, 3, 1), 48), [402; 48]);
    let uneven = run("dispatchThreads:threadsPerThreadgroup:", (5, 3, 1), 15);
    assert_eq!(uneven, [402, 402, 402, 402, 102, 402, 402, 402, 402, 102, 401, 401, 401, 401, 101]);
}

#[test]
fn a_grid_can_come_from_a_buffer() {
    let (pipeline, counters) = (pipeline(SAXPY, "count_up"), buffer(400));
    let run = |groups: [u32; 3], offset: usize| {
        let arguments = buffer_of(&[[0; 3], groups]);
        let commands = commands(*queue());
        let encoder = encoder(*commands);
        bind(*encoder, *pipeline);
        bind_buffer(*encoder, *counters, 0, 0);
        let selector =
            "dispatchThreadgroupsWithIndirectBuffer:indirectBufferOffset:threadsPerThreadgroup:";
        send!(
            *encoder, selector, *arguments => Id, offset => usize,
            MTLSize::from((10, 1, 1)) => MTLSize; ()
        );
        end(*encoder);
        finish(*commands)
    };
    assert_eq!(run([5, 1, 1], 12), Ok(()));
    assert_eq!(run([5, 0, 1], 12), Ok(()), "an empty grid");
    let counted = contents::<u32>(*counters);
    assert_eq!((&counted[..50], &counted[50..]), (&[1; 50][..], &[0; 50][..]));
    assert!(run([u32::MAX, 1, 1], 12).unwrap_err().contains("an indirect dispatch of"));
    assert!(run([1, 1, 1], 16).unwrap_err().contains("12 bytes at offset 16"));
    assert!(run([1, 1, 1], 2).unwrap_err().contains("offset 2"));
}

/// As on Apple's Metal: a program need not treat a length of zero specially.
#[test]
fn empty_dispatches_and_no_bytes_are_accepted() {
    let source = "
        kernel void count(device uint *out [[buffer(0)]], constant uint *counts [[buffer(1)]],
                          constant uint &n [[buffer(2)]]) {
            out[0] += 1;
            for (uint i = 0; i < n; i++) { out[0] += counts[i]; }
        }";
    let (pipeline, out) = (pipeline(source, "count"), buffer(4));
    let run = |n: u32, threads: usize, group: usize, bytes: *const c_void| {
        let commands = commands(*queue());
        let encoder = encoder(*commands);
        bind(*encoder, *pipeline);
        bind_buffer(*encoder, *out, 0, 0);
        send!(
            *encoder, "setBytes:length:atIndex:", bytes => *const c_void, 0 => usize, 1 => usize; ()
        );
        push(*encoder, &n, 2);
        launch(*encoder, threads, group);
        let (empty, group) = (MTLSize::from((0, 1, 1)), MTLSize::from((group, 1, 1)));
        send!(
            *encoder, "dispatchThreadgroups:threadsPerThreadgroup:", empty => MTLSize,
            group => MTLSize; ()
        );
        end(*encoder);
        finish(*commands)
    };
    let somewhere = (&raw const *out).cast();
    for bytes in [std::ptr::null(), somewhere] {
        assert_eq!(run(0, 0, 0, bytes), Ok(()), "no threads in no threadgroup");
        assert_eq!(run(0, 0, 32, bytes), Ok(()), "no threads");
    }
    assert_eq!(contents::<u32>(*out), [0]);
    assert_eq!(run(0, 1, 1, somewhere), Ok(()));
    assert_eq!(contents::<u32>(*out), [1]);
    let error = run(1, 1, 1, somewhere).unwrap_err();
    assert!(error.contains("'counts', which has 0 bytes"), "{error}");
    assert!(run(0, 1, 0, somewhere).unwrap_err().contains("0 threads"));
}

#[test]
fn threadgroup_memory_has_the_bound_length() {
    let source = "
        #include <metal_stdlib>
        using namespace metal;
        kernel void reverse(device uint *data, threadgroup uint *scratch [[threadgroup(0)]],
                            uint i [[thread_position_in_threadgroup]],
                            uint n [[threads_per_threadgroup]]) {
            threadgroup uint fixed[8];
            fixed[i % 8] = i;
            scratch[i] = data[i];
            threadgroup_barrier(mem_flags::mem_threadgroup);
            data[i] = scratch[n - 1 - i] + fixed[i % 8] * 0;
        }";
    let pipeline = pipeline(source, "reverse");
    assert_eq!(send!(*pipeline, "staticThreadgroupMemoryLength"; usize), 32);
    let run = |length: usize| {
        let data = buffer_of(&(0..64).collect::<Vec<u32>>());
        let commands = commands(*queue());
        let encoder = encoder(*commands);
        bind(*encoder, *pipeline);
        bind_buffer(*encoder, *data, 0, 0);
        if length > 0 {
            send!(
                *encoder, "setThreadgroupMemoryLength:atIndex:", length => usize, 0 => usize; ()
            );
        }
        launch(*encoder, 64, 64);
        end(*encoder);
        finish(*commands).map(|()| contents::<u32>(*data))
    };
    assert_eq!(run(256), Ok((0..64).rev().collect()));
    let missing = run(0).unwrap_err();
    assert!(missing.contains("argument 'scratch', threadgroup(0)"), "{missing}");
    let short = run(128).unwrap_err();
    assert!(short.contains("'scratch'") && short.contains("128 bytes"), "{short}");
    let long = run(32768).unwrap_err();
    assert!(long.contains("32800 bytes of threadgroup memory"), "{long}");
}

#[test]
fn reflection_lists_the_arguments() {
    let source = "
        kernel void f(device float4 *out [[buffer(3)]], constant uint &n [[buffer(1)]],
                      device const half *unused [[buffer(7)]],
                      uint i [[thread_position_in_grid]]) { if (i < n) out[i] = 0; }";
    let function = function(*library(source), "f");
    assert_eq!(pool(|| text(send!(*function, "name"; Id))), "f");
    assert_eq!(send!(*function, "functionType"; usize), 3);
    let (mut reflection, mut error) = (Id::NIL, Id::NIL);
    pool(|| {
        let pipeline = Own::new(send!(
            *device(), "newComputePipelineStateWithFunction:options:reflection:error:",
            *function => Id, 3 => usize, &raw mut reflection => *mut Id, &raw mut error => *mut Id; Id
        ));
        assert_eq!(send!(*pipeline, "threadExecutionWidth"; usize), 32);
        assert_eq!(send!(*pipeline, "maxTotalThreadsPerThreadgroup"; usize), 1024);
        let bindings = send!(reflection, "bindings"; Id);
        let listed: Vec<_> = (0..send!(bindings, "count"; usize))
            .map(|nth| {
                let binding = send!(bindings, "objectAtIndex:", nth => usize; Id);
                let number = |selector: &str| send!(binding, selector; usize);
                (
                    text(send!(binding, "name"; Id)),
                    number("index"),
                    number("access"),
                    number("bufferDataSize"),
                    number("bufferDataType"),
                    send!(binding, "isUsed"; Bool).get(),
                )
            })
            .collect();
        let binding = |name: &str, index, access, size, kind, used| {
            (name.to_owned(), index, access, size, kind, used)
        };
        assert_eq!(
            listed,
            [
                binding("out", 3, 1, 16, 6, true),
                binding("n", 1, 0, 4, 33, true),
                binding("unused", 7, 0, 2, 16, false)
            ]
        );
    });
}

#[test]
fn reflection_lists_textures_and_samplers() {
    let source = "
        #include <metal_stdlib>
        using namespace metal;
        kernel void f(texture2d<half, access::write> a [[texture(4)]], depth2d<float> b [[texture(0)]],
                      array<texture3d<int, access::read_write>, 3> c [[texture(1)]],
                      texturecube<float> unused [[texture(9)]], sampler s [[sampler(2)]]) {
            a.write(half4(b.sample(s, float2(0))), uint2(0));
            c[1].write(c[0].read(uint3(0)), uint3(0));
        }";
    let function = function(*library(source), "f");
    let (mut reflection, mut error) = (Id::NIL, Id::NIL);
    pool(|| {
        let _pipeline = Own::new(send!(
            *device(), "newComputePipelineStateWithFunction:options:reflection:error:",
            *function => Id, 3 => usize, &raw mut reflection => *mut Id, &raw mut error => *mut Id; Id
        ));
        let bindings = send!(reflection, "bindings"; Id);
        let listed: Vec<_> = (0..send!(bindings, "count"; usize))
            .map(|nth| {
                let binding = send!(bindings, "objectAtIndex:", nth => usize; Id);
                let selectors =
                    ["index", "type", "access", "textureType", "textureDataType", "arrayLength"];
                (
                    text(send!(binding, "name"; Id)),
                    selectors.map(|selector| send!(binding, selector; usize)),
                    send!(binding, "isDepthTexture"; Bool).get(),
                    send!(binding, "isUsed"; Bool).get(),
                )
            })
            .collect();
        let binding = |name: &str, numbers, depth, used| (name.to_owned(), numbers, depth, used);
        assert_eq!(
            listed,
            [
                binding("a", [4, 2, 2, 2, 16, 1], false, true),
                binding("b", [0, 2, 0, 2, 3, 1], true, true),
                binding("c", [1, 2, 1, 7, 29, 3], false, true),
                binding("unused", [9, 2, 0, 5, 3, 1], false, false),
                binding("s", [2, 3, 0, 0, 0, 0], false, true),
            ]
        );
    });
}

#[test]
fn compile_options_reach_the_compiler() {
    let source = "kernel void f(device uint *out) { out[0] = VALUE; }";
    let options = new("MTLCompileOptions");
    pool(|| {
        let (key, value) = (string("VALUE"), string("42"));
        let macros = send!(
            class("NSDictionary"), "dictionaryWithObject:forKey:", *value => Id, *key => Id; Id
        );
        send!(*options, "setPreprocessorMacros:", macros => Id; ());
    });
    let mut error = Id::NIL;
    let library = Own::new(send!(
        *device(), "newLibraryWithSource:options:error:", *string(source) => Id, *options => Id,
        &raw mut error => *mut Id; Id
    ));
    let function = function(*library, "f");
    let pipeline = Own::new(send!(
        *device(), "newComputePipelineStateWithFunction:error:", *function => Id,
        &raw mut error => *mut Id; Id
    ));
    let (buffer, commands) = (buffer(4), commands(*queue()));
    let encoder = encoder(*commands);
    bind(*encoder, *pipeline);
    bind_buffer(*encoder, *buffer, 0, 0);
    launch(*encoder, 1, 1);
    end(*encoder);
    assert_eq!(finish(*commands), Ok(()));
    assert_eq!(contents::<u32>(*buffer), [42]);
}

#[test]
fn function_constants_specialise() {
    let source = "
        constant uint FACTOR [[function_constant(3)]];
        kernel void f(device uint *out) { out[0] = FACTOR * 2; }";
    let library = library(source);
    for (nth, factor) in [21u32, 5].into_iter().enumerate() {
        let constants = new("MTLFunctionConstantValues");
        let value = std::ptr::from_ref(&factor).cast();
        if nth == 0 {
            send!(
                *constants, "setConstantValue:type:atIndex:", value => *const c_void, 33 => usize,
                3 => usize; ()
            );
        } else {
            send!(
                *constants, "setConstantValue:type:withName:", value => *const c_void, 33 => usize,
                *string("FACTOR") => Id; ()
            );
        }
        let mut error = Id::NIL;
        let function = send!(
            *library, "newFunctionWithName:constantValues:error:", *string("f") => Id,
            *constants => Id, &raw mut error => *mut Id; Id
        );
        assert!(!function.is_nil(), "{}", error_text(error));
        let function = Own::new(function);
        let pipeline = Own::new(send!(
            *device(), "newComputePipelineStateWithFunction:error:", *function => Id,
            &raw mut error => *mut Id; Id
        ));
        let (buffer, commands) = (buffer(4), commands(*queue()));
        let encoder = encoder(*commands);
        bind(*encoder, *pipeline);
        bind_buffer(*encoder, *buffer, 0, 0);
        launch(*encoder, 1, 1);
        end(*encoder);
        assert_eq!(finish(*commands), Ok(()));
        assert_eq!(contents::<u32>(*buffer), [factor * 2]);
    }
}

#[test]
fn function_constants_may_be_vectors_and_have_fixed_types() {
    let source = "
        constant float4 SCALE [[function_constant(0)]];
        constant bool2 KEEP [[function_constant(1)]];
        constant int3 OFFSET [[function_constant(2)]];
        constant int3 SHIFT = is_function_constant_defined(OFFSET) ? OFFSET : int3(7);
        kernel void f(device float *out) {
            out[0] = SCALE.x + SCALE.w * 10 + (KEEP.y ? 100 : 0) + (KEEP.x ? 1000 : 0);
            out[1] = SHIFT.z;
        }";
    let library = library(source);
    let (scale, keep) = ([2f32, 0.0, 0.0, 3.0], [false, true]);
    const FLOAT: usize = 3;
    const FLOAT4: usize = 6;
    const BOOL2: usize = 54;
    for (data_type, expected) in [(FLOAT4, None), (FLOAT, Some("'SCALE' is of type 'float4'"))] {
        let constants = new("MTLFunctionConstantValues");
        for (index, value, data_type) in
            [(0usize, scale.as_ptr().cast::<c_void>(), data_type), (1, keep.as_ptr().cast(), BOOL2)]
        {
            send!(
                *constants, "setConstantValue:type:atIndex:", value => *const c_void,
                data_type => usize, index => usize; ()
            );
        }
        let mut error = Id::NIL;
        let function = send!(
            *library, "newFunctionWithName:constantValues:error:", *string("f") => Id,
            *constants => Id, &raw mut error => *mut Id; Id
        );
        if let Some(expected) = expected {
            assert!(function.is_nil());
            let said = error_text(error);
            assert!(said.contains(expected) && said.contains("type 'float'"), "{said}");
            continue;
        }
        assert!(!function.is_nil(), "{}", error_text(error));
        let function = Own::new(function);
        let pipeline = Own::new(send!(
            *device(), "newComputePipelineStateWithFunction:error:", *function => Id,
            &raw mut error => *mut Id; Id
        ));
        let (buffer, commands) = (buffer(8), commands(*queue()));
        let encoder = encoder(*commands);
        bind(*encoder, *pipeline);
        bind_buffer(*encoder, *buffer, 0, 0);
        launch(*encoder, 1, 1);
        end(*encoder);
        assert_eq!(finish(*commands), Ok(()));
        assert_eq!(contents::<f32>(*buffer), [132.0, 7.0]);
    }
}

#[test]
fn libraries_and_pipelines_can_be_made_in_the_background() {
    let (tell, listed) = std::sync::mpsc::channel();
    let block = block(move |library, error| {
        assert!(error.is_null());
        // SAFETY: the block is called with an object.
        tell.send(Own::retain(Id::from_ptr(library))).unwrap();
    });
    send!(
        *device(), "newLibraryWithSource:options:completionHandler:", *string(SAXPY) => Id,
        Id::NIL => Id, block => Id; ()
    );
    let library = listed.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
    let names = pool(|| {
        let names = send!(*library, "functionNames"; Id);
        (0..send!(names, "count"; usize))
            .map(|nth| text(send!(names, "objectAtIndex:", nth => usize; Id)))
            .collect::<Vec<_>>()
    });
    assert_eq!(names, ["saxpy", "count_up", "nothing", "forever"]);
}
