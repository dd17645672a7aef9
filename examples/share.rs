//! Two processes, one block: a kernel of this process writes it, and a child process reads the result.
//!
//! `cargo run --release --features memory --example share`

use aruminium::Gpu;
use aruminium::memory::Shared;
use std::os::unix::process::parent_id;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

const VALUES: usize = 1024;
/// The offset of the values, which follow a flag.
const START: usize = 4096;

const SQUARES: &str = "
    kernel void squares(device uint *x, uint i [[thread_position_in_grid]]) { x[i] = i * i; }";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(id), Some(parent)) => read(&id, parent.parse()?),
        _ => write(),
    }
}

fn write() -> Result<(), Box<dyn std::error::Error>> {
    let gpu = Gpu::open()?;
    let pipeline = gpu.pipeline(&gpu.compile(SQUARES)?.function("squares")?)?;
    let shared = Shared::open(START + VALUES * 4)?;

    // The child gets the memory before it has contents.
    let mut command = Command::new(std::env::current_exe()?);
    let arguments = [shared.id().to_string(), std::process::id().to_string()];
    let mut child = command.args(arguments).stdin(sent(&shared)?).spawn()?;

    // SAFETY: the child only reads, and only after the flag says that the values are written.
    let buffer = unsafe { gpu.wrap_shared(&shared)? };
    let commands = gpu.new_command_queue()?.commands()?;
    let encoder = commands.encoder()?;
    encoder.bind(&pipeline);
    encoder.bind_buffer(&buffer, START, 0);
    encoder.launch((VALUES, 1, 1), (256, 1, 1));
    encoder.finish();
    commands.submit();
    commands.finish()?;
    shared.atomic_u32(0)?.store(1, Ordering::Release);

    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("the child failed: {status}").into()) }
}

fn read(id: &str, parent: u32) -> Result<(), Box<dyn std::error::Error>> {
    let shared = received(id)?;
    while shared.atomic_u32(0)?.load(Ordering::Acquire) == 0 {
        // A process whose parent has ended gets another one.
        if parent_id() != parent {
            return Err(format!("process {parent} ended before the values were there").into());
        }
        std::thread::yield_now();
    }
    let mut values = vec![0u32; VALUES];
    shared.read(START, &mut values)?;
    assert!((0u32..).zip(&values).all(|(i, &x)| x == i * i));
    println!("process {} read {VALUES} squares that a kernel wrote in another", std::process::id());
    Ok(())
}

/// The memory as the child's standard input. On Apple's systems its id is enough.
#[cfg(not(target_vendor = "apple"))]
fn sent(shared: &Shared) -> std::io::Result<Stdio> {
    use std::os::fd::AsFd;
    Ok(Stdio::from(shared.as_fd().try_clone_to_owned()?))
}

#[cfg(not(target_vendor = "apple"))]
fn received(_id: &str) -> Result<Shared, Box<dyn std::error::Error>> {
    use std::os::fd::AsFd;
    Ok(Shared::import(std::io::stdin().as_fd().try_clone_to_owned()?)?)
}

#[cfg(target_vendor = "apple")]
fn sent(_shared: &Shared) -> std::io::Result<Stdio> {
    Ok(Stdio::null())
}

#[cfg(target_vendor = "apple")]
fn received(id: &str) -> Result<Shared, Box<dyn std::error::Error>> {
    // SAFETY: this process has made no surfaces.
    Ok(unsafe { Shared::lookup(id.parse()?) }?)
}
