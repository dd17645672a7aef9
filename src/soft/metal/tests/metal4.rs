//! Metal 4: command buffers that are encoded apart from a queue, argument tables, tensors, and the compiler by descriptors.

use super::*;
use std::sync::mpsc;
use std::time::Duration;

const SOURCE: &str = "#include <metal_stdlib>
    #include <metal_tensor>
    using namespace metal;
    using matrix = tensor<device float, dextents<int, 2>>;
    kernel void add(matrix a [[buffer(0)]], tensor<device const float, dextents<int, 2>> b [[buffer(1)]],
                    uint2 at [[thread_position_in_grid]]) {
        a.store(a.load(at.x, at.y) + b.load(at.x, at.y), at.x, at.y);
    }
    kernel void twice(device uint *x [[buffer(0)]], uint i [[thread_position_in_grid]]) { x[i] *= 2; }
    kernel void count(device uint *x [[buffer(0)]], uint i [[thread_position_in_grid]]) { x[i] += 1; }
    kernel void fill(texture2d<float, access::write> t [[texture(0)]], constant float &x [[buffer(0)]],
                     uint2 at [[thread_position_in_grid]]) { t.write(x, at); }
    kernel void read(texture2d<float> t [[texture(0)]], sampler s [[sampler(0)]], device float *x [[buffer(0)]]) {
        x[0] = t.sample(s, float2(0.5)).x;
    }
    kernel void shared(device uint *x [[buffer(0)]], threadgroup uint *t [[threadgroup(0)]],
                       uint i [[thread_index_in_threadgroup]]) {
        t[i] = x[i];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        x[i] = t[31 - i];
    }
    struct Args { matrix m; device float *x; };
    kernel void row(constant Args &args [[buffer(0)]], uint i [[thread_position_in_grid]]) {
        const auto row = args.m.slice(0, 1);
        args.x[i] = row.load(i, 0) + args.m.get_extent(0) * 100 + args.m.get_stride(1) * 10000;
    }
    constant uint factor [[function_constant(0)]];
    kernel void scale(device uint *x [[buffer(0)]], uint i [[thread_position_in_grid]]) { x[i] *= factor; }";

/// A queue of Metal 4 and what it needs.
struct Bench {
    queue: Own,
    allocator: Own,
    commands: Own,
    set: Own,
    library: Own,
}

impl Bench {
    fn new() -> Self {
        let device = device();
        let mut error = Id::NIL;
        let set = new("MTLResidencySetDescriptor");
        let set = Own::new(send!(
            *device, "newResidencySetWithDescriptor:error:", *set => Id, &raw mut error => *mut Id; Id
        ));
        let queue = Own::new(send!(*device, "newMTL4CommandQueue"; Id));
        send!(*queue, "addResidencySet:", *set => Id; ());
        Self {
            queue,
            allocator: Own::new(send!(*device, "newCommandAllocator"; Id)),
            commands: Own::new(send!(*device, "newCommandBuffer"; Id)),
            set,
            library: library_of(SOURCE),
        }
    }

    fn keep(&self, resource: Id) {
        send!(*self.set, "addAllocation:", resource => Id; ());
        send!(*self.set, "commit"; ());
    }

    fn pipeline(&self, name: &str) -> Own {
        let function = function(*self.library, name);
        let mut error = Id::NIL;
        let pipeline = send!(
            *device(), "newComputePipelineStateWithFunction:error:", *function => Id,
            &raw mut error => *mut Id; Id
        );
        assert!(!pipeline.is_nil(), "{}", error_text(error));
        Own::new(pipeline)
    }

    fn begin(&self) {
        send!(*self.commands, "beginCommandBufferWithAllocator:", *self.allocator => Id; ());
    }

    fn encoder(&self) -> Own {
        pool(|| Own::retain(send!(*self.commands, "computeCommandEncoder"; Id)))
    }

    /// Ends the command buffer, commits it, and returns the error of the feedback.
    fn finish(&self) -> Result<(), String> {
        send!(*self.commands, "endCommandBuffer"; ());
        self.commit()
    }

    fn commit(&self) -> Result<(), String> {
        let (sender, receiver) = mpsc::channel();
        let options = new("MTL4CommitOptions");
        let feedback = move |feedback: *mut c_void, _: *mut c_void| {
            let feedback = Id::from_ptr(feedback);
            let error = send!(feedback, "error"; Id);
            let (start, end) =
                (send!(feedback, "GPUStartTime"; f64), send!(feedback, "GPUEndTime"; f64));
            assert!(error.is_nil() && start > 0.0 && end >= start || !error.is_nil());
            if !error.is_nil() {
                assert_eq!(text(send!(error, "domain"; Id)), "MTL4CommandQueueErrorDomain");
            }
            _ = sender.send(if error.is_nil() { Ok(()) } else { Err(error_text(error)) });
        };
        send!(*options, "addFeedbackHandler:", block(feedback) => Id; ());
        let all = [*self.commands];
        send!(
            *self.queue, "commit:count:options:", all.as_ptr() => *const Id, 1 => usize,
            *options => Id; ()
        );
        receiver.recv_timeout(Duration::from_secs(60)).unwrap()
    }
}

