//! A program written for the published 0.2 API: its names and calls still compile and do the same. The only difference
//! is that failures are returned that used to be lost.

#![allow(clippy::undocumented_unsafe_blocks)] // As programs of that time are written.

use aruminium::buffer::Buffer;
use aruminium::command::{Commands, Queue};
use aruminium::device::Gpu;
use aruminium::dispatch::{Dispatch, GpuFuture};
use aruminium::encoder::{Copier, Encoder};
use aruminium::pipeline::Pipeline;
use aruminium::shader::{Shader, ShaderLib};
use aruminium::sync::{Event, Fence, SharedEvent};
use aruminium::texture::Texture;
use aruminium::{Batch, GpuError, MTLOrigin, MTLRegion, MTLSize, autorelease_pool};
use std::ffi::c_void;

const SOURCE: &str = r#"
    #include <metal_stdlib>
    using namespace metal;

    kernel void saxpy(device float *y [[buffer(0)]],
                      device const float *x [[buffer(1)]],
                      constant float &a [[buffer(2)]],
                      uint id [[thread_position_in_grid]]) {
        y[id] = a * x[id] + y[id];
    }
"#;

struct Setup {
    device: Gpu,
    queue: Queue,
    pipeline: Pipeline,
    x: Buffer,
    y: Buffer,
}

const COUNT: usize = 1024;

fn setup() -> Result<Setup, GpuError> {
    let device = Gpu::open()?;
    let lib: ShaderLib = device.compile(SOURCE)?;
    let func: Shader = lib.function("saxpy")?;
    let pipeline: Pipeline = device.pipeline(&func)?;
    let queue: Queue = device.new_command_queue()?;
    let x = device.buffer(COUNT * 4)?;
    let y = device.buffer(COUNT * 4)?;
    x.write_f32(|d| d.iter_mut().enumerate().for_each(|(i, v)| *v = i as f32));
    y.write_f32(|d| d.fill(1.0));
    Ok(Setup { device, queue, pipeline, x, y })
}

fn check(y: &Buffer, a: f32) {
    y.read_f32(|d| {
        for (i, v) in d.iter().enumerate() {
            assert_eq!(*v, a * i as f32 + 1.0);
        }
    });
}

#[test]
fn device_info() -> Result<(), GpuError> {
    let device: aruminium::Gpu = Gpu::open()?;
    let name: String = device.name();
    let unified: bool = device.has_unified_memory();
    let length: usize = device.max_buffer_length();
    let threads: MTLSize = device.max_threads_per_threadgroup();
    let budget: u64 = device.recommended_max_working_set_size();
    println!("{name} {unified} {length} {threads:?} {budget}");
    for dev in Gpu::all()? {
        assert!(!dev.name().is_empty());
        assert!(!dev.as_raw().is_nil());
    }
    Ok(())
}

#[test]
fn compile_and_dispatch() -> Result<(), GpuError> {
    let Setup { device: _device, queue, pipeline, x, y } = setup()?;
    let cmd: Commands = queue.commands()?;
    let enc: Encoder = cmd.encoder()?;
    enc.bind(&pipeline);
    enc.bind_buffer(&y, 0, 0);
    enc.bind_buffer(&x, 0, 1);
    let alpha: f32 = 2.0;
    enc.push(&alpha.to_ne_bytes(), 2);
    enc.launch((COUNT, 1, 1), (256, 1, 1));
    enc.finish();
    cmd.submit();
    cmd.wait();
    assert_eq!(cmd.status(), Commands::STATUS_COMPLETED);
    assert!(cmd.error().is_none());
    assert!(cmd.gpu_time() >= 0.0 && cmd.gpu_end_time() >= cmd.gpu_start_time());
    check(&y, 2.0);

    let max: usize = pipeline.max_total_threads_per_threadgroup();
    let simd: usize = pipeline.thread_execution_width();
    let memory: usize = pipeline.static_threadgroup_memory_length();
    assert!(max >= simd && memory == 0);
    Ok(())
}

#[test]
fn the_hot_loop() -> Result<(), GpuError> {
    let Setup { device: _device, queue, pipeline, x, y } = setup()?;
    let disp = Dispatch::new(&queue);
    let bytes = 1.0f32.to_ne_bytes();
    let buffers = [(&y, 0, 0), (&x, 0, 1)];
    unsafe {
        disp.dispatch_with_bytes(&pipeline, &buffers, &bytes, 2, (COUNT, 1, 1), (64, 1, 1))?;
    }
    let record = |batch: &Batch<'_>| {
        batch.bind(&pipeline);
        batch.bind_buffer(&y, 0, 0);
        batch.bind_buffer(&x, 0, 1);
        batch.push(&bytes, 2);
        batch.launch((COUNT, 1, 1), (64, 1, 1));
        batch.launch_groups((COUNT / 64, 1, 1), (64, 1, 1));
    };
    unsafe { disp.batch(record)? }
    autorelease_pool(|| unsafe { disp.batch_raw(record) })?;
    let mut prev: Option<GpuFuture> = None;
    for _ in 0..3 {
        let handle = unsafe { disp.batch_async(record) };
        if let Some(h) = prev {
            h.wait()?;
        }
        prev = Some(handle);
    }
    if let Some(h) = prev {
        h.wait()?;
    }
    check(&y, 11.0);
    Ok(())
}

