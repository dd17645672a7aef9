//! BC1 to BC5: two endpoints, and two or three bits a texel that mix them.

/// The red, green and blue of BC1 to BC3. Only in BC1 (`punch`) does the order of the endpoints select three colors
/// and transparent black.
pub(super) fn color(block: u64, x: u32, y: u32, punch: bool) -> [f32; 4] {
    let ends = [block as u16, (block >> 16) as u16];
    let [first, second] = ends.map(|end| {
        let part = |shift: u32, most: u16| f32::from(end >> shift & most) / f32::from(most);
        [part(11, 31), part(5, 63), part(0, 31)]
    });
    let mix = |a: f32, b: f32| -> [f32; 4] {
        let [red, green, blue] = std::array::from_fn(|c| (a * first[c] + b * second[c]) / (a + b));
        [red, green, blue, 1.0]
    };
    let three = punch && ends[0] <= ends[1];
    match (block >> (32 + 2 * (4 * y + x)) & 3, three) {
        (0, _) => mix(1.0, 0.0),
        (1, _) => mix(0.0, 1.0),
        (2, false) => mix(2.0, 1.0),
        (2, true) => mix(1.0, 1.0),
        (_, false) => mix(1.0, 2.0),
        (_, true) => [0.0; 4],
    }
}

pub(super) fn with_alpha([red, green, blue, _]: [f32; 4], alpha: f32) -> [f32; 4] {
    [red, green, blue, alpha]
}

/// BC2's alpha: four bits a texel.
pub(super) fn explicit(block: u64, x: u32, y: u32) -> f32 {
    (block >> (4 * (4 * y + x)) & 15) as f32 / 15.0
}

/// The component of BC4 and BC5, which is also BC3's alpha.
pub(super) fn channel(block: u64, x: u32, y: u32, signed: bool) -> f32 {
    let ends = [block as u8, (block >> 8) as u8];
    let [first, second] = ends.map(|end| match signed {
        true => i32::from(end as i8),
        false => i32::from(end),
    });
    let (least, most) = if signed { (-127, 127) } else { (0, 255) };
    let code = (block >> (16 + 3 * (4 * y + x)) & 7) as i32;
    // -128 is -127, but not in the comparison.
    let [a, b] = [first, second].map(|end| end.max(least) as f32);
    let steps = if first > second { 7 } else { 5 };
    let number = match code {
        0 => a,
        1 => b,
        6 if steps == 5 => least as f32,
        7 if steps == 5 => most as f32,
        _ => (a * (steps + 1 - code) as f32 + b * (code - 1) as f32) / steps as f32,
    };
    number / most as f32
}
