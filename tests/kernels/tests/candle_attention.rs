//! candle's attention of one query at a time, and rotary positions.
//!
//! Scores and sums are in `float`: one part in 10⁵, and a few of the type's epsilons where it is narrow. Rotations are made of three
//! operations of the type itself on numbers up to 4.

use kernels::numbers::{Number, near};
use kernels::run::{Kernels, Launch, lined};
use kernels::structs::{size, word};

const ROTATED: [(&str, Number); 3] =
    [("f32", Number::F32), ("f16", Number::F16), ("bf16", Number::BF16)];

const TYPES: [(&str, Number); 3] =
    [("float", Number::F32), ("float16_t", Number::F16), ("bfloat16_t", Number::BF16)];

/// All lengths of heads. Candle's program launches no heads of 72 and 80, whose numbers past a multiple of 32 the kernels ignore.
const HEADS: [usize; 8] = [32, 64, 72, 80, 96, 128, 256, 512];

/// Heads of the query, and of the keys and values.
const QUERIES: usize = 4;
const KEYS: usize = 2;

/// One query against many keys.
struct Attention {
    number: Number,
    head: usize,
    length: usize,
    cap: f64,
    masked: bool,
    query: Vec<f64>,
    keys: Vec<f64>,
    values: Vec<f64>,
}

impl Attention {
    fn some(number: Number, head: usize, length: usize, cap: f64, masked: bool) -> Self {
        let of = |seed, rows| number.some(seed, rows * head);
        let (query, keys, values) = (of(1, QUERIES), of(2, KEYS * length), of(3, KEYS * length));
        Self { number, head, length, cap, masked, query, keys, values }
    }

    fn scale(&self) -> f64 {
        1.0 / (self.head as f64).sqrt()
    }

    /// How many numbers of a head count: each lane has as many.
    fn width(&self) -> usize {
        self.head / 32 * 32
    }

    /// The numbers of each head that are written.
    fn used(&self, out: &[f64]) -> Vec<f64> {
        out.chunks(self.head).flat_map(|head| &head[..self.width()]).copied().collect()
    }

    /// Whether a head sees a key: the first one always, and some others.
    fn seen(&self, head: usize, key: usize) -> bool {
        !self.masked || key == 0 || !(key + head).is_multiple_of(3)
    }

    /// The output: values weighted by the softmax of the scores.
    fn expected(&self) -> Vec<f64> {
        let mut out = Vec::new();
        for head in 0..QUERIES {
            let query = &self.query[head * self.head..][..self.head];
            let row = |at: usize| (head / (QUERIES / KEYS) * self.length + at) * self.head;
            let score = |at: usize| {
                let key = &self.keys[row(at)..][..self.width()];
                let dot: f64 = query.iter().zip(key).map(|(q, k)| q * k).sum();
                let score = dot * self.scale();
                if self.cap == 1.0 { score } else { self.cap * (score / self.cap).tanh() }
            };
            let seen: Vec<usize> = (0..self.length).filter(|&at| self.seen(head, at)).collect();
            let weights: Vec<f64> = seen.iter().map(|&at| score(at).exp()).collect();
            let all: f64 = weights.iter().sum();
            out.extend((0..self.width()).map(|k| {
                let weighed =
                    seen.iter().zip(&weights).map(|(&at, w)| self.values[row(at) + k] * w);
                weighed.sum::<f64>() / all
            }));
        }
        out
    }

    /// Query, keys and values.
    fn inputs<'a>(&self, launch: Launch<'a>) -> Launch<'a> {
        let launch = launch.constant(20, self.masked);
        let all = [&self.query, &self.keys, &self.values].into_iter();
        all.fold(launch, |launch, values| launch.bytes(&self.number.encode(values)))
    }

    /// Sizes, factors and the mask.
    fn rest<'a>(&self, launch: Launch<'a>) -> Launch<'a> {
        let stride = self.length * self.head;
        let launch = launch.bytes(&word(QUERIES / KEYS)).bytes(&word(self.length));
        let launch = launch.bytes(&size(stride)).bytes(&size(stride));
        // Products are divided by the cap with the scale; a cap of 1 stands for none.
        let scale = (self.scale() / self.cap) as f32;
        let launch = launch.bytes(&scale.to_le_bytes()).bytes(&(self.cap as f32).to_le_bytes());
        if !self.masked {
            return launch;
        }
        let rows = (0..QUERIES).flat_map(|head| (0..self.length).map(move |key| (head, key)));
        let mask: Vec<u8> = rows.map(|(head, key)| u8::from(self.seen(head, key))).collect();
        launch.bytes(&mask).bytes(&word(1)).bytes(&word(self.length))
    }
}

/// Keys, the cap of scores (1 is no cap), and whether there is a mask.
const CASES: [(usize, f64, bool); 6] = [
    (1, 1.0, false),
    (7, 1.0, true),
    (33, 3.0, false),
    (128, 1.0, false),
    (300, 1.0, true),
    (517, 2.0, true),
];

