//! Argument buffers: pointers, textures and samplers in memory, and what kernels may reach through them.

use super::*;

/// A struct with every kind of member, and kernels that use it.
const SOURCE: &str = "#include <metal_stdlib>
    using namespace metal;
    struct Inner { device float *out; float scale; };
    struct Args {
        device const float *in [[id(0)]];
        array<device float *, 3> outs [[id(2)]];
        texture2d<float> image [[id(5)]];
        sampler pick [[id(6)]];
        constant Inner &inner [[id(7)]];
        uint count [[id(8)]];
        float4 weights [[id(9)]];
    };
    kernel void scale(constant Args &args [[buffer(0)]], uint i [[thread_position_in_grid]]) {
        args.outs[i % 3][i] = args.in[i] * args.weights.y + float(args.count);
        args.inner.out[i] = args.inner.scale;
    }
    kernel void copy(device const Args *args [[buffer(1)]], uint i [[thread_position_in_grid]]) {
        Args own = args[1];
        own.outs[0][i] = own.image.sample(own.pick, float2((float(i) + 0.5) / 4, 0.5)).x;
    }";

/// The bytes of `Args`, as a program writes them without an encoder.
#[repr(C, align(16))]
#[derive(Clone, Copy, Default)]
struct Args {
    input: u64,
    outs: [u64; 3],
    image: u64,
    pick: u64,
    inner: u64,
    count: u32,
    _room: u32,
    weights: [f32; 4],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Inner {
    out: u64,
    scale: f32,
}

fn address(buffer: Id) -> u64 {
    send!(buffer, "gpuAddress"; u64)
}

fn id(object: Id) -> u64 {
    send!(object, "gpuResourceID"; MTLResourceID)._impl
}

fn use_resource(encoder: Id, resource: Id, usage: usize) {
    send!(encoder, "useResource:usage:", resource => Id, usage => usize; ());
}

fn launch(encoder: Id, threads: usize) {
    let size = |width| MTLSize { width, height: 1, depth: 1 };
    send!(
        encoder, "dispatchThreads:threadsPerThreadgroup:",
        size(threads) => MTLSize, size(32) => MTLSize; ()
    );
}

/// A texture of four pixels in a row: 10, 20, 30 and 40.
fn texture() -> Own {
    let descriptor = new("MTLTextureDescriptor");
    send!(*descriptor, "setPixelFormat:", 55usize => usize; ());
    send!(*descriptor, "setWidth:", 4usize => usize; ());
    let texture = Own::new(send!(*device(), "newTextureWithDescriptor:", *descriptor => Id; Id));
    let size = MTLSize { width: 4, height: 1, depth: 1 };
    let region = MTLRegion { origin: MTLOrigin { x: 0, y: 0, z: 0 }, size };
    let pixels = [10f32, 20., 30., 40.];
    send!(
        *texture, "replaceRegion:mipmapLevel:withBytes:bytesPerRow:", region => MTLRegion,
        0usize => usize, pixels.as_ptr().cast() => *const c_void, 16usize => usize; ()
    );
    texture
}

fn sampler() -> Own {
    let descriptor = new("MTLSamplerDescriptor");
    send!(*descriptor, "setSupportArgumentBuffers:", 1i8 => i8; ());
    Own::new(send!(*device(), "newSamplerStateWithDescriptor:", *descriptor => Id; Id))
}

#[test]
fn kernels_follow_what_the_program_wrote() {
    let (input, outs) = (buffer_of(&[1f32; 64]), [(); 3].map(|()| buffer(256)));
    let other = buffer(512);
    let inner = buffer_of(&[Inner { out: address(*other) + 256, scale: 7. }]);
    let args = Args {
        input: address(*input),
        outs: outs.each_ref().map(|out| address(**out)),
        inner: address(*inner),
        count: 2,
        weights: [0., 3., 0., 0.],
        ..Args::default()
    };
    let (queue, pipeline) = (queue(), pipeline(SOURCE, "scale"));
    let commands = commands(*queue);
    let encoder = encoder(*commands);
    bind(*encoder, *pipeline);
    bind_buffer(*encoder, *buffer_of(&[args]), 0, 0);
    for read in [&input, &inner] {
        use_resource(*encoder, **read, 1);
    }
    for written in outs.iter().chain([&other]) {
        use_resource(*encoder, **written, 2);
    }
    launch(*encoder, 64);
    end(*encoder);
    finish(*commands).unwrap();
    for (nth, out) in outs.iter().enumerate() {
        let expected: Vec<f32> = (0..64).map(|i| if i % 3 == nth { 5. } else { 0. }).collect();
        assert_eq!(contents::<f32>(**out), expected);
    }
    assert_eq!(contents::<f32>(*other), [[0f32; 64], [7.; 64]].concat());
}

#[test]
fn an_encoder_writes_the_same_bytes() {
    let library = library(SOURCE);
    let function = function(*library, "copy");
    let encoder =
        Own::new(send!(*function, "newArgumentEncoderWithBufferIndex:", 1usize => usize; Id));
    let length = send!(*encoder, "encodedLength"; usize);
    assert_eq!((length, send!(*encoder, "alignment"; usize)), (size_of::<Args>(), 16));
    let none = send!(*function, "newArgumentEncoderWithBufferIndex:", 0usize => usize; Id);
    assert!(none.is_nil());

    let (target, out, image, pick) = (buffer(2 * length), buffer(64), texture(), sampler());
    send!(
        *encoder, "setArgumentBuffer:startOffset:arrayElement:", *target => Id, 0usize => usize,
        1usize => usize; ()
    );
    let set = |index: usize, offset: usize| {
        send!(
            *encoder, "setBuffer:offset:atIndex:", *out => Id, offset => usize, index => usize; ()
        );
    };
    set(0, 4);
    set(3, 8);
    send!(*encoder, "setTexture:atIndex:", *image => Id, 5usize => usize; ());
    send!(*encoder, "setSamplerState:atIndex:", *pick => Id, 6usize => usize; ());
    let data = |index: usize| send!(*encoder, "constantDataAtIndex:", index => usize; *mut c_void);
    // SAFETY: the members of these indices are a `uint` and a `float4`.
    unsafe {
        *data(8).cast::<u32>() = 11;
        *data(9).cast::<[f32; 4]>() = [1., 2., 3., 4.];
    }
    // Wrong indices and kinds are reported, and write nothing.
    set(1, 0);
    set(5, 0);
    set(0, 65);
    assert!(data(0).is_null() && data(10).is_null());
    let written = contents::<[u64; 10]>(*target);
    assert_eq!(written[0], [0; 10]);
    let start = address(*out);
    assert_eq!(written[1][..7], [start + 4, 0, start + 8, 0, id(*image), id(*pick), 0]);
    assert_eq!(written[1][7], 11);

    // The encoder of what a member points to.
    let inner =
        Own::new(send!(*encoder, "newArgumentEncoderForBufferAtIndex:", 7usize => usize; Id));
    assert_eq!(send!(*inner, "encodedLength"; usize), size_of::<Inner>());
    assert!(send!(*encoder, "newArgumentEncoderForBufferAtIndex:", 0usize => usize; Id).is_nil());

    // A kernel reads them, from a copy in thread memory.
    set(2, 0);
    let (queue, pipeline) = (queue(), pipeline(SOURCE, "copy"));
    let commands = commands(*queue);
    let launched = super::encoder(*commands);
    bind(*launched, *pipeline);
    bind_buffer(*launched, *target, 0, 1);
    use_resource(*launched, *out, 2);
    use_resource(*launched, *image, 1);
    launch(*launched, 4);
    end(*launched);
    finish(*commands).unwrap();
    assert_eq!(contents::<f32>(*out)[..4], [10., 20., 30., 40.]);
}

/// Runs a kernel once over four threads, with a buffer at index 0 and whatever `declare` declares.
fn run(source: &str, args: Id, declare: impl FnOnce(Id)) -> Result<(), String> {
    let (queue, pipeline) = (queue(), pipeline(source, "k"));
    let commands = commands(*queue);
    let encoder = encoder(*commands);
    bind(*encoder, *pipeline);
    bind_buffer(*encoder, args, 0, 0);
    declare(*encoder);
    launch(*encoder, 4);
    end(*encoder);
    finish(*commands)
}

const POINTER: &str = "struct Args { device int *out; };
    kernel void k(constant Args &args [[buffer(0)]], uint i [[thread_position_in_grid]]) {
        args.out[i] = i;
    }";

#[test]
fn every_access_is_checked() {
    let out = buffer(12);
    send!(*out, "setLabel:", *string("results") => Id; ());
    let args = |pointer: u64| buffer_of(&[pointer]);
    let good = args(address(*out));

    let error = run(POINTER, *good, |encoder| use_resource(encoder, *out, 2)).unwrap_err();
    assert!(
        error.contains("write of 4 bytes at offset 12 of 'results', which has 12 bytes"),
        "{error}"
    );
    assert!(error.contains("thread (3, 0, 0)") && error.contains("program_source:3"), "{error}");

    // Not declared: the address is in nothing that the launch may use.
    let error = run(POINTER, *good, |_| ()).unwrap_err();
    let address_text = format!("the address {:#x} is in no resource", address(*out));
    assert!(error.contains(&address_text) && error.contains("useResource"), "{error}");

    // Declared for reading only.
    let error = run(POINTER, *good, |encoder| use_resource(encoder, *out, 1)).unwrap_err();
    assert!(error.contains("'results', which is constant"), "{error}");

    // Stale, foreign, null, and a pointer in the form that registers have.
    let stale = args(address(*buffer(64)));
    let foreign = args(0x7fff_1234_5678);
    for (pointer, text) in [
        (&stale, "is in no resource"),
        (&foreign, "the address 0x7fff12345678 is in no resource"),
        (&args(0), "a null or stale pointer"),
        (&args(1 << 48), "a null or stale pointer"),
    ] {
        let error = run(POINTER, **pointer, |encoder| use_resource(encoder, *out, 2)).unwrap_err();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn textures_and_samplers_are_checked() {
    let source = "#include <metal_stdlib>
        using namespace metal;
        struct Args { device float *out; texture2d<float> image; sampler pick; };
        kernel void k(constant Args &args [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            if (is_null_texture(args.image)) { args.out[i] = -1; return; }
            args.out[i] = args.image.sample(args.pick, float2((float(i) + 0.5) / 4, 0.5)).x;
        }";
    let (out, image, pick) = (buffer(16), texture(), sampler());
    let args = |image, pick| buffer_of(&[address(*out), image, pick]);
    let run = |args: Id, resident: Option<Id>| {
        run(source, args, |encoder| {
            use_resource(encoder, *out, 2);
            if let Some(texture) = resident {
                use_resource(encoder, texture, 1);
            }
        })
    };
    run(*args(id(*image), id(*pick)), Some(*image)).unwrap();
    assert_eq!(contents::<f32>(*out), [10., 20., 30., 40.]);
    run(*args(0, id(*pick)), None).unwrap();
    assert_eq!(contents::<f32>(*out), [-1.; 4]);

    let error = run(*args(id(*image), id(*pick)), None).unwrap_err();
    let text = format!("a texture with the ID {}, which the launch may not use", id(*image));
    assert!(error.contains(&text), "{error}");
    let error = run(*args(id(*image), 12), Some(*image)).unwrap_err();
    assert!(error.contains("a sampler with the ID 0xc, which is of no sampler"), "{error}");

    let descriptor = new("MTLTextureDescriptor");
    send!(*descriptor, "setTextureType:", 7usize => usize; ());
    send!(*descriptor, "setPixelFormat:", 55usize => usize; ());
    let other = Own::new(send!(*device(), "newTextureWithDescriptor:", *descriptor => Id; Id));
    let error = run(*args(id(*other), id(*pick)), Some(*other)).unwrap_err();
    assert!(error.contains("the texture is of kind 3D, and the kernel takes 2D"), "{error}");
}

/// Pointers that a kernel writes are addresses, so that the program and later launches can use them.
#[test]
fn kernels_write_addresses() {
    let source = "#include <metal_stdlib>
        using namespace metal;
        struct Args { device int *at; constant int *table; ulong bits; };
        constant int own[] = {5, 6, 7, 8};
        kernel void k(device Args *args [[buffer(0)]], device int *out [[buffer(1)]],
                      uint i [[thread_position_in_grid]]) {
            args[i].at = out + i;
            args[i].table = own;
            args[i].bits = ulong(out + i);
            args[i].at += 1;
            // A table of the program has no address: its pointer is stored as it is.
            threadgroup_barrier(mem_flags::mem_device);
            out[i] += args[i ^ 1].table[i] - own[i];
        }
        kernel void after(device Args *args [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            Args own = args[i];
            *(own.at - 1) = *(device int *)own.bits + 10 + i;
            args[i] = own;
        }";
    let (out, args) = (buffer_of(&[100i32; 4]), buffer(24 * 4));
    let queue = queue();
    for name in ["k", "after"] {
        let commands = commands(*queue);
        let encoder = encoder(*commands);
        bind(*encoder, *pipeline(source, name));
        bind_buffer(*encoder, *args, 0, 0);
        bind_buffer(*encoder, *out, 0, 1);
        if name == "after" {
            bind_buffer(*encoder, Id::NIL, 0, 1);
            use_resource(*encoder, *out, 2);
        }
        launch(*encoder, 4);
        end(*encoder);
        finish(*commands).unwrap();
        let start = address(*out);
        for (i, args) in contents::<[u64; 3]>(*args).into_iter().enumerate() {
            assert_eq!([args[0], args[2]], [start + 4 * i as u64 + 4, start + 4 * i as u64]);
        }
    }
    assert_eq!(contents::<i32>(*out), [110, 111, 112, 113]);
}

#[test]
fn heaps_and_residency_sets_declare_their_resources() {
    let descriptor = new("MTLHeapDescriptor");
    send!(*descriptor, "setSize:", 65536usize => usize; ());
    send!(*descriptor, "setStorageMode:", 0usize => usize; ());
    let heap = Own::new(send!(*device(), "newHeapWithDescriptor:", *descriptor => Id; Id));
    let in_heap = |length: usize| {
        Own::new(send!(*heap, "newBufferWithLength:options:", length => usize, 0usize => usize; Id))
    };
    let (first, second) = (in_heap(256), in_heap(16));
    let args = buffer_of(&[address(*second)]);
    run(POINTER, *args, |encoder| send!(encoder, "useHeap:", *heap => Id; ())).unwrap();
    assert_eq!(contents::<i32>(*second), [0, 1, 2, 3]);
    // Each resource has bounds of its own.
    let args = buffer_of(&[address(*first) + 252]);
    let error =
        run(POINTER, *args, |encoder| send!(encoder, "useHeap:", *heap => Id; ())).unwrap_err();
    assert!(error.contains("at offset 256 of"), "{error}");

    let set_descriptor = new("MTLResidencySetDescriptor");
    let set = Own::new(send!(
        *device(), "newResidencySetWithDescriptor:error:", *set_descriptor => Id,
        std::ptr::null_mut() => *mut Id; Id
    ));
    let out = buffer(16);
    send!(*set, "addAllocation:", *out => Id; ());
    send!(*set, "commit"; ());
    let args = buffer_of(&[address(*out)]);
    let (of_queue, pipeline) = (queue(), pipeline(POINTER, "k"));
    let run = |of_commands: bool| {
        let commands = commands(*of_queue);
        if of_commands {
            send!(*commands, "useResidencySet:", *set => Id; ());
        }
        let encoder = encoder(*commands);
        bind(*encoder, *pipeline);
        bind_buffer(*encoder, *args, 0, 0);
        launch(*encoder, 4);
        end(*encoder);
        finish(*commands)
    };
    run(false).unwrap_err();
    run(true).unwrap();
    assert_eq!(contents::<i32>(*out), [0, 1, 2, 3]);
    send!(*of_queue, "addResidencySet:", *set => Id; ());
    run(false).unwrap();
    send!(*of_queue, "removeResidencySet:", *set => Id; ());
    run(false).unwrap_err();
}

/// A nil in a list is no binding: the member is zero, and what was there before is gone.
#[test]
fn lists_may_have_nils() {
    pool(|| {
        let function = function(*library(SOURCE), "scale");
        let encoder =
            Own::new(send!(*function, "newArgumentEncoderWithBufferIndex:", 0usize => usize; Id));
        let (args, data, image) = (buffer(size_of::<Args>()), buffer(64), texture());
        send!(*encoder, "setArgumentBuffer:offset:", *args => Id, 0usize => usize; ());
        let range = |location, length| NSRange { location, length };
        let set = |buffers: [Id; 3]| {
            send!(
                *encoder, "setBuffers:offsets:withRange:", buffers.as_ptr() => *const Id,
                [0usize, 8, 16].as_ptr() => *const usize, range(2, 3) => NSRange; ()
            )
        };
        let outs = || contents::<Args>(*args)[0].outs;
        set([*data, *data, *data]);
        assert_eq!(outs(), [address(*data), address(*data) + 8, address(*data) + 16]);
        set([*data, Id::NIL, *data]);
        assert_eq!(outs(), [address(*data), 0, address(*data) + 16]);
        for (object, written) in [(*image, id(*image)), (Id::NIL, 0)] {
            send!(
                *encoder, "setTextures:withRange:", &raw const object => *const Id,
                range(5, 1) => NSRange; ()
            );
            assert_eq!(contents::<Args>(*args)[0].image, written);
        }
        // A command buffer that is passed a list with a nil uses the other sets.
        let descriptor = new("MTLResidencySetDescriptor");
        let set = Own::new(send!(
            *device(), "newResidencySetWithDescriptor:error:", *descriptor => Id,
            std::ptr::null_mut() => *mut Id; Id
        ));
        let commands = commands(*queue());
        let sets = [Id::NIL, *set];
        send!(*commands, "useResidencySets:count:", sets.as_ptr() => *const Id, 2usize => usize; ());
        assert_eq!(finish(*commands), Ok(()));
    });
}

#[test]
fn arrays_of_pointers_under_another_type() {
    // As a translator from SPIR-V writes them: buffers of a set that other types alias.
    const TEXT: &str = "
        struct Floats { float data[1]; };
        struct Words { uint2 data[1]; };
        struct Set { device Floats* one [[id(0)]]; device Floats* many [[id(1)]][2]; };
        static uint read(device Words* const constant (&many)[2], uint at) { return many[at & 1]->data[at >> 1].y; }
        kernel void aliases(constant Set& set [[buffer(0)]], device uint* out [[buffer(1)]], uint at [[thread_position_in_grid]]) {
            device auto& words = (device Words&)(*set.one);
            const constant auto& many = (device Words* const constant (&)[2])set.many;
            out[at] = words.data[at].x + read(many, at) + many[1]->data[at].x;
        }";
    let [one, first, second] = [10u32, 100, 1000]
        .map(|step| buffer_of(&std::array::from_fn::<u32, 8, _>(|at| at as u32 * step)));
    let set = [&one, &first, &second].map(|buffer| address(**buffer));
    let out = buffer(16);
    let (queue, pipeline) = (queue(), pipeline(TEXT, "aliases"));
    let commands = commands(*queue);
    let encoder = encoder(*commands);
    bind(*encoder, *pipeline);
    bind_buffer(*encoder, *buffer_of(&[set]), 0, 0);
    bind_buffer(*encoder, *out, 0, 1);
    for read in [&one, &first, &second] {
        use_resource(*encoder, **read, 1);
    }
    launch(*encoder, 4);
    end(*encoder);
    finish(*commands).unwrap();
    let expected: [u32; 4] = std::array::from_fn(|at| {
        let other = [100, 1000][at % 2];
        let at = at as u32;
        2 * at * 10 + (at / 2 * 2 + 1) * other + 2 * at * 1000
    });
    assert_eq!(contents::<u32>(*out), expected);
}
