//! Memory: what launches copy back, where memory is, copies and fills.

use super::super::super::memory::Memory;
use super::{bound, compiled, device_text, gpu, launch, launch_of, texture, wanted};
use crate::soft::kernel::{
    Binding, DeviceMemory, Fault, FaultKind, Launch, Owner, Resident, Source, Submitted, Transfer,
};
use crate::soft::stream::format::Format;
use std::time::Duration;

#[test]
fn a_kernel_that_uses_only_a_null_texture_has_a_table_of_textures() {
    let null = "using namespace metal; constant bool has [[function_constant(0)]];
        constant bool bound = is_function_constant_defined(has) && has;
        kernel void k(texture2d<float> t [[texture(0), function_constant(bound)]], device uint *x [[buffer(0)]])";
    for (body, uses) in [
        ("x[0] = is_null_texture(t) ? 1 : 2;", true),
        ("x[0] = uint(t.read(uint2(0)).x);", true),
        ("x[0] = 1;", false),
    ] {
        let kernel = compiled(&gpu(), &format!("{null} {{ {body} }}"));
        launch(&*kernel).expect("no fault");
        assert_eq!(wanted(|wanted| wanted.textures) != 0, uses, "{body}");
    }
}

/// Launches a kernel, and returns what was copied from the device.
fn copied(source: &str, launch: &Launch<'_>) -> Vec<(usize, usize)> {
    let kernel = compiled(&gpu(), source);
    wanted(|wanted| wanted.copied.clear());
    // SAFETY: what tests bind outlives the launch.
    unsafe { kernel.launch(launch) }.expect("no fault");
    wanted(|wanted| std::mem::take(&mut wanted.copied))
}

#[test]
fn only_bound_memory_that_the_kernel_may_write_is_copied_back() {
    // One follows the other.
    let mut words = [0u32; 8];
    let (x, y) = words.split_at_mut(4);
    let want = vec![(x.as_ptr().addr(), 16)];
    let bindings = [bound(x), bound(y)];
    let source = "kernel void k(device uint *x [[buffer(0)]], constant uint *y [[buffer(1)]]) { x[0] = y[0]; }";
    assert_eq!(copied(source, &launch_of(&bindings)), want);
}

#[test]
fn only_textures_that_the_kernel_may_write_are_copied_back() {
    let format = Format::of(53).expect("words");
    let (mut from, mut to) = ([0u32; 16], [0u32; 16]);
    let textures = [&mut from, &mut to].map(|words| texture(format, words));
    let bindings = textures.map(Binding::Texture);
    let source = "using namespace metal; kernel void k(texture2d<uint> a [[texture(0)]],
        texture2d<uint, access::write> b [[texture(1)]]) { b.write(a.read(uint2(0)), uint2(0)); }";
    assert_eq!(copied(source, &launch_of(&bindings)), [(to.as_ptr().addr(), 64)]);
}

struct Nameless;

impl Owner for Nameless {
    fn name(&self) -> String {
        String::new()
    }
}

#[test]
fn residents_are_copied_back_only_if_the_kernel_writes_through_a_pointer_from_memory() {
    let (mut own, mut far, mut out) = ([1u32, 0, 0, 0], [0u32; 4], [0u32; 4]);
    let resident = Resident {
        address: 1 << 32,
        base: far.as_mut_ptr().cast(),
        bytes: 16,
        writable: true,
        owner: &Nameless,
    };
    let at = far.as_ptr().addr();
    let bindings = [bound(&mut own), bound(&mut out)];
    let launch = Launch { residents: &[resident], ..launch_of(&bindings) };
    for (body, writes) in [
        ("out[0] = a.p[0];", false),
        ("for (device uint *p = a.p; *p == 1; p++) out[0] += *p;", false),
        ("a.p[0] = 1;", true),
        ("device uint *p = out[0] ? a.p : out; p[1] = 2;", true),
        ("atomic_store_explicit((device atomic_uint *)a.p, 1, memory_order_relaxed);", true),
        (
            "atomic_load_explicit((device atomic_uint *)a.p, memory_order_relaxed); out[0] = a.p[1];",
            false,
        ),
    ] {
        let source = format!(
            "using namespace metal; struct A {{ device uint *p; }};
            kernel void k(constant A &a [[buffer(0)]], device uint *out [[buffer(1)]]) {{ {body} }}"
        );
        let back = copied(&source, &launch);
        let has = back.iter().any(|&(start, bytes)| (start..start + bytes).contains(&at));
        assert_eq!(has, writes, "{body}");
    }
}

/// How often an entry point was called since this was last asked.
fn count(name: &str) -> usize {
    wanted(|wanted| {
        let count = wanted.calls.iter().filter(|call| **call == name).count();
        wanted.calls.clear();
        count
    })
}

#[test]
fn short_private_memory_is_the_devices_unless_it_is_a_page() {
    let gpu = gpu();
    for (bytes, private, managed) in
        [(32 << 10, true, 1), (32 << 10, false, 0), (4096, true, 0), (100_000, false, 1)]
    {
        count("");
        let memory = Memory::new(&gpu.device, bytes, private).unwrap();
        assert_eq!(count("cuMemAllocManaged"), managed, "{bytes} {private}");
        drop(memory);
    }
}

