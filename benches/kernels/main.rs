//! The time of kernels, compared with their limit and with plain Rust on one core and on all cores, and the time to
//! compile them.
//!
//! A kernel's time is from submitting its command buffer to the end of waiting for it. Each result is checked
//! against plain Rust's before anything is measured. `ARUMINIUM_BENCH_OPENCL=1` adds the same kernels in OpenCL,
//! where a driver is installed.

use aruminium::{Gpu, GpuError};
use opencl::OpenCl;
use place::Place;

mod limit;
#[path = "../opencl/mod.rs"]
mod opencl;
mod own;
// Public in the crate that it is a module of.
#[allow(unreachable_pub)]
#[path = "../../tests/kernels/src/packages.rs"]
mod packages;
mod place;
#[path = "../products/mod.rs"]
mod products;
mod published;
#[path = "../rounds/mod.rs"]
mod rounds;

fn main() -> Result<(), GpuError> {
    let gpu = Gpu::open()?;
    let cl = OpenCl::open();
    println!("{}", gpu.name());
    cl.iter().for_each(|cl| println!("OpenCL: {}", cl.name()));
    let queue = gpu.new_command_queue()?;
    let place = Place { gpu: &gpu, queue: &queue, cl: cl.as_ref() };
    own::measure(&place)?;
    published::measure(&place)
}