/// A library in the language of Metal 4.
fn library_of(source: &str) -> Own {
    let mut error = Id::NIL;
    let options = new("MTLCompileOptions");
    send!(*options, "setLanguageVersion:", 4usize << 16 => usize; ());
    let library = send!(
        *device(), "newLibraryWithSource:options:error:", *string(source) => Id, *options => Id,
        &raw mut error => *mut Id; Id
    );
    assert!(!library.is_nil(), "{}", error_text(error));
    Own::new(library)
}

fn table(buffers: usize, textures: usize, samplers: usize) -> Own {
    let descriptor = new("MTL4ArgumentTableDescriptor");
    send!(*descriptor, "setMaxBufferBindCount:", buffers => usize; ());
    send!(*descriptor, "setMaxTextureBindCount:", textures => usize; ());
    send!(*descriptor, "setMaxSamplerStateBindCount:", samplers => usize; ());
    let mut error = Id::NIL;
    let table = send!(
        *device(), "newArgumentTableWithDescriptor:error:", *descriptor => Id, &raw mut error => *mut Id; Id
    );
    assert!(!table.is_nil(), "{}", error_text(error));
    Own::new(table)
}

fn set_address(table: Id, address: u64, index: usize) {
    send!(table, "setAddress:atIndex:", address => u64, index => usize; ());
}

fn set_buffer(table: Id, buffer: Id, offset: u64, index: usize) {
    set_address(table, send!(buffer, "gpuAddress"; u64) + offset, index);
}

fn set_resource(table: Id, resource: Id, index: usize) {
    let id = send!(resource, "gpuResourceID"; MTLResourceID);
    send!(table, "setResource:atBufferIndex:", id => MTLResourceID, index => usize; ());
}

fn use_table(encoder: Id, pipeline: Id, table: Id) {
    bind(encoder, pipeline);
    send!(encoder, "setArgumentTable:", table => Id; ());
}

fn barrier(encoder: Id) {
    const DISPATCH: usize = 1 << 27;
    send!(
        encoder, "barrierAfterEncoderStages:beforeEncoderStages:visibilityOptions:",
        DISPATCH => usize, DISPATCH => usize, 0 => usize; ()
    );
}

fn extents(values: &[isize]) -> Own {
    let object = send!(class("MTLTensorExtents"), "alloc"; Id);
    Own::new(send!(
        object, "initWithRank:values:", values.len() => usize, values.as_ptr() => *const isize; Id
    ))
}

fn described(sizes: &[isize], strides: Option<&[isize]>, data_type: isize) -> Own {
    let descriptor = new("MTLTensorDescriptor");
    send!(*descriptor, "setDimensions:", *extents(sizes) => Id; ());
    if let Some(strides) = strides {
        send!(*descriptor, "setStrides:", *extents(strides) => Id; ());
    }
    send!(*descriptor, "setDataType:", data_type => isize; ());
    descriptor
}

const FLOAT: isize = 3;

fn tensor(sizes: &[isize], strides: Option<&[isize]>, data_type: isize) -> Result<Own, String> {
    let descriptor = described(sizes, strides, data_type);
    let mut error = Id::NIL;
    let made = send!(
        *device(), "newTensorWithDescriptor:error:", *descriptor => Id, &raw mut error => *mut Id; Id
    );
    if made.is_nil() { Err(error_text(error)) } else { Ok(Own::new(made)) }
}

fn write(tensor: Id, origin: &[isize], sizes: &[isize], values: &[f32]) {
    send!(
        tensor, "replaceSliceOrigin:sliceDimensions:withBytes:strides:", *extents(origin) => Id,
        *extents(sizes) => Id, values.as_ptr().cast() => *const c_void, Id::NIL => Id; ()
    );
}

fn read(tensor: Id, origin: &[isize], sizes: &[isize]) -> Vec<f32> {
    let mut values = vec![-1f32; sizes.iter().product::<isize>() as usize];
    send!(
        tensor, "getBytes:strides:fromSliceOrigin:sliceDimensions:",
        values.as_mut_ptr().cast() => *mut c_void, Id::NIL => Id, *extents(origin) => Id,
        *extents(sizes) => Id; ()
    );
    values
}

