//! Patches and sizes of images.

use super::{FLOATS, Setup, close, plain, values};
use crate::infer::DType;
use crate::infer::ops::{Patches, Resize};

#[test]
fn patches_of_images() {
    let mut setup = Setup::new(71);
    for (shape, patches) in [
        ([1, 1, 1], Patches::tiles(1)),
        ([3, 28, 42], Patches::tiles(14)),
        ([3, 9, 8], Patches { size: [3, 2], step: [2, 1], padding: [1, 2] }),
        ([2, 5, 4], Patches { size: [5, 6], step: [7, 7], padding: [0, 1] }),
    ] {
        for (dtype, y_type) in (0..9).map(|i| (FLOATS[i / 3], FLOATS[i % 3])) {
            let [channels, height, width] = shape;
            let x = setup.random(dtype, &shape);
            let [down, across] = patches.counts([height, width]);
            let columns = channels * patches.size[0] * patches.size[1];
            let y = setup.result(y_type, &[down, across, columns]);
            setup.run(|ops, stream| ops.patches(stream, &x, &y, patches));
            let xv = values(&x);
            let mut expected = Vec::new();
            for patch in 0..down * across {
                for i in 0..columns {
                    let size = patches.size[0] * patches.size[1];
                    let (channel, inner) = (i / size, i % size);
                    let row = patch / across * patches.step[0] + inner / patches.size[1];
                    let column = patch % across * patches.step[1] + inner % patches.size[1];
                    let row = row.checked_sub(patches.padding[0]).filter(|&row| row < height);
                    let column = column.checked_sub(patches.padding[1]).filter(|&c| c < width);
                    let value =
                        row.zip(column).map(|(r, c)| xv[(channel * height + r) * width + c]);
                    expected.push(value.unwrap_or(0.0));
                }
            }
            close(&format!("{shape:?} {patches:?} {dtype} to {y_type}"), &y, &plain(expected), 0.0);
        }
    }
    // Rows × columns × channels are the same image with other strides.
    let x = setup.random(DType::F32, &[4, 6, 3]);
    let whole = setup.result(DType::F32, &[1, 72]);
    let tiles = Patches { size: [4, 6], ..Patches::tiles(1) };
    setup.run(|ops, stream| ops.patches(stream, &x.permute(&[2, 0, 1])?, &whole, tiles));
    let xv = values(&x);
    let expected = (0..72).map(|i| xv[i % 24 * 3 + i / 24]);
    close("channels last", &whole, &plain(expected), 0.0);
}

#[test]
fn images_in_other_sizes() {
    let mut setup = Setup::new(72);
    for (from, to) in [
        ([1, 1], [3, 2]),
        ([2, 3], [2, 3]),
        ([5, 7], [13, 4]),
        ([37, 20], [10, 33]),
        ([4, 4], [1, 1]),
    ] {
        for (dtype, y_type) in (0..9).map(|i| (FLOATS[i / 3], FLOATS[i % 3])) {
            for resize in [Resize::Centres, Resize::Corners] {
                let x = setup.random(dtype, &[2, from[0], from[1]]);
                let y = setup.result(y_type, &[2, to[0], to[1]]);
                setup.run(|ops, stream| ops.resize(stream, &x, &y, resize));
                let xv = values(&x);
                let position = |at: usize, axis: usize| {
                    let (from, to, at) = (from[axis] as f64, to[axis] as f64, at as f64);
                    let position = match resize {
                        Resize::Centres => (at + 0.5) * from / to - 0.5,
                        Resize::Corners if to > 1.0 => at * (from - 1.0) / (to - 1.0),
                        Resize::Corners => 0.0,
                    };
                    position.clamp(0.0, from - 1.0)
                };
                let mut expected = Vec::new();
                for i in 0..2 * to[0] * to[1] {
                    let channel = i / (to[0] * to[1]);
                    let (row, column) = (position(i / to[1] % to[0], 0), position(i % to[1], 1));
                    let mut sum = 0.0;
                    for (r, c) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                        let weight = |at: f64, next: usize| match next {
                            0 => 1.0 - at.fract(),
                            _ => at.fract(),
                        };
                        let r_at = (row as usize + r).min(from[0] - 1);
                        let c_at = (column as usize + c).min(from[1] - 1);
                        let value = xv[(channel * from[0] + r_at) * from[1] + c_at];
                        sum += weight(row, r) * weight(column, c) * value;
                    }
                    expected.push((sum, 1.0));
                }
                // Positions of up to 37 are rounded to f32, and values differ by up to 2.
                close(&format!("{from:?} to {to:?} {dtype} {resize:?}"), &y, &expected, 2e-5);
            }
        }
    }
}

#[test]
fn wrong_operands_are_errors() {
    let mut setup = Setup::new(73);
    let x = setup.random(DType::F32, &[2, 4, 6]);
    let flat = setup.random(DType::F32, &[4, 6]);
    let three = setup.random(DType::F32, &[3, 4, 6]);
    let int = setup.tensor(DType::I32, &[2, 4, 6], &[0.0; 48]);
    let tiles = Patches::tiles(2);
    let none = Patches { step: [0, 1], ..tiles };
    let huge = Patches { padding: [usize::MAX, 0], ..tiles };
    let long = Patches { size: [usize::MAX, 2], ..tiles };
    let resize = Resize::Corners;
    for (error, message) in [
        (setup.error(|o, s| o.patches(s, &x, &flat, huge)), "more values than can be counted"),
        (setup.error(|o, s| o.patches(s, &x, &flat, long)), "more values than can be counted"),
        (setup.error(|o, s| o.patches(s, &int, &flat, tiles)), "patches: x holds one of"),
        (setup.error(|o, s| o.patches(s, &flat, &flat, tiles)), "x of shape [4, 6]"),
        (setup.error(|o, s| o.patches(s, &x, &int, tiles)), "y holds one of"),
        (setup.error(|o, s| o.patches(s, &x, &flat, tiles)), "6 rows of 8 are needed"),
        (setup.error(|o, s| o.patches(s, &x, &flat, none)), "in steps of [0, 1]"),
        (setup.error(|o, s| o.resize(s, &int, &x, resize)), "resize: x holds one of"),
        (setup.error(|o, s| o.resize(s, &x, &flat, resize)), "y of shape [4, 6]"),
        (setup.error(|o, s| o.resize(s, &x, &three, resize)), "cannot be resized"),
    ] {
        assert!(error.contains(message), "{error}, not {message}");
    }
}