#[test]
fn copies_and_fills_of_a_devices_memory_are_in_the_order_of_its_stream() {
    let gpu = gpu();
    let [a, b] = [false, true].map(|private| Memory::new(&gpu.device, 100_000, private).unwrap());
    let bytes = |memory: &Memory, at: usize| {
        // SAFETY: the double's memory is the host's.
        unsafe { *memory.base().as_ptr().add(at) }
    };
    let fill = Transfer { source: Source::Fill(7), to: a.base().as_ptr(), bytes: 99_999 };
    let at = |memory: &Memory, at: usize| memory.base().as_ptr().wrapping_add(at);
    let copy = Transfer { source: Source::Copy(at(&a, 1)), to: at(&b, 1), bytes: 70_000 };
    count("");
    // SAFETY: both ends outlive the transfers.
    unsafe {
        assert_eq!(a.transfer(&fill), Some(Ok(Submitted::Running)));
        assert_eq!(b.transfer(&copy), Some(Ok(Submitted::Running)));
    }
    assert!(!wanted(|wanted| wanted.calls.contains(&"cuStreamSynchronize")));
    // A fill of units and one of the bytes after them; a copy has bytes before its units, too.
    assert_eq!(count("cuLaunchKernel"), 5);
    wanted(|wanted| wanted.slow = true);
    assert_eq!(b.finish(), Ok(Some(Duration::from_nanos(250))));
    assert_eq!(b.finish(), Ok(None));
    let found =
        [bytes(&a, 99_998), bytes(&a, 99_999), bytes(&b, 0), bytes(&b, 1), bytes(&b, 70_000)];
    assert_eq!(found, [7, 0, 0, 7, 7]);
    assert_eq!(bytes(&b, 70_001), 0);
}

#[test]
fn the_host_does_transfers_that_overlap_or_that_a_device_has_no_part_in() {
    let gpu = gpu();
    let [long, short] = [100_000, 100].map(|bytes| Memory::new(&gpu.device, bytes, false).unwrap());
    let mut own = [0u8; 64];
    let from = |memory: &Memory| Source::Copy(memory.base().as_ptr());
    let to = long.base().as_ptr();
    let refused = |transfer: Transfer| {
        // SAFETY: both ends outlive the transfer.
        let submitted = unsafe { long.transfer(&transfer) };
        long.finish().expect("no fault");
        submitted.is_none()
    };
    let overlapping = Transfer { source: from(&long), to: to.wrapping_add(16), bytes: 32 };
    assert!(refused(overlapping));
    assert!(!refused(Transfer { bytes: 16, ..overlapping }));
    assert!(refused(Transfer { source: Source::Copy(own.as_ptr()), to, bytes: 64 }));
    assert!(refused(Transfer { source: from(&long), to: own.as_mut_ptr(), bytes: 64 }));
    // Short memory stays with the host, which need not wait if nothing runs.
    let short_fill = Transfer { source: Source::Fill(1), to: short.base().as_ptr(), bytes: 10 };
    assert!(refused(short_fill));
    let fill = Transfer { source: Source::Fill(1), to, bytes: 10 };
    // SAFETY: as above.
    unsafe {
        assert_eq!(long.transfer(&fill), Some(Ok(Submitted::Running)));
        assert_eq!(long.transfer(&short_fill), Some(Ok(Submitted::Running)));
    }
    long.finish().expect("no fault");
}

#[test]
fn an_error_of_a_transfer_is_a_fault_with_the_drivers_text() {
    let gpu = gpu();
    let memory = Memory::new(&gpu.device, 100_000, false).expect("memory");
    let fill = Transfer { source: Source::Fill(1), to: memory.base().as_ptr(), bytes: 100 };
    for name in ["cuModuleLoadDataEx", "cuModuleGetFunction", "cuLaunchKernel"] {
        wanted(|wanted| wanted.failing = Some((name, 2)));
        // SAFETY: the memory outlives the transfer.
        let result = unsafe { memory.transfer(&fill) }.expect("the device does it");
        wanted(|wanted| wanted.failing = None);
        let text = device_text(result.map(|_| ()));
        assert_eq!(text, format!("CUDA's {name} failed: out of memory (error 2)"));
    }
    // SAFETY: as above.
    assert_eq!(unsafe { memory.transfer(&fill) }, Some(Ok(Submitted::Running)));
    wanted(|wanted| wanted.failing = Some(("cuStreamQuery", 2)));
    let failed = memory.finish();
    wanted(|wanted| wanted.failing = None);
    assert!(matches!(failed, Err((0, Fault { kind: FaultKind::Device { .. }, .. }))), "{failed:?}");
    // Short work has no time that the device measured.
    // SAFETY: as above.
    assert_eq!(unsafe { memory.transfer(&fill) }, Some(Ok(Submitted::Running)));
    assert_eq!(memory.finish(), Ok(None));
}