#[test]
fn one_dispatch() -> Result<(), GpuError> {
    let device = Gpu::open()?;
    let queue = device.new_command_queue()?;
    let lib = device.compile(
        "kernel void one(device int *x, uint i [[thread_position_in_grid]]) { x[i] = 1; }",
    )?;
    let pipeline = device.pipeline(&lib.function("one")?)?;
    assert_eq!(lib.function_names(), vec!["one".to_string()]);
    let buf = device.buffer(64)?;
    let disp = Dispatch::new(&queue);
    unsafe { disp.dispatch(&pipeline, &[(&buf, 0, 0)], (16, 1, 1), (16, 1, 1))? }
    let ones: usize = buf.read(|bytes| bytes.iter().filter(|&&b| b == 1).count());
    assert_eq!(ones, 16);
    Ok(())
}

#[test]
fn unretained_command_buffers() -> Result<(), GpuError> {
    let Setup { device: _device, queue, pipeline, x, y } = setup()?;
    let encode = |enc: &Encoder| {
        enc.bind(&pipeline);
        enc.bind_buffer(&y, 0, 0);
        enc.bind_buffer(&x, 0, 1);
        enc.push(&1.0f32.to_ne_bytes(), 2);
        enc.launch_groups((COUNT / 64, 1, 1), (64, 1, 1));
        enc.finish();
    };
    autorelease_pool(|| -> Result<(), GpuError> {
        unsafe {
            let cmd = queue.commands_unretained()?;
            encode(&cmd.encoder_unretained()?);
            cmd.submit();
            cmd.wait();
            let cmd = queue.commands_fast()?;
            encode(&cmd.encoder_unchecked());
            cmd.submit();
            cmd.wait();
            let cmd = queue.commands_unchecked();
            encode(&cmd.encoder_autoreleased());
            cmd.submit();
            cmd.wait();
            let cmd = queue.commands_autoreleased();
            encode(&cmd.encoder_autoreleased());
            cmd.submit();
            cmd.wait();
        }
        Ok(())
    })?;
    check(&y, 4.0);
    Ok(())
}

#[test]
fn private_buffers_and_blits() -> Result<(), GpuError> {
    let device = Gpu::open()?;
    let queue = device.new_command_queue()?;
    let gpu_buf = device.buffer_private(256)?;
    assert!(!gpu_buf.is_shared());
    let staging = device.buffer_with_data(&[42u8; 256])?;
    let back = device.buffer(256)?;
    let cmd = queue.commands()?;
    let blit: Copier = cmd.copier()?;
    blit.copy(&staging, 0, &gpu_buf, 0, 256);
    blit.copy(&gpu_buf, 0, &back, 0, 256);
    blit.finish();
    cmd.submit();
    cmd.wait();
    assert!(back.read(|d| d.iter().all(|&b| b == 42)));
    let contents: *mut c_void = back.contents();
    assert!(!contents.is_null() && back.size() == 256 && back.is_shared());
    let first: u8 = back.write(|d| {
        d[0] = 1;
        d[0]
    });
    assert_eq!(first, 1);
    Ok(())
}

#[test]
fn wrapped_memory() -> Result<(), GpuError> {
    const PAGE: usize = 16384;
    #[repr(C, align(16384))]
    struct Page([u8; PAGE]);

    let device = Gpu::open()?;
    let mut page = Box::new(Page([7; PAGE]));
    let buf = unsafe { device.buffer_wrap((&raw mut page.0).cast::<c_void>(), PAGE)? };
    assert_eq!(buf.contents(), (&raw mut page.0).cast::<c_void>());
    assert!(buf.read(|d| d.iter().all(|&b| b == 7)));
    drop(buf);
    assert_eq!(page.0[0], 7);
    Ok(())
}