#[test]
fn kernels_take_tensors_of_the_host() {
    let bench = Bench::new();
    // Of its own memory, and in a buffer, with other strides.
    let a = tensor(&[4, 3], None, FLOAT).unwrap();
    let memory = buffer(256);
    let descriptor = described(&[4, 3], Some(&[1, 7]), FLOAT);
    let mut error = Id::NIL;
    let b = Own::new(send!(
        *memory, "newTensorWithDescriptor:offset:error:", *descriptor => Id, 12 => usize,
        &raw mut error => *mut Id; Id
    ));
    pool(|| {
        assert_eq!(send!(*b, "buffer"; Id), *memory);
        assert_eq!(send!(*b, "bufferOffset"; usize), 12);
        assert_eq!(send!(*b, "dataType"; isize), FLOAT);
        let strides = send!(*b, "strides"; Id);
        assert_eq!(send!(strides, "rank"; usize), 2);
        assert_eq!(send!(strides, "extentAtDimensionIndex:", 1 => usize; isize), 7);
        assert!(send!(*a, "buffer"; Id).is_nil());
    });
    let numbers: Vec<f32> = (0..12).map(|i| i as f32).collect();
    write(*a, &[0, 0], &[4, 3], &numbers);
    write(*b, &[0, 0], &[4, 3], &numbers.iter().map(|x| x * 10.0).collect::<Vec<_>>());
    assert_eq!(
        contents::<f32>(*memory)[3..15],
        [0., 10., 20., 30., 0., 0., 0., 40., 50., 60., 70., 0.]
    );
    bench.keep(*a);
    bench.keep(*b);

    let (pipeline, table) = (bench.pipeline("add"), table(2, 0, 0));
    set_resource(*table, *a, 0);
    set_resource(*table, *b, 1);
    bench.begin();
    let encoder = bench.encoder();
    use_table(*encoder, *pipeline, *table);
    send!(
        *encoder, "dispatchThreads:threadsPerThreadgroup:", MTLSize::from((5, 3, 1)) => MTLSize,
        MTLSize::from((4, 3, 1)) => MTLSize; ()
    );
    end(*encoder);
    bench.finish().unwrap();
    let sums: Vec<f32> = (0..12).map(|i| 11.0 * i as f32).collect();
    assert_eq!(read(*a, &[0, 0], &[4, 3]), sums);
    assert_eq!(read(*a, &[1, 1], &[2, 2]), [55., 66., 99., 110.]);

    // In an argument buffer, by a slice.
    let (out, arguments) = (buffer(16), buffer(16));
    let words = [send!(*b, "gpuResourceID"; MTLResourceID)._impl, send!(*out, "gpuAddress"; u64)];
    // SAFETY: the buffer has as many bytes.
    unsafe { send!(*arguments, "contents"; *mut c_void).cast::<[u64; 2]>().write(words) };
    bench.keep(*out);
    bench.keep(*arguments);
    set_buffer(*table, *arguments, 0, 0);
    let pipeline = bench.pipeline("row");
    bench.begin();
    let encoder = bench.encoder();
    use_table(*encoder, *pipeline, *table);
    launch(*encoder, 4, 4);
    end(*encoder);
    bench.finish().unwrap();
    assert_eq!(contents::<f32>(*out), [70440., 70450., 70460., 70470.]);
}

#[test]
fn a_tensor_of_another_type_or_rank_is_an_error() {
    let bench = Bench::new();
    let pipeline = bench.pipeline("add");
    let good = tensor(&[2, 2], None, FLOAT).unwrap();
    let plain = buffer(64);
    let cases = [
        (tensor(&[2, 2], None, 16).unwrap(), "elements of half and 2 dimensions"),
        (tensor(&[4], None, FLOAT).unwrap(), "elements of float and 1 dimension,"),
    ];
    bench.keep(*good);
    bench.keep(*plain);
    let run = |set: &dyn Fn(Id)| {
        let table = table(2, 0, 0);
        set_resource(*table, *good, 1);
        set(*table);
        bench.begin();
        let encoder = bench.encoder();
        use_table(*encoder, *pipeline, *table);
        launch(*encoder, 1, 1);
        end(*encoder);
        bench.finish().unwrap_err()
    };
    for (other, expected) in &cases {
        bench.keep(**other);
        let error = run(&|table| set_resource(table, **other, 0));
        assert!(error.contains("argument 'a', buffer(0)") && error.contains(expected), "{error}");
    }
    let error = run(&|table| set_buffer(table, *plain, 0, 0));
    assert!(error.contains("is no tensor"), "{error}");
    let error = run(&|_| ());
    assert!(error.contains("nothing is bound for argument 'a'"), "{error}");
}

