//! Indirect command buffers, encoded by the CPU and by kernels.

use super::*;

const SOURCE: &str = "#include <metal_stdlib>
    using namespace metal;
    kernel void add(device uint *x [[buffer(0)]], device const uint *y [[buffer(1)]],
                    uint i [[thread_position_in_grid]]) { x[i] = 3 * x[i] + y[0]; }
    kernel void shared(device uint *x [[buffer(0)]], threadgroup uint *t [[threadgroup(0)]],
                       uint i [[thread_index_in_threadgroup]], uint g [[thread_position_in_grid]]) {
        t[i] = g;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        x[g] = t[31 - i];
    }
    kernel void both(device uint *x [[buffer(0)]], threadgroup uint *t [[threadgroup(0)]],
                     threadgroup uint *u [[threadgroup(1)]], uint g [[thread_position_in_grid]]) {
        t[g & 3] = u[g & 3] = g;
        x[g] = t[g & 3] + u[g & 3];
    }
    kernel void image(texture2d<float> t [[texture(0)]], device float *x [[buffer(0)]]) { x[0] = t.read(uint2(0)).x; }
    struct Args {
        command_buffer commands [[id(0)]];
        compute_pipeline_state pipelines[2] [[id(1)]];
        device uint *x [[id(3)]];
        constant uint *y [[id(4)]];
    };
    kernel void encode(constant Args &args [[buffer(0)]], uint i [[thread_position_in_grid]]) {
        compute_command command(args.commands, i);
        command.reset();
        if (i % 2 == 1) return;
        command.set_compute_pipeline_state(args.pipelines[0]);
        command.set_kernel_buffer(args.x + 4 * i, 0);
        command.set_kernel_buffer(args.y + i, 1);
        command.concurrent_dispatch_threadgroups(uint3(1), uint3(2, 1, 1));
        if (i == 2) {
            compute_command other(args.commands, 3);
            other.copy_command(command);
            other.set_kernel_buffer(args.x + 12, 0);
            other.set_barrier();
            other.concurrent_dispatch_threads(uint3(4, 1, 1), uint3(4, 1, 1));
        }
    }";

/// A pipeline that indirect commands may use.
fn indirect_pipeline(library: Id, name: &str, supports: bool) -> Own {
    let descriptor = new("MTLComputePipelineDescriptor");
    send!(*descriptor, "setComputeFunction:", *function(library, name) => Id; ());
    send!(*descriptor, "setSupportIndirectCommandBuffers:", i8::from(supports) => i8; ());
    let pipeline = Own::new(send!(
        *device(), "newComputePipelineStateWithDescriptor:options:reflection:error:",
        *descriptor => Id, 0usize => usize, std::ptr::null_mut() => *mut Id,
        std::ptr::null_mut() => *mut Id; Id
    ));
    assert_eq!(send!(*pipeline, "supportIndirectCommandBuffers"; i8) != 0, supports);
    pipeline
}

/// An indirect command buffer; commands inherit pipeline and buffers or not.
fn commands_of(count: usize, inherits: bool) -> Own {
    let descriptor = new("MTLIndirectCommandBufferDescriptor");
    send!(*descriptor, "setCommandTypes:", 96usize => usize; ());
    send!(*descriptor, "setInheritPipelineState:", i8::from(inherits) => i8; ());
    send!(*descriptor, "setInheritBuffers:", i8::from(inherits) => i8; ());
    send!(*descriptor, "setMaxKernelBufferBindCount:", 3usize => usize; ());
    Own::new(send!(
        *device(), "newIndirectCommandBufferWithDescriptor:maxCommandCount:options:",
        *descriptor => Id, count => usize, 0usize => usize; Id
    ))
}

fn command(commands: Id, index: usize) -> Own {
    pool(|| Own::retain(send!(commands, "indirectComputeCommandAtIndex:", index => usize; Id)))
}

fn set_pipeline(command: Id, pipeline: Id) {
    send!(command, "setComputePipelineState:", pipeline => Id; ());
}

fn set_buffer(command: Id, buffer: Id, offset: usize, index: usize) {
    send!(
        command, "setKernelBuffer:offset:atIndex:", buffer => Id, offset => usize, index => usize; ()
    );
}

