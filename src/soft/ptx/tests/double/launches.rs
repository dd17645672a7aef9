//! Launches: errors of the driver, faults, kernels that do not end, and what commands carry.

use super::super::super::emit::{self, SiteKind};
use super::super::super::memory::Memory;
use super::super::super::prepare;
use super::{
    ILLEGAL_ADDRESS, LOOP, STORE, Wanted, bound, compiled, device_text, gpu, launch, launch_of,
    module, texture, wanted,
};
use crate::soft::ir::Checks;
use crate::soft::kernel::{
    Backend, Binding, CompileError, CompileOptions, DeviceMemory, Executable, FaultKind, Launch,
    Submitted,
};
use crate::soft::stream::format::Format;
use std::time::Duration;

#[test]
fn an_error_of_each_entry_point_is_a_fault_of_the_launch_and_the_next_one_works() {
    let calls = {
        let kernel = compiled(&gpu(), STORE);
        launch(&*kernel).expect("no fault");
        wanted(|wanted| std::mem::take(&mut wanted.calls))
    };
    let mut names: Vec<&str> = calls.clone();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() >= 8, "{names:?}");
    for name in names {
        let kernel = compiled(&gpu(), STORE);
        wanted(|wanted| wanted.failing = Some((name, 2)));
        let result = launch(&*kernel);
        wanted(|wanted| wanted.failing = None);
        let text = device_text(result);
        assert_eq!(text, format!("CUDA's {name} failed: out of memory (error 2)"));
        launch(&*kernel).unwrap_or_else(|fault| panic!("after {name}: {fault}"));
    }
}

#[test]
fn after_a_lost_context_every_launch_is_an_error_with_the_drivers_text() {
    let gpu = gpu();
    let kernel = compiled(&gpu, STORE);
    launch(&*kernel).expect("no fault");
    wanted(|wanted| wanted.failing = Some(("cuStreamSynchronize", ILLEGAL_ADDRESS)));
    let first = device_text(launch(&*kernel));
    assert!(first.contains("an illegal memory access was encountered (error 700)"), "{first}");
    for _ in 0..3 {
        let text = device_text(launch(&*kernel));
        assert!(text.contains("error 700"), "{text}");
    }
    assert!(Memory::new(&gpu.device, 100, false).is_err());
    drop(kernel);
    wanted(|wanted| *wanted = Wanted::default());
}

#[test]
fn a_fault_record_is_reported_and_the_next_launch_has_none() {
    let gpu = gpu();
    let kernel = compiled(&gpu, STORE);
    wanted(|wanted| wanted.fault = Some((0, 16, [3, 0, 0])));
    let fault = launch(&*kernel).expect_err("a fault");
    assert_eq!((fault.kernel.as_str(), fault.position), ("k", Some([3, 0, 0])));
    let FaultKind::Access { argument, offset, bytes, write, size, constant } = fault.kind else {
        panic!("{fault}")
    };
    assert_eq!((argument.as_deref(), offset, bytes, size), (Some("x"), 16, 4, 16));
    assert!(write && !constant);
    launch(&*kernel).expect("no fault");
    // A site that the code does not have is an error, too, and no panic.
    wanted(|wanted| wanted.fault = Some((99, 0, [0; 3])));
    assert!(device_text(launch(&*kernel)).contains("no known site"));
}

#[test]
fn a_fault_in_joined_loads_names_the_first_of_the_program() {
    let source = "kernel void k(device uint *x [[buffer(0)]], device const uint *y [[buffer(1)]],
        uint i [[thread_position_in_grid]]) {
        device const uint *row = y + 4 * i;
        x[i] = row[2] + row[3] + row[0] + row[1];
    }";
    let joined = prepare(&module(source)).expect("code").to_string();
    assert!(joined.contains("load.joined"), "{joined}");
    let gpu = gpu();
    let kernel = compiled(&gpu, source);
    let (mut sums, mut rows) = ([0u32; 4], [0u32; 14]);
    let bindings = [bound(&mut sums), bound(&mut rows)];
    // The last row, of which two numbers are missing; of null all are.
    for (start, offset) in [(48u64, 56), (52, 60), (56, 64), (0u64.wrapping_sub(4), -4)] {
        wanted(|wanted| wanted.fault = Some((0, start, [3, 0, 0])));
        // SAFETY: the arrays outlive the launch.
        let fault = unsafe { kernel.launch(&launch_of(&bindings)) }.expect_err("a fault");
        let FaultKind::Access { argument, offset: found, bytes, write, .. } = fault.kind else {
            panic!("{fault}")
        };
        let found = (argument.as_deref(), found, bytes, write);
        assert_eq!(found, (Some("y"), offset, 4, false), "{start}");
    }
}

#[test]
fn a_launch_is_not_stopped_because_one_before_it_ended_as_it_was_stopped() {
    let gpu = gpu();
    let first = compiled(&gpu, STORE);
    let source = "using namespace metal; kernel void k(device uint *x [[buffer(0)]],
        texture2d<float> t [[texture(0)]]) { x[0] = uint(t.read(uint2(0)).x); }";
    let second = compiled(&gpu, source);
    let memory = Memory::new(&gpu.device, 64, false).expect("memory");
    let base = memory.base().as_ptr();
    let buffer = Binding::Memory { base, bytes: 16, address: 0 };
    // A compressed texture is decoded after the launches before.
    let format = Format::of(130).expect("a compressed format");
    let mut pixels = [0; 16];
    let bindings = [buffer, Binding::Texture(texture(format, &mut pixels))];
    wanted(|wanted| (wanted.endless, wanted.ends) = (Some(0), true));
    // SAFETY: the memory outlives the launches.
    unsafe { first.submit(&launch_of(&bindings[..1])) }.expect("no fault");
    // SAFETY: as above; the pixels are decoded before it returns.
    unsafe { second.submit(&launch_of(&bindings)) }.expect("no fault");
    let (stopped, stop) = wanted(|wanted| (wanted.stopped, wanted.stop));
    wanted(|wanted| wanted.endless = None);
    second.finish().expect("no fault");
    wanted(|wanted| *wanted = Wanted::default());
    assert_eq!((stopped, stop), (true, 0));
}