#[test]
fn impossible_tensors_are_refused() {
    for (sizes, strides, data_type, expected) in [
        (&[0isize, 2][..], None, FLOAT, "none of them 0"),
        (&[], None, FLOAT, "from 1 to 16"),
        (&[-1], None, FLOAT, "negative"),
        (&[2, 2], Some(&[2isize, 4][..]), FLOAT, "the first stride is 1"),
        (&[4, 2], Some(&[1, 3]), FLOAT, "overlap"),
        (&[4, 1, 4], Some(&[1, 0, 1]), FLOAT, "overlap"),
        (&[4, 2], Some(&[1]), FLOAT, "2 dimensions"),
        (&[4, 2], None, 143, "data type 143"),
        (&[isize::MAX, 4], None, FLOAT, "no memory"),
    ] {
        let error = tensor(sizes, strides, data_type).err().unwrap();
        assert!(error.contains(expected), "{error}");
    }
    let memory = buffer(64);
    let mut error = Id::NIL;
    let descriptor = described(&[4, 4], None, FLOAT);
    let made = send!(
        *memory, "newTensorWithDescriptor:offset:error:", *descriptor => Id, 4 => usize,
        &raw mut error => *mut Id; Id
    );
    assert!(made.is_nil());
    let error = error_text(error);
    assert!(error.contains("64 bytes of float at offset 4 of a buffer of 64 bytes"), "{error}");
    // Origins that are not inside change nothing.
    let small = tensor(&[2], None, FLOAT).unwrap();
    write(*small, &[1], &[2], &[5.0, 6.0]);
    assert_eq!(read(*small, &[0], &[2]), [0.0, 0.0]);
    // A stride that nothing uses may be large.
    let odd = tensor(&[4, 1], Some(&[1, 1 << 62]), FLOAT).unwrap();
    assert!(read(*odd, &[0, 1], &[4, 0]).is_empty());
    assert_eq!(read(*odd, &[0, 0], &[4, 1]), [0.0; 4]);
    let room =
        send!(*device(), "tensorSizeAndAlignWithDescriptor:", *descriptor => Id; MTLSizeAndAlign);
    assert_eq!(room, MTLSizeAndAlign { size: 64, align: 16 });
}

#[test]
fn tensors_are_copied_by_both_encoders() {
    let (from, to) = (tensor(&[3, 2], None, FLOAT).unwrap(), tensor(&[4, 4], None, FLOAT).unwrap());
    write(*from, &[0, 0], &[3, 2], &[1., 2., 3., 4., 5., 6.]);
    let copy = |encoder: Id, sizes: &[isize]| {
        send!(
            encoder,
            "copyFromTensor:sourceOrigin:sourceDimensions:toTensor:destinationOrigin:destinationDimensions:",
            *from => Id, *extents(&[1, 0]) => Id, *extents(&[2, 2]) => Id, *to => Id,
            *extents(&[1, 2]) => Id, *extents(sizes) => Id; ()
        );
        end(encoder);
    };
    let queue = queue();
    let classic = commands(*queue);
    copy(*blit(*classic), &[2, 2]);
    super::finish(*classic).unwrap();
    assert_eq!(read(*to, &[0, 2], &[4, 2]), [0., 2., 3., 0., 0., 5., 6., 0.]);

    let bench = Bench::new();
    write(*to, &[0, 0], &[4, 4], &[0.0; 16]);
    bench.begin();
    copy(*bench.encoder(), &[2, 2]);
    bench.finish().unwrap();
    assert_eq!(read(*to, &[0, 2], &[4, 2]), [0., 2., 3., 0., 0., 5., 6., 0.]);
    bench.begin();
    copy(*bench.encoder(), &[1, 2]);
    let error = bench.finish().unwrap_err();
    assert!(error.contains("[2, 2] elements cannot be copied to [1, 2] elements"), "{error}");
}

#[test]
fn dispatches_have_the_arguments_that_the_table_has_when_they_are_encoded() {
    let bench = Bench::new();
    let (x, y) = (buffer_of(&[1u32, 2, 3, 4]), buffer_of(&[10u32, 20, 30, 40]));
    bench.keep(*x);
    bench.keep(*y);
    let (pipeline, table) = (bench.pipeline("twice"), table(1, 0, 0));
    bench.begin();
    let encoder = bench.encoder();
    use_table(*encoder, *pipeline, *table);
    set_buffer(*table, *x, 0, 0);
    launch(*encoder, 4, 4);
    set_buffer(*table, *y, 8, 0);
    send!(
        *encoder, "dispatchThreadgroups:threadsPerThreadgroup:", MTLSize::from((2, 1, 1)) => MTLSize,
        MTLSize::from((1, 1, 1)) => MTLSize; ()
    );
    assert_eq!(send!(*encoder, "stages"; usize), 1 << 27);
    pool(|| assert_eq!(send!(*encoder, "commandBuffer"; Id), *bench.commands));
    end(*encoder);
    bench.finish().unwrap();
    assert_eq!(contents::<u32>(*x), [2, 4, 6, 8]);
    assert_eq!(contents::<u32>(*y), [10, 20, 60, 80]);
    // Another table has arguments of its own only.
    bench.begin();
    let encoder = bench.encoder();
    use_table(*encoder, *pipeline, *table);
    launch(*encoder, 1, 1);
    use_table(*encoder, *pipeline, *self::table(0, 0, 0));
    launch(*encoder, 1, 1);
    end(*encoder);
    let error = bench.finish().unwrap_err();
    assert!(error.contains("nothing is bound for argument 'x'"), "{error}");
    // Out of bounds, as with any other binding.
    bench.begin();
    let encoder = bench.encoder();
    use_table(*encoder, *pipeline, *table);
    launch(*encoder, 3, 3);
    end(*encoder);
    let error = bench.finish().unwrap_err();
    assert!(error.contains("read of 4 bytes at offset 8 of 'x', which has 8 bytes"), "{error}");
}