/// A sum over three blocks, read through the block.
#[cfg(feature = "memory")]
#[test]
fn blocks() -> Result<(), Box<dyn std::error::Error>> {
    use aruminium::{Block, Layout, MemError, Tape};
    let device = Gpu::open()?;
    let lib = device.compile(
        "kernel void add(device const float *a [[buffer(0)]], device const float *b [[buffer(1)]],
            device float *sum [[buffer(2)]], uint i [[thread_position_in_grid]]) { sum[i] = a[i] + b[i]; }",
    )?;
    let pipeline = device.pipeline(&lib.function("add")?)?;
    let queue = device.new_command_queue()?;
    let blocks: [Block; 3] =
        [Block::open(COUNT * 4)?, Block::open(COUNT * 4)?, Block::open(COUNT * 4)?];
    for (i, (x, y)) in
        blocks[0].as_f32_mut().iter_mut().zip(blocks[1].as_f32_mut().iter_mut()).enumerate()
    {
        (*x, *y) = (i as f32, 2.0 * i as f32);
    }
    let buffers: Vec<Buffer> =
        blocks.iter().map(|block| device.wrap(block)).collect::<Result<_, _>>()?;
    assert!(buffers[0].size() >= COUNT * 4 && !buffers[0].contents().is_null());
    let bound = [(&buffers[0], 0, 0), (&buffers[1], 0, 1), (&buffers[2], 0, 2)];
    unsafe { Dispatch::new(&queue).dispatch(&pipeline, &bound, (COUNT, 1, 1), (256, 1, 1))? };
    assert!(
        blocks[2].as_f32().iter().take(COUNT).enumerate().all(|(i, &sum)| sum == 3.0 * i as f32)
    );
    let tape: Tape = Tape::start(4096)?;
    let wrong: Result<Block, MemError> = Block::open(0);
    assert!(tape.take(64, 16).is_some() && wrong.is_err());
    assert!(std::mem::size_of::<Layout>() > 0);
    Ok(())
}

#[test]
fn sync_objects() -> Result<(), GpuError> {
    let device = Gpu::open()?;
    let fence: Fence = device.fence()?;
    let event: Event = device.event()?;
    let shared: SharedEvent = device.shared_event()?;
    assert_eq!(shared.signaled_value(), 0);
    for raw in [fence.as_raw(), event.as_raw(), shared.as_raw()] {
        assert!(!raw.is_nil());
    }
    Ok(())
}

#[test]
fn textures() -> Result<(), GpuError> {
    let device = Gpu::open()?;
    let descriptor = aruminium::TextureDescriptor::new_2d(aruminium::PixelFormat::RGBA8Unorm, 4, 2);
    let texture: Texture = unsafe { device.texture(descriptor.as_raw())? };
    assert_eq!((texture.width(), texture.height(), texture.depth()), (4, 2, 1));
    let format: usize = texture.pixel_format();
    assert_eq!(format, 70);
    let region = MTLRegion {
        origin: MTLOrigin { x: 0, y: 0, z: 0 },
        size: MTLSize { width: 4, height: 2, depth: 1 },
    };
    let (pixels, mut back) = ([9u8; 32], [0u8; 32]);
    unsafe {
        texture.replace_region(region, 0, pixels.as_ptr() as *const c_void, 16);
        texture.get_bytes(back.as_mut_ptr() as *mut c_void, 16, region, 0);
    }
    assert_eq!(pixels, back);
    Ok(())
}

#[test]
fn conversions() {
    use aruminium::{cast_f16_f32, cast_f32_f16, f32_to_fp16, fp16_to_f32};
    assert_eq!(fp16_to_f32(f32_to_fp16(1.5)), 1.5);
    let mut halves = vec![0u16; 3];
    cast_f32_f16(&mut halves, &[0.5, -1.0, 2.0]);
    let mut floats = vec![0f32; 3];
    cast_f16_f32(&mut floats, &halves);
    assert_eq!(floats, [0.5, -1.0, 2.0]);
}

#[test]
fn errors_are_matched() {
    let device = Gpu::open().unwrap();
    match device.compile("kernel void broken( {") {
        Ok(_) => panic!("compiled"),
        Err(GpuError::LibraryCompilationFailed(msg)) => assert!(msg.contains("error")),
        Err(e) => panic!("other error: {e}"),
    }
    let lib = device.compile(SOURCE).unwrap();
    assert!(matches!(lib.function("missing"), Err(GpuError::FunctionNotFound(_))));
    let io: GpuError = std::io::Error::other("disk").into();
    assert!(matches!(io, GpuError::Io(_)));
    let _: &dyn std::error::Error = &io;
}

