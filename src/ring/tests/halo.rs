//! Stencils over tiles equal the same stencils over one array, bit for bit.

use crate::child::in_child;
use crate::ring::{Border, Halo, Reach};
use crate::test_random::Random;
use crate::test_scale::scaled;
use crate::{Capture, Gpu, Plain};

/// A cell and its neighbours along the axes (a star), or all in the cube around it, in one order.
const STENCIL: &str = "
    #include <metal_stdlib>
    using namespace metal;
    kernel void stencil(device const float *from [[buffer(0)]], device float *to [[buffer(1)]],
                        constant uint *s [[buffer(2)]], uint3 at [[thread_position_in_grid]]) {
        uint tile = at.z / s[2];
        uint3 t = uint3(at.x, at.y, at.z % s[2]);
        uint px = s[0] + 2 * s[3], py = s[1] + 2 * s[4], pz = s[2] + 2 * s[5];
        int base = int(tile * px * py * pz);
        int wx = int(s[3]), wy = int(s[4]), wz = int(s[5]);
        int3 c = int3(int(t.x) + wx, int(t.y) + wy, int(t.z) + wz);
        float sum = 0;
        for (int z = -wz; z <= wz; z++) for (int y = -wy; y <= wy; y++) for (int x = -wx; x <= wx; x++) {
            if (s[6] == 0 && int(x != 0) + int(y != 0) + int(z != 0) > 1) { continue; }
            float weight = 1.0f / float(1 + abs(x) + 2 * abs(y) + 3 * abs(z));
            sum = sum + weight * from[base + ((c.z + z) * int(py) + c.y + y) * int(px) + c.x + x];
        }
        to[base + (c.z * int(py) + c.y) * int(px) + c.x] = sum * 0.2f;
    }";

/// One step over one array.
fn step(
    from: &[f32],
    size: [usize; 3],
    width: [usize; 3],
    border: Border<f32>,
    reach: Reach,
) -> Vec<f32> {
    let find = |at: isize, size: usize| match border {
        Border::Wrap => Some(at.rem_euclid(size as isize) as usize),
        Border::Clamp => Some(at.clamp(0, size as isize - 1) as usize),
        Border::Constant(_) => usize::try_from(at).ok().filter(|&at| at < size),
    };
    let [wx, wy, wz] = width.map(|width| width as isize);
    let mut to = Vec::with_capacity(from.len());
    for cell in 0..from.len() {
        let at = [cell % size[0], cell / size[0] % size[1], cell / size[0] / size[1]]
            .map(|at| at as isize);
        let mut sum = 0.0f32;
        for z in -wz..=wz {
            for y in -wy..=wy {
                for x in -wx..=wx {
                    if reach == Reach::Faces && [x, y, z].iter().filter(|&&d| d != 0).count() > 1 {
                        continue;
                    }
                    let weight = 1.0 / (1 + x.abs() + 2 * y.abs() + 3 * z.abs()) as f32;
                    let near = find(at[0] + x, size[0])
                        .zip(find(at[1] + y, size[1]))
                        .zip(find(at[2] + z, size[2]));
                    let value = match (near, border) {
                        (Some(((x, y), z)), _) => from[(z * size[1] + y) * size[0] + x],
                        (None, Border::Constant(value)) => value,
                        (None, _) => unreachable!("only a constant border has no cell"),
                    };
                    sum += weight * value;
                }
            }
        }
        to.push(sum * 0.2);
    }
    to
}