/// Without a barrier the later dispatch runs first, in another encoder, too.
#[test]
fn only_barriers_order_dispatches() {
    let bench = Bench::new();
    let (twice, count) = (bench.pipeline("twice"), bench.pipeline("count"));
    for (ordered, apart, expected) in
        [(true, false, 3), (false, false, 4), (true, true, 3), (false, true, 4)]
    {
        let x = buffer_of(&[1u32]);
        bench.keep(*x);
        let table = table(1, 0, 0);
        set_buffer(*table, *x, 0, 0);
        bench.begin();
        let mut encoder = bench.encoder();
        use_table(*encoder, *twice, *table);
        launch(*encoder, 1, 1);
        if apart {
            end(*encoder);
            encoder = bench.encoder();
        }
        if ordered {
            barrier(*encoder);
        }
        use_table(*encoder, *count, *table);
        launch(*encoder, 1, 1);
        end(*encoder);
        bench.finish().unwrap();
        assert_eq!(contents::<u32>(*x), [expected], "{ordered} {apart}");
    }
    // Command buffers run in order; so do copies and dispatches of two of them.
    let x = buffer_of(&[1u32]);
    bench.keep(*x);
    let table = table(1, 0, 0);
    set_buffer(*table, *x, 0, 0);
    for pipeline in [&twice, &count, &twice] {
        bench.begin();
        let encoder = bench.encoder();
        use_table(*encoder, **pipeline, *table);
        launch(*encoder, 1, 1);
        end(*encoder);
        send!(*bench.commands, "endCommandBuffer"; ());
        let all = [*bench.commands];
        send!(*bench.queue, "commit:count:", all.as_ptr() => *const Id, 1 => usize; ());
    }
    let event = shared_event();
    send!(*bench.queue, "signalEvent:value:", *event => Id, 7 => u64; ());
    let reached = send!(
        *event, "waitUntilSignaledValue:timeoutMS:", 7 => u64, 60_000 => u64; Bool
    );
    assert!(reached.get());
    assert_eq!(contents::<u32>(*x), [6]);
}

#[test]
fn grids_and_commands_are_read_at_addresses() {
    let bench = Bench::new();
    let x = buffer_of(&[1u32; 16]);
    let sizes = buffer_of(&[0u32, 2, 1, 1, 0, 5, 1, 1, 4, 1, 1]);
    bench.keep(*x);
    bench.keep(*sizes);
    let (pipeline, table) = (bench.pipeline("count"), table(1, 0, 0));
    set_buffer(*table, *x, 0, 0);
    let at = send!(*sizes, "gpuAddress"; u64);
    bench.begin();
    let encoder = bench.encoder();
    use_table(*encoder, *pipeline, *table);
    send!(
        *encoder, "dispatchThreadgroupsWithIndirectBuffer:threadsPerThreadgroup:", at + 4 => u64,
        MTLSize::from((4, 1, 1)) => MTLSize; ()
    );
    barrier(*encoder);
    send!(*encoder, "dispatchThreadsWithIndirectBuffer:", at + 20 => u64; ());
    end(*encoder);
    bench.finish().unwrap();
    let mut expected = [1u32; 16];
    expected[..8].iter_mut().for_each(|x| *x += 1);
    expected[..5].iter_mut().for_each(|x| *x += 1);
    assert_eq!(contents::<u32>(*x), expected);
    // A size of zero threads, and an address of nothing.
    bench.begin();
    let encoder = bench.encoder();
    use_table(*encoder, *pipeline, *table);
    send!(*encoder, "dispatchThreadsWithIndirectBuffer:", at + 16 => u64; ());
    barrier(*encoder);
    send!(*encoder, "dispatchThreadsWithIndirectBuffer:", 4096 => u64; ());
    end(*encoder);
    let error = bench.finish().unwrap_err();
    assert!(error.contains("the address 0x1000 is in no resource that is resident"), "{error}");
}