#[test]
fn the_watchdog_stops_a_kernel_that_does_not_end() {
    let gpu = gpu();
    let module = module(LOOP);
    let function = prepare(&module).expect("code");
    let kernel: Box<dyn Executable> = compiled(&gpu, LOOP);
    let options = emit::Options {
        target: 90,
        threads: 256,
        alignment: 16,
        strict: false,
        checked: true,
        ..Default::default()
    };
    let emitted = emit::emit(&module, &function, options).expect("text");
    let stopped = emitted.sites.iter().position(|site| site.kind == SiteKind::Stopped);
    wanted(|wanted| wanted.endless = stopped.map(|site| site as u32));
    let fault = launch(&*kernel).expect_err("a fault");
    wanted(|wanted| *wanted = Wanted::default());
    assert_eq!(fault.kind, FaultKind::Watchdog { limit: Duration::from_millis(20) });
}

#[test]
fn what_the_host_cannot_wait_for_is_not_submitted_again() {
    // A launch that writes to memory that the driver does not know is waited for at once.
    let gpu = gpu();
    let kernel = compiled(&gpu, STORE);
    let memory = Memory::new(&gpu.device, 64, false).expect("memory");
    let base = memory.base().as_ptr();
    let mut words = [0u32; 4];
    for (base, want) in [(words.as_mut_ptr().cast(), Submitted::Full), (base, Submitted::Running)] {
        let bindings = [Binding::Memory { base, bytes: 16, address: 0 }];
        // SAFETY: the memory outlives the launch.
        assert_eq!(unsafe { kernel.submit(&launch_of(&bindings)) }, Ok(want));
        kernel.finish().expect("no fault");
    }
}

#[test]
fn what_commands_carry_leaves_room_for_all_else_in_the_parameter() {
    // Each of them may be passed, but all would be more than a launch can pass.
    const COUNT: usize = 14;
    let parameters: String = (0..COUNT).map(|k| format!(", constant Params &p{k}")).collect();
    let sum: String = (0..COUNT).map(|k| format!(" + p{k}.words[63]")).collect();
    let source = format!(
        "struct Params {{ uint words[64]; }};
        kernel void k(device uint *x{parameters}) {{ x[0] = x[1]{sum}; }}"
    );
    let gpu = gpu();
    let kernel = compiled(&gpu, &source);
    let (mut words, mut carried) = ([0u32; 4], [0u32; 64]);
    let bytes = [bound(&mut carried); COUNT];
    let bindings: Vec<Binding<'_>> = [bound(&mut words)].into_iter().chain(bytes).collect();
    // SAFETY: what is bound outlives the launch.
    assert_eq!(unsafe { kernel.launch(&launch_of(&bindings)) }, Ok(()));
}

#[test]
fn what_is_proven_of_bytes_that_a_command_carries_is_not_of_others() {
    let gpu = gpu();
    let source = "kernel void k(constant uint2 *a [[buffer(0)]], constant uint2 *b [[buffer(1)]], device uint *x [[buffer(2)]],
        uint i [[thread_position_in_grid]]) { if (i < a[0].x) x[i] = b[0].x; }";
    let (mut few, mut many, mut x) = ([4, 0], [1000, 0], [0; 4]);
    // An argument with an address is a buffer; inline bytes have none.
    let buffer = |words: &mut [u32]| {
        let base = words.as_mut_ptr().cast();
        Binding::Memory { base, bytes: 8, address: 1 << 32 }
    };
    let proven = [bound(&mut few), buffer(&mut many), bound(&mut x)];
    let unknown = [buffer(&mut many), bound(&mut few), bound(&mut x)];
    // The text that the last of some launches runs.
    let text = |launches: &[&[Binding<'_>]]| {
        let kernel = compiled(&gpu, source);
        for bindings in launches {
            let launch = Launch { grid: [64, 1, 1], group: [64, 1, 1], ..launch_of(bindings) };
            // SAFETY: what is bound outlives the launch.
            assert_eq!(unsafe { kernel.launch(&launch) }, Ok(()));
        }
        wanted(|wanted| wanted.texts.pop()).expect("a text")
    };
    let (first, alone) = (text(&[&proven]), text(&[&unknown]));
    assert!(!first.contains("setp.ge.u32") && alone.contains("setp.ge.u32"), "{first}\n{alone}");
    assert_eq!(text(&[&proven, &unknown]), alone);
}

#[test]
fn a_kernel_with_checks_or_counts_is_refused_with_their_names() {
    let checks = Checks::INIT.with(Checks::PROFILE);
    let options = CompileOptions { checks, ..CompileOptions::default() };
    let why = gpu().compile(&module(STORE), &options).err();
    assert_eq!(why, Some(CompileError::Checked { checks }));
    let text = CompileError::Checked { checks }.to_string();
    assert!(text.contains("(init, profile), which only the CPU makes"), "{text}");
}