fn case(
    gpu: &Gpu,
    grid: [usize; 3],
    tile: [usize; 3],
    width: usize,
    border: Border<f32>,
    reach: Reach,
    steps: usize,
) {
    let halo = Halo::new(gpu, grid, tile, width, border, reach).unwrap();
    let (mut from, mut to) = (halo.tiles(gpu).unwrap(), halo.tiles(gpu).unwrap());
    let size = [0, 1, 2].map(|axis| grid[axis] * tile[axis]);
    let widths = size.map(|size| if size == 1 { 0 } else { width });
    let mut random = Random::new(width as u64);
    let mut expected: Vec<f32> =
        (0..size.iter().product()).map(|_| random.below(1000) as f32 / 10.0).collect();
    from.write(&expected);
    let pipeline =
        gpu.pipeline(&gpu.compile(STENCIL).unwrap().function("stencil").unwrap()).unwrap();
    let shape: Vec<u8> = tile
        .iter()
        .chain(&widths)
        .chain([&usize::from(reach == Reach::All)])
        .flat_map(|&n| (n as u32).to_ne_bytes())
        .collect();
    let queue = gpu.new_command_queue().unwrap();
    let mut left = steps;
    while left > 0 {
        let commands = queue.commands().unwrap();
        let encoder = commands.encoder().unwrap();
        for _ in 0..left.min(100) {
            halo.encode(&encoder, &from).unwrap();
            encoder.bind(&pipeline);
            encoder.bind_buffer(from.buffer(), 0, 0);
            encoder.bind_buffer(to.buffer(), 0, 1);
            encoder.push(&shape, 2);
            let tiles = grid.iter().product::<usize>();
            encoder
                .launch((tile[0], tile[1], tile[2] * tiles), (tile[0].min(16), tile[1].min(8), 1));
            std::mem::swap(&mut from, &mut to);
            expected = step(&expected, size, widths, border, reach);
        }
        encoder.finish();
        commands.submit();
        commands.finish().unwrap();
        left -= left.min(100);
    }
    let found = from.read();
    let differs =
        found.iter().zip(&expected).position(|(one, other)| one.to_bits() != other.to_bits());
    assert_eq!(differs, None, "grid {grid:?}, tile {tile:?}, width {width}, {border:?}, {reach:?}");
}

const BORDERS: [Border<f32>; 3] = [Border::Wrap, Border::Clamp, Border::Constant(12.5)];

#[test]
fn stencils_over_tiles_equal_one_array() {
    let gpu = Gpu::open().unwrap();
    for width in 1..=3 {
        for border in BORDERS {
            for reach in [Reach::Faces, Reach::All] {
                case(&gpu, [3, 2, 1], [7, 5, 1], width, border, reach, 6);
                case(&gpu, [2, 3, 2], [3, 5, 4], width, border, reach, 3);
                // The halo is wider than a tile; one column of tiles; one tile.
                case(&gpu, [5, 1, 1], [2, 9, 1], width, border, reach, 3);
                case(&gpu, [1, 1, 1], [5, 3, 2], width, border, reach, 3);
                case(&gpu, [4, 1, 1], [6, 1, 1], width, border, reach, 3);
            }
        }
    }
}

#[test]
fn random_shapes_equal_one_array() {
    let gpu = Gpu::open().unwrap();
    for seed in 0..scaled(20) as u64 {
        let random = &mut Random::new(seed);
        let grid = [1 + random.below(4), 1 + random.below(4), 1 + random.below(2)];
        let tile = [1 + random.below(9), 1 + random.below(9), 1 + random.below(3)];
        let reach = random.pick(&[Reach::Faces, Reach::All]);
        let (width, border) = (1 + random.below(3), random.pick(&BORDERS));
        case(&gpu, grid, tile, width, border, reach, 3);
    }
}

/// All widths and borders, with odd sizes; a thousand steps each with `ARUMINIUM_TEST_SCALE=full`.
#[test]
fn a_thousand_steps_equal_one_array() {
    let gpu = Gpu::open().unwrap();
    let steps = scaled(10);
    for width in 1..=3 {
        for border in BORDERS {
            case(&gpu, [2, 3, 1], [9, 7, 1], width, border, Reach::Faces, steps);
            case(&gpu, [2, 1, 3], [5, 7, 3], width, border, Reach::Faces, steps);
        }
    }
    case(&gpu, [3, 2, 1], [7, 5, 1], 1, Border::Clamp, Reach::All, steps);
    case(&gpu, [2, 1, 2], [5, 4, 3], 1, Border::Wrap, Reach::All, steps);
}

