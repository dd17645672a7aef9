//! The device: its properties, and the objects that it creates.

#[cfg(not(target_vendor = "apple"))]
mod child;
mod gpu;

use aruminium::{
    Capture, CaptureDestination, CounterSamplingPoint, Gpu, GpuError, GpuFamily, HazardTracking,
    HeapDescriptor, HeapType, PixelFormat, PurgeableState, ResidencySetDescriptor, ResourceOptions,
    StorageMode, TextureDescriptor,
};
use gpu::Rig;

#[test]
fn the_default_device_is_one_of_all() {
    let gpu = Gpu::open().unwrap();
    let all = Gpu::all().unwrap();
    assert!(all.iter().any(|other| other.registry_id() == gpu.registry_id()));
    assert!(all.iter().all(|other| !other.name().is_empty()));
    assert_eq!(gpu.name(), Gpu::open().unwrap().name());
    assert!(!gpu.architecture().is_empty());
}

#[test]
fn memory_is_unified_where_cpu_and_gpu_are_one() {
    let unified = Gpu::open().unwrap().has_unified_memory();
    assert!(unified || cfg!(all(target_vendor = "apple", target_arch = "x86_64")));
}

#[test]
fn the_longest_buffer_can_be_made() {
    let gpu = Gpu::open().unwrap();
    let longest = gpu.max_buffer_length();
    assert!(longest >= 1 << 28, "{longest}");
    let Err(GpuError::BufferCreationFailed(why)) = gpu.buffer(longest + 1) else {
        panic!("a buffer longer than the longest");
    };
    assert!(why.contains(&longest.to_string()), "{why}");
}

#[test]
fn the_working_set_has_a_plausible_size() {
    let bytes = Gpu::open().unwrap().recommended_max_working_set_size();
    assert!((1 << 26..1 << 50).contains(&bytes), "{bytes}");
}

#[test]
fn threadgroups_have_a_largest_size() {
    let rig = Rig::new();
    let most = rig.gpu.max_threads_per_threadgroup();
    assert!(most.width >= 512 && most.height >= 512 && most.depth >= 1, "{most:?}");
    assert!(rig.gpu.max_threadgroup_memory_length() >= 16 << 10);
    let pipeline = rig.kernel("kernel void nothing(device int *x) { x[0] = 7; }");
    assert!(pipeline.max_total_threads_per_threadgroup() <= most.width);
    // A group of that size runs.
    let buffer = rig.gpu.buffer(4).unwrap();
    let group = (pipeline.max_total_threads_per_threadgroup(), 1, 1);
    rig.run(|encoder| {
        encoder.bind(&pipeline);
        encoder.bind_buffer(&buffer, 0, 0);
        encoder.launch_groups((1, 1, 1), group);
    })
    .unwrap();
    assert_eq!(buffer.read_as(|x: &[i32]| x[0]), 7);
}

#[test]
fn allocated_buffers_are_counted() {
    const LARGE: usize = 256 << 20;
    let gpu = Gpu::open().unwrap();
    let before = gpu.current_allocated_size();
    let buffer = gpu.buffer(LARGE).unwrap();
    let with = gpu.current_allocated_size();
    assert!(with >= before + LARGE / 2, "{before} {with}");
    drop(buffer);
    assert!(gpu.current_allocated_size() <= with - LARGE / 2);
}

#[test]
fn families_are_supported_or_not() {
    let gpu = Gpu::open().unwrap();
    assert!(gpu.supports_family(GpuFamily::Common1));
    assert!(gpu.supports_family(GpuFamily::Apple7) && gpu.supports_family(GpuFamily::Mac2));
    assert!(!gpu.supports_family(GpuFamily(9_999)));
    let points = [
        CounterSamplingPoint::AtStageBoundary,
        CounterSamplingPoint::AtDrawBoundary,
        CounterSamplingPoint::AtDispatchBoundary,
        CounterSamplingPoint::AtTileDispatchBoundary,
        CounterSamplingPoint::AtBlitBoundary,
        CounterSamplingPoint(99),
    ];
    let sampled = points.map(|point| gpu.supports_counter_sampling(point));
    assert!(sampled[0] && !sampled[5]);
    // Soft Metal has encoders for dispatches and copies.
    #[cfg(not(target_vendor = "apple"))]
    assert_eq!(sampled, [true, false, true, false, true, false]);
}