#[test]
fn one_query() {
    let kernels = Kernels::open("candle-metal-kernels", "scaled_dot_product_attention.metal");
    for (name, number) in TYPES {
        for head in HEADS {
            let kernel = format!("sdpa_vector_{name}_{head}");
            for (length, cap, masked) in CASES {
                let attention = Attention::some(number, head, length, cap, masked);
                let launch = attention.inputs(kernels.launch(&kernel));
                let launch = launch.room(QUERIES * head * number.size());
                let out = attention.rest(launch).groups((1, QUERIES, 1), (1024, 1, 1), 3);
                let what = format!("{kernel}, {length} keys");
                let tolerance = 1e-5 + number.epsilon();
                near(
                    &what,
                    &attention.used(&number.decode(&out)),
                    &attention.expected(),
                    tolerance,
                );
            }
        }
    }
}

#[test]
fn one_query_in_two_steps() {
    /// Parts that the keys are split in.
    const PARTS: usize = 32;
    let kernels = Kernels::open("candle-metal-kernels", "scaled_dot_product_attention.metal");
    for (name, number) in TYPES {
        for head in HEADS {
            let kernel = format!("sdpa_vector_2pass_1_{name}_{head}");
            for (length, cap, masked) in CASES {
                let attention = Attention::some(number, head, length, cap, masked);
                let part = |result| {
                    let launch = attention.inputs(kernels.launch(&kernel));
                    let launch = launch.room(QUERIES * PARTS * head * 4);
                    let launch = launch.room(QUERIES * PARTS * 4).room(QUERIES * PARTS * 4);
                    let launch = attention.rest(launch);
                    launch.groups((1, QUERIES, PARTS), (256, 1, 1), result)
                };
                let kernel = format!("sdpa_vector_2pass_2_{name}_{head}");
                let launch = [3, 4, 5]
                    .map(part)
                    .iter()
                    .fold(kernels.launch(&kernel), |launch, part| launch.bytes(part));
                let launch = launch.room(QUERIES * head * number.size());
                let out = launch.groups((1, QUERIES, 1), (1024, 1, 1), 3);
                let what = format!("{kernel}, {length} keys");
                // The parts are rounded to the type as well.
                let tolerance = 1e-5 + 3.0 * number.epsilon();
                near(
                    &what,
                    &attention.used(&number.decode(&out)),
                    &attention.expected(),
                    tolerance,
                );
            }
        }
    }
}

/// How the numbers of a head go in pairs, and whether positions are outside of heads.
#[derive(Clone, Copy)]
enum Pairs {
    Neighbours,
    Halves,
    HalvesByPosition,
}

#[test]
fn rotations() {
    let kernels = Kernels::open("candle-metal-kernels", "reduce.metal");
    // Batches, heads, positions, elements of a head.
    let shapes = [(1, 1, 1, 2), (2, 3, 7, 64), (1, 5, 33, 96), (3, 2, 10, 128)];
    let kinds = [
        ("rope_i", Pairs::Neighbours),
        ("rope", Pairs::Halves),
        ("rope_thd", Pairs::HalvesByPosition),
    ];
    for (name, number) in ROTATED {
        for (prefix, pairs) in kinds {
            for (batches, heads, positions, head) in shapes {
                // Angles that all batches share, and those of a batch's own.
                for own in [false, true] {
                    let kernel = format!("{prefix}_{name}");
                    let count = batches * heads * positions * head;
                    let input = number.some(7, count);
                    let angles = if own { batches } else { 1 } * positions * head / 2;
                    let angle = |at: usize| (at * 37 % 101) as f64 / 16.0;
                    let of = |f: fn(f64) -> f64| -> Vec<f64> {
                        (0..angles).map(|at| number.rounded(f(angle(at)))).collect()
                    };
                    let (cosines, sines) = (of(f64::cos), of(f64::sin));
                    let batch = if own { heads * positions * head } else { 0 };
                    let launch = kernels.launch(&kernel);
                    let sizes = match pairs {
                        Pairs::Neighbours => vec![batches * heads, positions * head, batch],
                        Pairs::Halves => vec![batches * heads, positions * head, head, batch],
                        Pairs::HalvesByPosition => vec![batches, positions, heads, head, batch],
                    };
                    let launch = sizes.iter().fold(launch, |launch, &one| launch.bytes(&size(one)));
                    let launch = launch.bytes(&number.encode(&input));
                    let launch =
                        launch.bytes(&number.encode(&cosines)).bytes(&number.encode(&sines));
                    let (groups, threads) = lined(count / 2);
                    let launch = launch.room(count * number.size());
                    let out = launch.groups(groups, threads, sizes.len() + 3);
                    let mut expected = vec![0.0; count];
                    for row in 0..count / head {
                        let position = match pairs {
                            Pairs::HalvesByPosition => row / heads % positions,
                            _ => row % positions,
                        };
                        let of_batch = if own { row / (heads * positions) } else { 0 };
                        for pair in 0..head / 2 {
                            let (x, y) = match pairs {
                                Pairs::Neighbours => (2 * pair, 2 * pair + 1),
                                _ => (pair, pair + head / 2),
                            };
                            let (x, y) = (row * head + x, row * head + y);
                            let at = (of_batch * positions + position) * head / 2 + pair;
                            let (cosine, sine) = (cosines[at], sines[at]);
                            expected[x] = input[x] * cosine - input[y] * sine;
                            expected[y] = input[x] * sine + input[y] * cosine;
                        }
                    }
                    near(&kernel, &number.decode(&out), &expected, 6.0 * number.epsilon());
                }
            }
        }
    }
}
