//! Textures at their ends.

use crate::soft::kernel::texture::{Kind, Level, NO_SWIZZLE, Packing, Pixel, PixelFormat, Texture};

/// Pixels of four bytes that are one number.
struct Number;

impl PixelFormat for Number {
    fn bytes(&self) -> usize {
        4
    }

    fn is_integer(&self) -> bool {
        true
    }

    fn has_alpha(&self) -> bool {
        true
    }

    fn decode(&self, bytes: &[u8]) -> Pixel {
        [u32::from_ne_bytes(bytes.try_into().expect("four bytes")), 0, 0, 0]
    }

    fn encode(&self, pixel: Pixel, bytes: &mut [u8]) {
        bytes.copy_from_slice(&pixel[0].to_ne_bytes());
    }

    fn packing(&self) -> Option<(Kind, Packing)> {
        Some((Kind::Uint, Packing::Fields([(0, 32), (0, 0), (0, 0), (0, 0)])))
    }
}

#[test]
fn textures_at_their_ends() {
    // Levels of 3 × 2 × 2 and 1 × 1 × 1 pixels, with room around rows, images, levels and slices.
    let levels = [
        Level { offset: 16, row: 20, image: 64, size: [3, 2, 2] },
        Level { offset: 160, row: 8, image: 8, size: [1, 1, 1] },
    ];
    let (slices, stride) = (12, 200);
    for (cube, elements, faces) in [(false, 12, 1), (true, 2, 6)] {
        let number = |word: usize| 0x8000_0000 | word as u32;
        let mut memory: Vec<u32> = (0..stride / 4 * (slices as usize + 2)).map(number).collect();
        let texture = Texture {
            base: memory.as_mut_ptr().cast::<u8>().wrapping_add(stride),
            levels: &levels,
            slices,
            stride,
            sides: 2,
            cube,
            format: &Number,
            swizzle: NO_SWIZZLE,
            id: 0,
        };
        // Around each end; a coordinate that is negative is a large one.
        let around = |end: i64| {
            let near = (-2..end + 2).map(|at| at as u32);
            near.chain([1 << 30, 1 << 31, u32::MAX / 6, u32::MAX / 6 + 1])
        };
        for level in around(2) {
            let size = levels.get(level as usize).map_or([0; 3], |level| level.size);
            let third = if cube { faces } else { i64::from(size[2]) };
            for x in around(size[0].into()) {
                for y in around(size[1].into()) {
                    for z in around(third) {
                        for element in around(elements) {
                            let inside = x < size[0]
                                && y < size[1]
                                && i64::from(z) < third
                                && i64::from(element) < elements
                                && level < 2;
                            let word = inside.then(|| {
                                let level = &levels[level as usize];
                                let (face, z) = if cube { (z, 0) } else { (0, z) };
                                let slice = element as usize * faces as usize + face as usize;
                                let at = stride * (slice + 1) + level.offset;
                                let at = at + level.image * z as usize + level.row * y as usize;
                                (at + 4 * x as usize) / 4
                            });
                            let at = [x, y, z, element];
                            let want = word.map_or(0, number);
                            assert_eq!(texture.read(at, level)[0], want, "{at:?} {level} {cube}");
                            texture.write(at, level, [77; 4]);
                            if let Some(word) = word {
                                assert_eq!(memory[word], 77, "{at:?} {level} {cube}");
                                memory[word] = number(word);
                            }
                        }
                    }
                }
            }
        }
        assert!(memory.iter().enumerate().all(|(word, &is)| is == number(word)));
    }
}