#[test]
fn the_kind_of_device_is_reported() {
    let gpu = Gpu::open().unwrap();
    // A removable device is never the one that shares the CPU's memory.
    assert!(!(gpu.is_removable() && gpu.has_unified_memory()));
    assert!(!(gpu.is_low_power() && gpu.is_removable()));
    assert!(!gpu.is_removable() || !gpu.is_headless() || Gpu::all().unwrap().len() > 1);
    assert!(gpu.registry_id() != 0 && gpu.registry_id() == Gpu::open().unwrap().registry_id());
    // The embedded devices have no display.
    if cfg!(not(target_vendor = "apple")) {
        assert!(gpu.is_headless() && !gpu.is_low_power() && !gpu.is_removable());
    }
}

#[test]
fn queues_are_separate_objects() {
    let gpu = Gpu::open().unwrap();
    let (a, b) =
        (gpu.new_command_queue().unwrap(), gpu.new_command_queue_with_capacity(4).unwrap());
    a.set_label("first");
    assert_eq!(a.label().as_deref(), Some("first"));
    assert_eq!(b.label(), None);
    // A queue with a small capacity runs more command buffers than that, one after another.
    for _ in 0..16 {
        let commands = b.commands().unwrap();
        commands.submit();
        commands.finish().unwrap();
    }
}

#[test]
fn heaps_hold_resources() {
    let rig = Rig::new();
    let descriptor = HeapDescriptor::new();
    descriptor.set_size(1 << 20);
    descriptor.set_storage_mode(StorageMode::Shared);
    assert_eq!(descriptor.size(), 1 << 20);
    let Ok(heap) = rig.gpu.heap(&descriptor) else {
        // Macs whose memory is not unified have private heaps only.
        assert!(!rig.gpu.has_unified_memory());
        return;
    };
    assert!(heap.size() >= 1 << 20 && heap.current_allocated_size() >= 1 << 20);
    assert_eq!((heap.storage_mode(), heap.used_size()), (StorageMode::Shared, 0));
    let room = heap.max_available_size(256);
    let buffer = heap.buffer(1 << 16, ResourceOptions::STORAGE_SHARED).unwrap();
    assert!(heap.used_size() >= 1 << 16 && heap.max_available_size(256) < room);
    assert!(heap.buffer(2 << 20, ResourceOptions::STORAGE_SHARED).is_err());
    assert_eq!(heap.set_purgeable_state(PurgeableState::KeepCurrent), PurgeableState::NonVolatile);
    assert_eq!(heap.set_purgeable_state(PurgeableState::Volatile), PurgeableState::NonVolatile);
    assert_eq!(heap.set_purgeable_state(PurgeableState::NonVolatile), PurgeableState::Volatile);
    heap.set_label("weights");
    assert_eq!(heap.label().as_deref(), Some("weights"));

    let pipeline = rig.kernel(
        "kernel void count(device uint *x, uint i [[thread_position_in_grid]]) { x[i] = i; }",
    );
    rig.run(|encoder| {
        encoder.use_heap(&heap);
        encoder.bind(&pipeline);
        encoder.bind_buffer(&buffer, 0, 0);
        encoder.launch((64, 1, 1), (32, 1, 1));
    })
    .unwrap();
    assert!(buffer.read_as(|x: &[u32]| x[..64].iter().copied().eq(0..64)));

    let rest = heap.max_available_size(256);
    let filler = heap.buffer(rest, ResourceOptions::STORAGE_SHARED).unwrap();
    assert!(heap.buffer(rest, ResourceOptions::STORAGE_SHARED).is_err());
    // SAFETY: nothing accesses it any more.
    unsafe { filler.make_aliasable() };
    let aliased = heap.buffer(rest, ResourceOptions::STORAGE_SHARED).unwrap();
    assert_eq!(aliased.contents(), filler.contents());
}

#[test]
fn placement_heaps_use_the_given_offsets() {
    let gpu = Gpu::open().unwrap();
    let descriptor = HeapDescriptor::new();
    descriptor.set_size(1 << 20);
    descriptor.set_storage_mode(StorageMode::Private);
    descriptor.set_hazard_tracking(HazardTracking::Untracked);
    descriptor.set_type(HeapType::Placement);
    let heap = gpu.heap(&descriptor).unwrap();
    let options = ResourceOptions::STORAGE_PRIVATE;
    // SAFETY: they share no bytes, and the CPU sees neither.
    let (first, second) = unsafe {
        (heap.buffer_at(4096, options, 0).unwrap(), heap.buffer_at(4096, options, 1 << 16).unwrap())
    };
    assert_eq!(second.gpu_address() - first.gpu_address(), 1 << 16);
    // SAFETY: the offset is past the heap, so no buffer is made.
    assert!(unsafe { heap.buffer_at(4096, options, 1 << 20) }.is_err());
    // SAFETY: as above.
    unsafe { first.make_aliasable() };

    let automatic = HeapDescriptor::default();
    automatic.set_size(1 << 20);
    automatic.set_storage_mode(StorageMode::Private);
    let heap = gpu.heap(&automatic).unwrap();
    let pixels = TextureDescriptor::new_2d(PixelFormat::RGBA8Unorm, 64, 64);
    pixels.set_storage_mode(StorageMode::Private);
    let texture = heap.texture(&pixels).unwrap();
    assert_eq!((texture.width(), texture.storage_mode()), (64, StorageMode::Private));
    assert!(heap.used_size() >= 64 * 64 * 4);
}