fn threads(command: Id, count: usize) {
    let size = |width| MTLSize { width, height: 1, depth: 1 };
    send!(
        command, "concurrentDispatchThreads:threadsPerThreadgroup:", size(count) => MTLSize,
        size(32) => MTLSize; ()
    );
}

fn execute(encoder: Id, commands: Id, location: usize, length: usize) {
    send!(
        encoder, "executeCommandsInBuffer:withRange:", commands => Id,
        NSRange { location, length } => NSRange; ()
    );
}

fn declare(encoder: Id, resource: Id, usage: usize) {
    send!(encoder, "useResource:usage:", resource => Id, usage => usize; ());
}

/// Executes commands with these buffers declared for writing.
fn run(commands: Id, count: usize, buffers: &[(Id, usize)]) -> Result<(), String> {
    let queue = queue();
    let recorded = super::commands(*queue);
    let encoder = encoder(*recorded);
    for (buffer, usage) in buffers {
        declare(*encoder, *buffer, *usage);
    }
    execute(*encoder, commands, 0, count);
    end(*encoder);
    finish(*recorded)
}

#[test]
fn commands_of_the_cpu_run_again_and_again() {
    let library = library(SOURCE);
    let add = indirect_pipeline(*library, "add", true);
    let shared = indirect_pipeline(*library, "shared", true);
    let commands = commands_of(4, false);
    assert_eq!(send!(*commands, "size"; usize), 4);
    let (x, y, z) = (buffer_of(&[1u32; 40]), buffer_of(&[10u32, 20]), buffer(256));
    for index in 0..2 {
        let command = command(*commands, index);
        set_pipeline(*command, *add);
        set_buffer(*command, *x, 16, 0);
        set_buffer(*command, *y, 4 * index, 1);
        // With the barrier the second one sees what the first wrote: commands run in any order without.
        send!(*command, "setBarrier"; ());
        threads(*command, 2);
    }
    let third = command(*commands, 3);
    set_pipeline(*third, *shared);
    set_buffer(*third, *z, 0, 0);
    send!(*third, "setThreadgroupMemoryLength:atIndex:", 128usize => usize, 0usize => usize; ());
    threads(*third, 64);
    let declared = [(*x, 2), (*y, 1), (*z, 2)];
    run(*commands, 4, &declared).unwrap();
    let after = |x: u32| 3 * (3 * x + 10) + 20;
    let found = contents::<u32>(*x);
    assert_eq!(found[3..7], [1, after(1), after(1), 1]);
    let reversed: Vec<u32> = (0..64).map(|i| i / 32 * 32 + 31 - i % 32).collect();
    assert_eq!(contents::<u32>(*z), reversed);
    run(*commands, 2, &declared).unwrap();
    assert_eq!(contents::<u32>(*x)[4], after(after(1)));

    // Without the barrier the last runs first.
    send!(*command(*commands, 1), "clearBarrier"; ());
    set_buffer(*command(*commands, 0), *x, 0, 0);
    set_buffer(*command(*commands, 1), *x, 0, 0);
    run(*commands, 2, &declared).unwrap();
    assert_eq!(contents::<u32>(*x)[0], 3 * (3 + 20) + 10);

    // Commands are read when they are executed; those that were reset do nothing.
    let before = contents::<u32>(*x);
    let queue = queue();
    let recorded = super::commands(*queue);
    let encoder = encoder(*recorded);
    execute(*encoder, *commands, 0, 4);
    end(*encoder);
    send!(*command(*commands, 3), "reset"; ());
    send!(*commands, "resetWithRange:", NSRange { location: 0, length: 2 } => NSRange; ());
    finish(*recorded).unwrap();
    assert_eq!(contents::<u32>(*x), before);
}

#[test]
fn a_command_has_at_most_32_kib_of_threadgroup_memory() {
    let library = library(SOURCE);
    let both = indirect_pipeline(*library, "both", true);
    let (commands, x) = (commands_of(1, false), buffer(128));
    let command = command(*commands, 0);
    set_pipeline(*command, *both);
    set_buffer(*command, *x, 0, 0);
    threads(*command, 32);
    let set = |length: usize, index: usize| {
        send!(
            *command, "setThreadgroupMemoryLength:atIndex:", length => usize, index => usize; ()
        );
    };
    set(16, 1);
    let run = |length: usize| {
        set(length, 0);
        run(*commands, 1, &[(*x, 2)])
    };
    assert_eq!(run(32752), Ok(()));
    let error = run(32768).unwrap_err();
    assert!(error.contains("32784 bytes of threadgroup memory: there are 32768"), "{error}");
}