#[test]
fn textures_samplers_and_threadgroup_memory() {
    let bench = Bench::new();
    let descriptor = new("MTLTextureDescriptor");
    send!(*descriptor, "setPixelFormat:", 55usize => usize; ());
    send!(*descriptor, "setWidth:", 4usize => usize; ());
    send!(*descriptor, "setHeight:", 4usize => usize; ());
    send!(*descriptor, "setUsage:", 3usize => usize; ());
    let texture = Own::new(send!(*device(), "newTextureWithDescriptor:", *descriptor => Id; Id));
    let sampler = new("MTLSamplerDescriptor");
    send!(*sampler, "setSupportArgumentBuffers:", 1 => i8; ());
    let sampler = Own::new(send!(*device(), "newSamplerStateWithDescriptor:", *sampler => Id; Id));
    let (value, out) = (buffer_of(&[2.5f32]), buffer(4));
    for resource in [&texture, &value, &out] {
        bench.keep(**resource);
    }
    let table = table(1, 1, 1);
    let id = |object: Id| send!(object, "gpuResourceID"; MTLResourceID);
    send!(*table, "setTexture:atIndex:", id(*texture) => MTLResourceID, 0 => usize; ());
    send!(*table, "setSamplerState:atIndex:", id(*sampler) => MTLResourceID, 0 => usize; ());
    set_buffer(*table, *value, 0, 0);
    bench.begin();
    let encoder = bench.encoder();
    use_table(*encoder, *bench.pipeline("fill"), *table);
    send!(
        *encoder, "dispatchThreads:threadsPerThreadgroup:", MTLSize::from((4, 4, 1)) => MTLSize,
        MTLSize::from((4, 4, 1)) => MTLSize; ()
    );
    barrier(*encoder);
    set_buffer(*table, *out, 0, 0);
    bind(*encoder, *bench.pipeline("read"));
    launch(*encoder, 1, 1);
    end(*encoder);
    bench.finish().unwrap();
    assert_eq!(contents::<f32>(*out), [2.5]);

    let x = buffer_of(&std::array::from_fn::<u32, 32, _>(|i| i as u32));
    bench.keep(*x);
    set_buffer(*table, *x, 0, 0);
    bench.begin();
    let encoder = bench.encoder();
    use_table(*encoder, *bench.pipeline("shared"), *table);
    send!(*encoder, "setThreadgroupMemoryLength:atIndex:", 128 => usize, 0 => usize; ());
    launch(*encoder, 32, 32);
    end(*encoder);
    bench.finish().unwrap();
    assert_eq!(contents::<u32>(*x)[..3], [31, 30, 29]);
    // The texture is in no residency set any more.
    send!(*bench.set, "removeAllocation:", *texture => Id; ());
    send!(*bench.set, "commit"; ());
    bench.begin();
    let encoder = bench.encoder();
    use_table(*encoder, *bench.pipeline("fill"), *table);
    launch(*encoder, 1, 1);
    end(*encoder);
    let error = bench.finish().unwrap_err();
    assert!(
        error.contains("texture(0): no texture that is resident has the resource ID"),
        "{error}"
    );
}

#[test]
fn what_is_not_resident_is_an_error() {
    let bench = Bench::new();
    let x = buffer_of(&[1u32]);
    let (pipeline, table) = (bench.pipeline("twice"), table(1, 0, 0));
    set_buffer(*table, *x, 0, 0);
    let encode = || {
        bench.begin();
        let encoder = bench.encoder();
        use_table(*encoder, *pipeline, *table);
        launch(*encoder, 1, 1);
        end(*encoder);
    };
    encode();
    let error = bench.finish().unwrap_err();
    assert!(error.contains("argument 'x', buffer(0): the address"), "{error}");
    assert_eq!(contents::<u32>(*x), [1]);
    // The command buffer's own set does as well.
    let mut error = Id::NIL;
    let set = Own::new(send!(
        *device(), "newResidencySetWithDescriptor:error:", *new("MTLResidencySetDescriptor") => Id,
        &raw mut error => *mut Id; Id
    ));
    send!(*set, "addAllocation:", *x => Id; ());
    send!(*set, "commit"; ());
    encode();
    send!(*bench.commands, "useResidencySet:", *set => Id; ());
    bench.finish().unwrap();
    assert_eq!(contents::<u32>(*x), [2]);
}