#[test]
fn residency_sets_list_their_members() {
    let rig = Rig::new();
    let descriptor = ResidencySetDescriptor::new();
    descriptor.set_initial_capacity(4);
    descriptor.set_label("resident");
    let set = match rig.gpu.residency_set(&descriptor) {
        // Systems before macOS 15 have no residency sets, and return an error.
        Err(_) if cfg!(target_vendor = "apple") => return,
        made => made.unwrap(),
    };
    let (a, b) = (rig.gpu.buffer(4096).unwrap(), rig.gpu.buffer(4096).unwrap());
    set.add(&a);
    set.commit();
    assert!(set.contains(&a) && !set.contains(&b) && set.len() == 1);
    assert!(set.allocated_size() >= 4096);
    set.request_residency();
    rig.queue.add_residency_set(&set);
    rig.run(|_| ()).unwrap();
    rig.queue.remove_residency_set(&set);
    set.end_residency();
    set.remove(&a);
    set.commit();
    assert!(set.is_empty());
    set.add(&b);
    set.commit();
    set.clear();
    set.commit();
    assert!(!set.contains(&b));
    assert_eq!(set.label().as_deref(), Some("resident"));
}

#[test]
fn a_capture_starts_or_returns_the_reason() {
    let rig = Rig::new();
    let capture = Capture::shared();
    assert!(!capture.is_capturing());
    let possible = capture.supports(CaptureDestination::GPUTraceDocument);
    let file = std::env::temp_dir().join(format!("aruminium-{}.gputrace", std::process::id()));
    let starts: [&dyn Fn() -> Result<(), GpuError>; 2] =
        [&|| capture.start_device(&rig.gpu, &file), &|| capture.start_queue(&rig.queue, &file)];
    for start in starts {
        match start() {
            Ok(()) => {
                assert!(possible && capture.is_capturing());
                capture.stop();
                // Apple's capture is a folder.
                std::fs::remove_file(&file).or_else(|_| std::fs::remove_dir_all(&file)).unwrap();
            }
            // Captures on a Mac must be enabled with an environment variable.
            Err(GpuError::CaptureFailed(why)) => assert!(!possible && !why.is_empty(), "{why}"),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(!capture.is_capturing());
}

#[test]
#[cfg(not(target_vendor = "apple"))]
fn a_hidden_device_is_not_found() {
    let name = "a_hidden_device_is_not_found";
    let output = child::in_child(name, &[("ARUMINIUM_SOFT_DEVICE", "none")], || {
        assert!(matches!(Gpu::open(), Err(GpuError::DeviceNotFound)));
        assert!(Gpu::all().is_ok_and(|all| all.is_empty()));
    });
    assert!(output.is_none_or(|output| output.status.success()));
}

/// Whether CUDA's driver is loaded in this process.
#[cfg(target_os = "linux")]
fn has_cuda() -> bool {
    std::fs::read_to_string("/proc/self/maps").unwrap().contains("libcuda.so")
}

/// The text that a child printed, which has to have passed.
#[cfg(target_os = "linux")]
fn passed(output: std::process::Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

#[test]
#[cfg(target_os = "linux")]
fn the_default_device_needs_no_driver_of_another() {
    let name = "the_default_device_needs_no_driver_of_another";
    let output = child::in_child(name, &[("ARUMINIUM_SOFT_DEVICE", "cpu")], || {
        let rig = Rig::new();
        let pipeline = rig.kernel("kernel void nothing(device int *x) { x[0] = 7; }");
        let buffer = rig.gpu.buffer(4).unwrap();
        rig.run(|encoder| {
            encoder.bind(&pipeline);
            encoder.bind_buffer(&buffer, 0, 0);
            encoder.launch((1, 1, 1), (1, 1, 1));
        })
        .unwrap();
        assert!(!has_cuda());
        let all = Gpu::all().unwrap();
        assert_eq!(all[0].registry_id(), rig.gpu.registry_id());
        assert!(has_cuda() || all.len() == 1);
    });
    output.map(passed);
}

#[test]
#[cfg(target_os = "linux")]
fn a_gpu_that_is_not_there_is_reported_with_the_reason() {
    let name = "a_gpu_that_is_not_there_is_reported_with_the_reason";
    if !child::is_child() && Gpu::all().unwrap().len() > 8 {
        return;
    }
    let output = child::in_child(name, &[("ARUMINIUM_SOFT_DEVICE", "cuda:7")], || {
        assert!(matches!(Gpu::open(), Err(GpuError::DeviceNotFound)));
        assert!(Gpu::all().is_ok_and(|all| all.is_empty()));
    });
    if let Some(text) = output.map(passed) {
        assert!(text.contains("ARUMINIUM_SOFT_DEVICE=cuda:7: CUDA's driver"), "{text}");
    }
}

#[test]
#[cfg(not(target_vendor = "apple"))]
fn all_devices_compute_side_by_side_each_with_its_own_objects() {
    const FILL: &str =
        "kernel void fill(device uint *out [[buffer(0)]], constant uint &value [[buffer(1)]],
        uint i [[thread_position_in_grid]]) { out[i] = value + i; }";
    let all = Gpu::all().unwrap();
    let rigs: Vec<Rig> =
        all.into_iter().map(|gpu| Rig { queue: gpu.new_command_queue().unwrap(), gpu }).collect();
    let fill =
        |rig: &Rig, buffer: &aruminium::Buffer, pipeline: &aruminium::Pipeline, value: u32| {
            rig.run(|encoder| {
                encoder.bind(pipeline);
                encoder.bind_buffer(buffer, 0, 0);
                encoder.push(&value.to_ne_bytes(), 1);
                encoder.launch((1 << 16, 1, 1), (256, 1, 1));
            })
        };
    std::thread::scope(|scope| {
        for rig in &rigs {
            scope.spawn(|| {
                let pipeline = rig.kernel(FILL);
                let buffer = rig.gpu.buffer(4 << 16).unwrap();
                for value in 0..20 {
                    fill(rig, &buffer, &pipeline, value).unwrap();
                    let right = |(i, x): (usize, &u32)| *x == value + i as u32;
                    assert!(buffer.read_as(|x: &[u32]| x.iter().enumerate().all(right)));
                }
            });
        }
    });
    for pair in rigs.windows(2) {
        let [one, other] = pair else { unreachable!("pairs") };
        assert_ne!(one.gpu.registry_id(), other.gpu.registry_id());
        let foreign = other.gpu.buffer(4 << 16).unwrap();
        let Err(GpuError::CommandBufferError(why)) = fill(one, &foreign, &one.kernel(FILL), 1)
        else {
            panic!("a buffer of another device");
        };
        assert!(why.contains(&one.gpu.name()) && why.contains(&other.gpu.name()), "{why}");
        assert!(foreign.read_as(|x: &[u32]| x.iter().all(|x| *x == 0)));
    }
}

/// A feature that older GPUs and compilers lack is an error on request: a test that passes here should pass on them.
#[test]
#[cfg(not(target_vendor = "apple"))]
fn a_kernel_may_be_checked_for_an_older_gpu_and_compiler() {
    const SUMS: &str = "
        kernel void sums(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            out[i] = metal::simd_sum(out[i]);
        }
        kernel void shuffles(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            out[i] = metal::simd_shuffle_xor(out[i], 1);
        }";
    let variables = [("ARUMINIUM_SOFT_FAMILY", "apple6"), ("ARUMINIUM_SOFT_MSL", "3.0")];
    let test = "a_kernel_may_be_checked_for_an_older_gpu_and_compiler";
    let output = child::in_child(test, &variables, || {
        let gpu = Gpu::open().unwrap();
        assert!(gpu.supports_family(GpuFamily::Apple6) && !gpu.supports_family(GpuFamily::Apple7));
        assert!(!gpu.supports_family(GpuFamily::Mac2));
        let library = gpu.compile(SUMS).unwrap();
        library.function("shuffles").unwrap();
        let error = library.function("sums").unwrap_err().to_string();
        assert!(error.contains("3:42: error: kernel 'sums' uses 'simd_sum'"), "{error}");
        assert!(error.contains("GPUs before the family Apple 7 lack"), "{error}");
        let error = gpu.compile("constant bfloat b = 0;").unwrap_err().to_string();
        assert!(
            error.contains("'bfloat' needs Metal 3.1, and this source is compiled as Metal 3.0"),
            "{error}"
        );
        let version =
            "static_assert(__METAL_VERSION__ == 300, \"the newest that the compiler knows\");";
        gpu.compile(version).unwrap();
    });
    if let Some(output) = output {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