#[test]
fn a_kernel_encodes_commands() {
    let library = library(SOURCE);
    let add = indirect_pipeline(*library, "add", true);
    let commands = commands_of(5, false);
    let (x, y) = (buffer_of(&[1u32; 20]), buffer_of(&[10u32, 20, 30, 40, 50]));
    let encode = function(*library, "encode");
    let arguments =
        Own::new(send!(*encode, "newArgumentEncoderWithBufferIndex:", 0usize => usize; Id));
    let args = buffer(send!(*arguments, "encodedLength"; usize));
    send!(*arguments, "setArgumentBuffer:offset:", *args => Id, 0usize => usize; ());
    send!(*arguments, "setIndirectCommandBuffer:atIndex:", *commands => Id, 0usize => usize; ());
    send!(*arguments, "setComputePipelineState:atIndex:", *add => Id, 1usize => usize; ());
    for (index, buffer) in [(3, &x), (4, &y)] {
        send!(
            *arguments, "setBuffer:offset:atIndex:", **buffer => Id, 0usize => usize, index => usize; ()
        );
    }
    let run = |count: usize| {
        let queue = queue();
        let recorded = super::commands(*queue);
        let first = encoder(*recorded);
        bind(*first, *pipeline(SOURCE, "encode"));
        bind_buffer(*first, *args, 0, 0);
        declare(*first, *commands, 2);
        declare(*first, *x, 2);
        declare(*first, *y, 1);
        launch(*first, count, count);
        end(*first);
        let second = encoder(*recorded);
        declare(*second, *x, 2);
        declare(*second, *y, 1);
        execute(*second, *commands, 0, 5);
        end(*second);
        finish(*recorded)
    };
    run(5).unwrap();
    let mut expected = [1u32; 20];
    for (start, count, y) in [(0, 2, 10), (8, 2, 30), (16, 2, 50), (12, 4, 30)] {
        expected[start..start + count].iter_mut().for_each(|x| *x = 3 * *x + y);
    }
    assert_eq!(contents::<u32>(*x), expected);
    // A command past the end is a fault of the kernel that encodes it.
    send!(*commands, "setLabel:", *string("list") => Id; ());
    let error = run(6).unwrap_err();
    assert!(error.contains("kernel 'encode', thread (5, 0, 0)"), "{error}");
    assert!(error.contains("of 'list', which has 2080 bytes"), "{error}");
}

#[test]
fn commands_inherit_and_ranges_are_indirect() {
    let library = library(SOURCE);
    let add = indirect_pipeline(*library, "add", true);
    let commands = commands_of(3, true);
    for index in 0..3 {
        threads(*command(*commands, index), 1 + index);
    }
    let (x, y) = (buffer_of(&[0u32; 4]), buffer_of(&[7u32]));
    let span = buffer_of(&[1u32, 2]);
    let queue = queue();
    let recorded = super::commands(*queue);
    let encoder = encoder(*recorded);
    bind(*encoder, *add);
    bind_buffer(*encoder, *x, 0, 0);
    bind_buffer(*encoder, *y, 0, 1);
    send!(
        *encoder, "executeCommandsInBuffer:indirectBuffer:indirectBufferOffset:",
        *commands => Id, *span => Id, 0usize => usize; ()
    );
    end(*encoder);
    finish(*recorded).unwrap();
    assert_eq!(contents::<u32>(*x), [28, 28, 7, 0]);
}

