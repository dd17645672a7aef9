//! One launch of each kernel of `benches/kernels`, as machine code and by one worker, for `.ci/native-counts`, which counts the
//! instructions of machine code in such a process.

use super::*;
use crate::soft::msl::{self, ConstantValues, Options};

/// Launches a kernel with buffers in order, and prints the number of units that it does.
fn once(
    (name, text): (&str, &str),
    buffers: &mut [&mut [u32]],
    grid: [u32; 2],
    group: [u32; 2],
    units: usize,
) {
    let library = msl::compile(text, &Options::default()).expect("a kernel of the benchmarks");
    let (module, _) = library.kernel(name, &ConstantValues::default()).unwrap();
    let way = Way::all().pop().filter(|way| way.is_native()).expect("there is machine code");
    let program = way.program(&module).unwrap();
    let bindings: Vec<Binding> =
        (0..).zip(buffers).map(|(index, data)| bind(index, data)).collect();
    let [grid, group] = [grid, group].map(|[x, y]| [x, y, 1]);
    // SAFETY: the bindings outlive the launch.
    unsafe { program.launch_by_index(&launch(grid, group, &bindings), &Workers::new(1)) }.unwrap();
    println!("{name} {units}");
}

macro_rules! text {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../../benches/kernels/", $name, ".metal")))
    };
}

const ELEMENTS: usize = 1 << 20;
const SIDE: usize = 512;
const PICTURE: usize = 1024;
const ONE: u32 = 0x3f80_0000;

#[test]
#[ignore = "for .ci/native-counts, which counts its instructions in an emulator"]
fn saxpy() {
    let (mut x, mut y) = (vec![ONE; ELEMENTS], vec![ONE; ELEMENTS]);
    once(
        text!("saxpy"),
        &mut [&mut y, &mut x, &mut [ONE]],
        [ELEMENTS as u32, 1],
        [256, 1],
        ELEMENTS,
    );
    assert_eq!(y[ELEMENTS - 1], 2f32.to_bits());
}

fn multiply(text: (&str, &str)) {
    let [mut a, mut b, mut c] = [ONE, ONE, 0].map(|bits| vec![bits; SIDE * SIDE]);
    let mut side = [SIDE as u32];
    let buffers = &mut [&mut *c, &mut a, &mut b, &mut side];
    once(text, buffers, [SIDE as u32; 2], [16, 16], SIDE * SIDE * SIDE);
    assert_eq!(c[SIDE * SIDE - 1], (SIDE as f32).to_bits());
}

#[test]
#[ignore = "for .ci/native-counts, which counts its instructions in an emulator"]
fn matmul() {
    multiply(text!("matmul"));
}

#[test]
#[ignore = "for .ci/native-counts, which counts its instructions in an emulator"]
fn matmul_tiled() {
    multiply(text!("matmul_tiled"));
}

#[test]
#[ignore = "for .ci/native-counts, which counts its instructions in an emulator"]
fn mandelbrot() {
    let mut out = vec![0; PICTURE * PICTURE];
    let buffers = &mut [&mut *out, &mut [PICTURE as u32]];
    once(text!("mandelbrot"), buffers, [PICTURE as u32; 2], [16, 16], PICTURE * PICTURE);
    assert_eq!(out[PICTURE * PICTURE / 2 + PICTURE / 2], 256);
}

#[test]
#[ignore = "for .ci/native-counts, which counts its instructions in an emulator"]
fn sum() {
    let (mut partial, mut words) = (vec![0; ELEMENTS / 256], vec![3; ELEMENTS]);
    let buffers = &mut [&mut *partial, &mut words];
    once(text!("sum"), buffers, [ELEMENTS as u32, 1], [256, 1], ELEMENTS);
    assert_eq!(partial[ELEMENTS / 256 - 1], 3 * 256);
}

#[test]
#[ignore = "for .ci/native-counts, which counts its instructions in an emulator"]
fn histogram() {
    let mut words: Vec<u32> = (0..ELEMENTS as u32).map(|i| i.wrapping_mul(2_654_435_761)).collect();
    let mut bins = [0; 256];
    let buffers = &mut [&mut bins[..], &mut words];
    once(text!("histogram"), buffers, [ELEMENTS as u32, 1], [256, 1], ELEMENTS);
    assert_eq!(bins.iter().sum::<u32>(), ELEMENTS as u32);
}