#[test]
fn tiles_of_another_shape_are_refused() {
    let gpu = Gpu::open().unwrap();
    let queue = gpu.new_command_queue().unwrap();
    let one = Halo::<f32>::new(&gpu, [2, 2, 1], [4, 4, 1], 1, Border::Wrap, Reach::All).unwrap();
    let other = Halo::<f32>::new(&gpu, [2, 2, 1], [4, 5, 1], 1, Border::Wrap, Reach::All).unwrap();
    let tiles = other.tiles(&gpu).unwrap();
    assert!(one.exchange(&queue, &tiles).unwrap_err().to_string().contains("another shape"));
    for wrong in [[0, 1, 1], [1 << 20, 1 << 20, 1]] {
        assert!(Halo::<f32>::new(&gpu, wrong, [4, 4, 1], 1, Border::Wrap, Reach::All).is_err());
    }
    assert!(
        Halo::<f32>::new(&gpu, [1, 1, 1], [4, 4, 1], usize::MAX, Border::Wrap, Reach::All).is_err()
    );
}

/// A row of cells with one value each: after an exchange each has its neighbours' ends beside it.
fn exchanged<T: Plain + PartialEq + std::fmt::Debug>(gpu: &Gpu, cell: impl Fn(u8) -> T) {
    let halo =
        Halo::new(gpu, [2, 1, 1], [2, 1, 1], 1, Border::Constant(cell(9)), Reach::Faces).unwrap();
    let tiles = halo.tiles(gpu).unwrap();
    tiles.write(&[1, 2, 3, 4].map(&cell));
    halo.exchange(&gpu.new_command_queue().unwrap(), &tiles).unwrap();
    let found = tiles.buffer().read_as(|cells: &[T]| cells.to_vec());
    assert_eq!(found, [9, 1, 2, 3, 2, 3, 4, 9].map(&cell));
    assert_eq!(tiles.read(), [1, 2, 3, 4].map(&cell));
}

#[test]
fn cells_may_have_any_size() {
    crate::message! {
        struct Cell { density: f32, flow: [f32; 2], kind: u16, age: u16 }
    }
    let gpu = Gpu::open().unwrap();
    exchanged(&gpu, |n| n);
    exchanged(&gpu, |n| [n, n + 1, n + 2]);
    exchanged(&gpu, |n| u16::from(n) << 8 | 1);
    exchanged(&gpu, |n| [u16::from(n); 5]);
    exchanged(&gpu, f32::from);
    exchanged(&gpu, |n| [f32::from(n), 0.5, -1.0]);
    exchanged(&gpu, |n| u64::from(n) << 40 | 3);
    exchanged(&gpu, |n| [u64::from(n), 7, 8]);
    exchanged(&gpu, |n| [f32::from(n), 2.0, 3.0, 4.0]);
    exchanged(&gpu, |n| [u32::from(n); 12]);
    exchanged(&gpu, |n| [n; 4096]);
    exchanged(&gpu, |n| Cell { density: n.into(), flow: [1.0, n.into()], kind: n.into(), age: 5 });
    for error in [
        Halo::new(&gpu, [2, 1, 1], [2, 1, 1], 1, Border::Constant([0u8; 4097]), Reach::Faces).err(),
        Halo::new(&gpu, [2, 1, 1], [2, 1, 1], 1, Border::Constant([0u32; 0]), Reach::Faces).err(),
    ] {
        let error = error.unwrap().to_string();
        assert!(error.contains("cells of 1 to 4096 are possible"), "{error}");
    }
}

/// The capture of an exchange is one launch, without copies, fills or anything else.
#[test]
fn an_exchange_is_one_launch_and_nothing_else() {
    let test = "ring::tests::halo::an_exchange_is_one_launch_and_nothing_else";
    let output = in_child(test, &[], || {
        let gpu = Gpu::open().unwrap();
        let queue = gpu.new_command_queue().unwrap();
        let halo =
            Halo::<f32>::new(&gpu, [3, 2, 2], [7, 5, 4], 2, Border::Clamp, Reach::All).unwrap();
        let tiles = halo.tiles(&gpu).unwrap();
        let path = std::env::temp_dir().join(format!("halo-{}.gputrace", std::process::id()));
        Capture::shared().start_queue(&queue, &path).unwrap();
        halo.exchange(&queue, &tiles).unwrap();
        Capture::shared().stop();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let kinds: Vec<_> = text
            .lines()
            .map(|line| {
                ["capture", "commandBuffer", "dispatch"]
                    .map(|kind| usize::from(line.contains(&format!("\"type\":\"{kind}\""))))
            })
            .collect();
        assert_eq!(kinds, [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "{text}");
        assert_eq!(halo.stat().launches, 1);
    });
    if let Some(output) = output {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