#[test]
fn blits_copy_and_reset_commands() {
    let library = library(SOURCE);
    let add = indirect_pipeline(*library, "add", true);
    let (commands, others) = (commands_of(3, false), commands_of(3, false));
    let (x, y) = (buffer_of(&[1u32; 2]), buffer_of(&[5u32]));
    let first = command(*commands, 0);
    set_pipeline(*first, *add);
    set_buffer(*first, *x, 0, 0);
    set_buffer(*first, *y, 0, 1);
    threads(*first, 1);
    let queue = queue();
    let recorded = super::commands(*queue);
    let blit = blit(*recorded);
    let range = |location, length| NSRange { location, length };
    send!(
        *blit, "copyIndirectCommandBuffer:sourceRange:destination:destinationIndex:",
        *commands => Id, range(0, 1) => NSRange, *others => Id, 2usize => usize; ()
    );
    send!(*blit, "resetCommandsInBuffer:withRange:", *commands => Id, range(0, 3) => NSRange; ());
    send!(*blit, "optimizeIndirectCommandBuffer:withRange:", *others => Id, range(0, 3) => NSRange; ());
    end(*blit);
    finish(*recorded).unwrap();
    let declared = [(*x, 2), (*y, 1)];
    run(*commands, 3, &declared).unwrap();
    assert_eq!(contents::<u32>(*x), [1, 1]);
    run(*others, 3, &declared).unwrap();
    assert_eq!(contents::<u32>(*x), [8, 1]);
}

#[test]
fn mistakes_fail_the_command_buffer() {
    let library = library(SOURCE);
    let add = indirect_pipeline(*library, "add", true);
    let (x, y) = (buffer_of(&[1u32; 4]), buffer_of(&[5u32]));
    let commands = commands_of(2, false);
    send!(*commands, "setLabel:", *string("list") => Id; ());
    let second = command(*commands, 1);
    let declared = [(*x, 2), (*y, 1)];
    let fails = |count: usize, declared: &[(Id, usize)], text: &str| {
        let error = run(*commands, count, declared).unwrap_err();
        assert!(error.contains(text), "{error}");
    };
    run(*commands, 2, &declared).unwrap();
    fails(3, &declared, "commands 0 to 3 of the indirect command buffer 'list', which has 2");
    threads(*second, 4);
    fails(
        2,
        &declared,
        "command 1 of the indirect command buffer 'list': no pipeline state is set",
    );
    // A pipeline without support is refused, and reported on standard error.
    let without = indirect_pipeline(*library, "add", false);
    set_pipeline(*second, *without);
    fails(2, &declared, "no pipeline state is set");
    set_pipeline(*second, *add);
    fails(2, &declared, "argument 'x': nothing is set for buffer(0)");
    set_buffer(*second, *x, 0, 0);
    set_buffer(*second, *y, 0, 1);
    // Past the limit of the descriptor, and past the buffer's end: reported, not set.
    set_buffer(*second, *y, 0, 3);
    set_buffer(*second, *y, 5, 1);
    run(*commands, 2, &declared).unwrap();
    fails(2, &declared[..1], "argument 'y', buffer(1): the address");
    fails(2, &[(*x, 1), (*y, 1)], "without MTLResourceUsageWrite");
    let image = indirect_pipeline(*library, "image", true);
    set_pipeline(*second, *image);
    fails(2, &declared, "indirect commands have no textures");
    // A pipeline that is gone.
    let gone = indirect_pipeline(*library, "add", true);
    set_pipeline(*second, *gone);
    drop(gone);
    fails(2, &declared, "was released");
    set_pipeline(*second, *add);
    let size = |width| MTLSize { width, height: 1, depth: 1 };
    send!(
        *second, "concurrentDispatchThreadgroups:threadsPerThreadgroup:", size(1) => MTLSize,
        size(2000) => MTLSize; ()
    );
    fails(2, &declared, "2000 threads");
    // Commands that are not there, kinds of commands that do not exist, and too many.
    let none = send!(*commands, "indirectComputeCommandAtIndex:", 2usize => usize; Id);
    assert!(none.is_nil());
    for (types, count) in [(1usize, 1usize), (1 << 5, 0), (1 << 5, 100_000)] {
        let descriptor = new("MTLIndirectCommandBufferDescriptor");
        send!(*descriptor, "setCommandTypes:", types => usize; ());
        let none = send!(
            *device(), "newIndirectCommandBufferWithDescriptor:maxCommandCount:options:",
            *descriptor => Id, count => usize, 0usize => usize; Id
        );
        assert!(none.is_nil());
    }
}