/// The raw layer, which programs used for methods that the driver lacked.
#[test]
fn the_raw_layer() {
    use aruminium::ffi::*;
    let device: Gpu = Gpu::open().unwrap();
    let queue = device.new_command_queue().unwrap();
    let raw: ObjcId = device.as_raw();
    assert!(!raw.is_null() && ObjcId::default().is_null());
    unsafe {
        let pool = objc_autoreleasePoolPush();
        let name: ObjcId = msg0(raw, SEL_name());
        assert_eq!(nsstring_to_rust(name), Some(device.name()));
        assert_eq!(nsstring_to_rust(ObjcId::NIL), None);
        assert_eq!(msg0_bool(raw, SEL_hasUnifiedMemory()), device.has_unified_memory());
        assert_eq!(msg0_usize(raw, SEL_maxBufferLength()), device.max_buffer_length());
        let size: MTLSize = msg0_mtlsize(raw, SEL_maxThreadsPerThreadgroup());
        assert_eq!(size, device.max_threads_per_threadgroup());
        let budget: u64 = msg0_u64(raw, SEL_recommendedMaxWorkingSetSize());
        assert_eq!(budget, device.recommended_max_working_set_size());

        let source = nsstring("kernel void nine(device int *x, constant int &y) { x[0] = y; }");
        let mut error = ObjcId::NIL;
        let options = ObjcId::NIL;
        let sel: ObjcSel = SEL_newLibraryWithSource_options_error();
        let library = msg3(raw, sel, source, options, &raw mut error);
        assert!(!library.is_null() && nserror_string(error).is_none());
        let wrong = nsstring("kernel void nine(");
        assert!(msg3(raw, sel, wrong, options, &raw mut error).is_null());
        assert!(nserror_string(error).unwrap().contains("error"));
        let function_name = nsstring("nine");
        let function = msg1(library, SEL_newFunctionWithName(), function_name);
        let sel = SEL_newComputePipelineStateWithFunction_error();
        let pipeline = msg2(raw, sel, function, &raw mut error);
        let sel = SEL_newBufferWithLength_options();
        let buffer = msg2(raw, sel, 16usize, MTLResourceStorageModeShared);

        let commands = msg0_retained(queue.as_raw(), SEL_commandBuffer());
        let encoder = msg0_retained(commands, SEL_computeCommandEncoder());
        msg1_void(encoder, SEL_setComputePipelineState(), pipeline);
        msg3_void(encoder, SEL_setBuffer_offset_atIndex(), buffer, 4, 0);
        let nine = 9i32.to_ne_bytes();
        msg_bytes_void(encoder, SEL_setBytes_length_atIndex(), nine.as_ptr().cast(), 4, 1);
        let one = MTLSize { width: 1, height: 1, depth: 1 };
        msg_dispatch_void(encoder, SEL_dispatchThreads(), one, one);
        msg0_void(encoder, SEL_endEncoding());
        msg0_void(commands, SEL_commit());
        msg0_void(commands, SEL_waitUntilCompleted());
        let status: NSUInteger = msg0_usize(commands, SEL_status());
        assert_eq!(status as u64, Commands::STATUS_COMPLETED);
        let contents: *mut c_void = msg0_ptr(buffer, SEL_contents());
        assert_eq!(contents.cast::<i32>().add(1).read(), 9);

        let class: ObjcClass = objc_getClass(c"NSObject".as_ptr());
        assert_eq!(
            object_getClass(class as ObjcId),
            object_getClass(object_getClass(class as ObjcId) as ObjcId)
        );
        let described = msg0(class as ObjcId, sel_registerName(c"description".as_ptr()));
        assert_eq!(nsstring_to_rust(described).as_deref(), Some("NSObject"));
        assert!(class_getMethodImplementation(class, sel_registerName(c"hash".as_ptr())).is_some());
        release(retain(buffer));
        release_nonnull(retain_nonnull(buffer));
        let owned = [source, wrong, function_name, library, function, pipeline, buffer];
        owned.into_iter().chain([encoder, commands]).for_each(|object| objc_release(object));
        objc_autoreleasePoolPop(pool);
    }
}

/// The paths of items.
#[test]
fn paths() {
    use aruminium::dispatch::Batch as BatchOfDispatch;
    use aruminium::ffi;
    let same: fn(&BatchOfDispatch<'_>) = |batch: &aruminium::Batch<'_>| _ = batch.as_raw();
    let _ = same;
    let size: ffi::MTLSize = MTLSize::from((1, 2, 3));
    let origin: ffi::MTLOrigin = MTLOrigin { x: 0, y: 0, z: 0 };
    let region: MTLRegion = ffi::MTLRegion { origin, size };
    assert_eq!(region.size.height, 2);
    let formats = [
        ffi::MTLPixelFormatRGBA8Unorm,
        ffi::MTLPixelFormatBGRA8Unorm,
        ffi::MTLPixelFormatR32Float,
        ffi::MTLPixelFormatRGBA32Float,
    ];
    assert_eq!(formats, [70, 80, 55, 125]);
    let modes = [ffi::MTLResourceStorageModeManaged, ffi::MTLResourceStorageModePrivate];
    assert_eq!(modes, [0x10, 0x20]);
}