/// A command buffer is begun, encoded, ended and committed, in this order, again and again.
#[test]
fn messages_at_the_wrong_time_are_errors() {
    let bench = Bench::new();
    let fails = |encode: &dyn Fn(), expected: &str| {
        bench.begin();
        encode();
        let error = bench.finish().unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    fails(&|| bench.begin(), "begun already");
    fails(&|| std::mem::forget(bench.encoder()), "has not ended");
    fails(
        &|| {
            let other = Own::new(send!(*device(), "newCommandBuffer"; Id));
            send!(*other, "beginCommandBufferWithAllocator:", *bench.allocator => Id; ());
            send!(*other, "endCommandBuffer"; ());
            let all = [*other];
            send!(*bench.queue, "commit:count:", all.as_ptr() => *const Id, 1 => usize; ());
            let encoder = bench.encoder();
            launch(*encoder, 1, 1);
            end(*encoder);
        },
        "no compute pipeline state is set",
    );
    let error = bench.commit().unwrap_err();
    assert!(error.contains("was not begun, or was committed already"), "{error}");
    bench.begin();
    let error = bench.commit().unwrap_err();
    assert!(error.contains("endCommandBuffer was not sent"), "{error}");
    // Without an allocator, or before it was begun, messages have no effect.
    send!(*bench.commands, "beginCommandBufferWithAllocator:", Id::NIL => Id; ());
    pool(|| assert!(send!(*bench.commands, "computeCommandEncoder"; Id).is_nil()));
    send!(*bench.commands, "endCommandBuffer"; ());
    send!(*bench.allocator, "reset"; ());
    bench.begin();
    bench.finish().unwrap();
}

fn counter_heap() -> Own {
    let descriptor = new("MTL4CounterHeapDescriptor");
    send!(*descriptor, "setType:", 1 => isize; ());
    send!(*descriptor, "setCount:", 3 => usize; ());
    let mut error = Id::NIL;
    Own::new(send!(
        *device(), "newCounterHeapWithDescriptor:error:", *descriptor => Id, &raw mut error => *mut Id; Id
    ))
}

#[test]
fn copies_fills_and_timestamps() {
    let bench = Bench::new();
    let (x, y, times) = (buffer_of(&[7u32; 8]), buffer(32), buffer(16));
    bench.keep(*times);
    let heap = counter_heap();
    assert_eq!(send!(*device(), "sizeOfCounterHeapEntry:", 1 => isize; usize), 8);
    bench.begin();
    send!(*bench.commands, "writeTimestampIntoHeap:atIndex:", *heap => Id, 0 => usize; ());
    let encoder = bench.encoder();
    send!(
        *encoder, "copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:", *x => Id,
        0 => usize, *y => Id, 4 => usize, 16 => usize; ()
    );
    barrier_of(*encoder, 1 << 28);
    send!(
        *encoder, "fillBuffer:range:value:", *y => Id, NSRange { location: 8, length: 4 } => NSRange,
        1 => u8; ()
    );
    send!(
        *encoder, "writeTimestampWithGranularity:intoHeap:atIndex:", 1 => isize, *heap => Id,
        1 => usize; ()
    );
    end(*encoder);
    send!(
        *bench.commands, "resolveCounterHeap:withRange:intoBuffer:waitFence:updateFence:",
        *heap => Id, NSRange { location: 0, length: 2 } => NSRange,
        MTL4BufferRange { buffer_address: send!(*times, "gpuAddress"; u64), length: 16 } => MTL4BufferRange,
        Id::NIL => Id, Id::NIL => Id; ()
    );
    bench.finish().unwrap();
    assert_eq!(contents::<u32>(*y), [0, 7, 0x0101_0101, 7, 7, 0, 0, 0]);
    let times = contents::<u64>(*times);
    assert!(times[0] > 0 && times[1] >= times[0], "{times:?}");
    pool(|| {
        let data = send!(
            *heap, "resolveCounterRange:", NSRange { location: 0, length: 3 } => NSRange; Id
        );
        assert_eq!(send!(data, "length"; usize), 24);
    });
}

/// A race is found though a timestamp has the launches run apart, and after the process used memory whose hazards the program tracks
/// itself, where the ends of encoders count.
#[test]
fn ends_of_encoders_order_nothing() {
    let source = "kernel void fill(device uint *to [[buffer(0)]], uint i [[thread_position_in_grid]]) { to[i] = i; }
        kernel void move(device const uint *from [[buffer(0)]], device uint *to [[buffer(1)]],
                         uint i [[thread_position_in_grid]]) { to[i] = from[31 - i]; }";
    let library = library(source);
    let checked = |name: &str| {
        let (function, mut error) = (function(*library, name), Id::NIL);
        let function = Own::retain(send!(
            *function, "aruminiumFunctionWithChecks:error:", 1 => usize, &raw mut error => *mut Id; Id
        ));
        Own::new(send!(
            *device(), "newComputePipelineStateWithFunction:error:", *function => Id,
            &raw mut error => *mut Id; Id
        ))
    };
    let [first, second] = ["fill", "move"].map(|name| pool(|| checked(name)));
    for options in [0usize, 0x100] {
        let other = Own::new(
            send!(*device(), "newBufferWithLength:options:", 128 => usize, options => usize; Id),
        );
        let commands = commands(*queue());
        let encoder = encoder(*commands);
        bind(*encoder, *first);
        bind_buffer(*encoder, *other, 0, 0);
        launch(*encoder, 32, 32);
        end(*encoder);
        assert_eq!(finish(*commands), Ok(()));
    }
    let bench = Bench::new();
    let (data, to, heap) = (buffer(128), buffer(128), counter_heap());
    bench.keep(*data);
    bench.keep(*to);
    let arguments = table(2, 0, 0);
    set_buffer(*arguments, *data, 0, 0);
    set_buffer(*arguments, *to, 0, 1);
    bench.begin();
    for pipeline in [&first, &second] {
        let encoder = bench.encoder();
        use_table(*encoder, **pipeline, *arguments);
        launch(*encoder, 32, 32);
        end(*encoder);
        send!(*bench.commands, "writeTimestampIntoHeap:atIndex:", *heap => Id, 0 => usize; ());
    }
    bench.finish().unwrap();
    pool(|| {
        let reports = send!(*bench.commands, "aruminiumReports"; Id);
        assert_eq!(send!(reports, "count"; usize), 1);
    });
}

fn barrier_of(encoder: Id, stages: usize) {
    send!(
        encoder, "barrierAfterEncoderStages:beforeEncoderStages:visibilityOptions:",
        stages => usize, stages => usize, 0 => usize; ()
    );
}

#[test]
fn the_compiler_makes_libraries_and_pipelines_of_descriptors() {
    let mut error = Id::NIL;
    let compiler = new("MTL4CompilerDescriptor");
    let compiler = Own::new(send!(
        *device(), "newCompilerWithDescriptor:error:", *compiler => Id, &raw mut error => *mut Id; Id
    ));
    let options = new("MTLCompileOptions");
    send!(*options, "setLanguageVersion:", 4usize << 16 => usize; ());
    let descriptor = new("MTL4LibraryDescriptor");
    send!(*descriptor, "setSource:", *string(SOURCE) => Id; ());
    send!(*descriptor, "setOptions:", *options => Id; ());
    let library = send!(
        *compiler, "newLibraryWithDescriptor:error:", *descriptor => Id, &raw mut error => *mut Id; Id
    );
    assert!(!library.is_nil(), "{}", error_text(error));
    let library = Own::new(library);

    let function = new("MTL4LibraryFunctionDescriptor");
    send!(*function, "setLibrary:", *library => Id; ());
    send!(*function, "setName:", *string("scale") => Id; ());
    let values = new("MTLFunctionConstantValues");
    let factor = 5u32;
    send!(
        *values, "setConstantValue:type:atIndex:", (&raw const factor).cast() => *const c_void,
        33 => usize, 0 => usize; ()
    );
    let special = new("MTL4SpecializedFunctionDescriptor");
    send!(*special, "setFunctionDescriptor:", *function => Id; ());
    send!(*special, "setConstantValues:", *values => Id; ());
    let descriptor = new("MTL4ComputePipelineDescriptor");
    let make = |error: &mut Id| {
        send!(
            *compiler, "newComputePipelineStateWithDescriptor:compilerTaskOptions:error:",
            *descriptor => Id, Id::NIL => Id, &raw mut *error => *mut Id; Id
        )
    };
    pool(|| {
        assert!(make(&mut error).is_nil());
        assert!(error_text(error).contains("descriptor of a function"), "{}", error_text(error));
    });
    send!(*descriptor, "setComputeFunctionDescriptor:", *special => Id; ());
    let pipeline = make(&mut error);
    assert!(!pipeline.is_nil(), "{}", error_text(error));
    let pipeline = Own::new(pipeline);
    let (bench, x) = (Bench::new(), buffer_of(&[1u32, 2]));
    bench.keep(*x);
    let table = table(1, 0, 0);
    set_buffer(*table, *x, 0, 0);
    bench.begin();
    let encoder = bench.encoder();
    use_table(*encoder, *pipeline, *table);
    launch(*encoder, 2, 2);
    end(*encoder);
    bench.finish().unwrap();
    assert_eq!(contents::<u32>(*x), [5, 10]);

    let (sender, receiver) = mpsc::channel();
    let task = Own::new(send!(
        *compiler, "newComputePipelineStateWithDescriptor:compilerTaskOptions:completionHandler:",
        *descriptor => Id, Id::NIL => Id, block(move |pipeline, error| {
            _ = sender.send((pipeline.is_null(), error.is_null()));
        }) => Id; Id
    ));
    send!(*task, "waitUntilCompleted"; ());
    assert_eq!(send!(*task, "status"; isize), 3);
    assert_eq!(receiver.try_recv(), Ok((false, true)));
}
