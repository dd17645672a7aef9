//! mlx-native's copies into caches of keys and values, compared with a ring of rows.
//!
//! Everything is exact; `float`s become halves to nearest.

use Number::{BF16, F16, F32, U8};
use kernels::numbers::{Number, near, noise};
use kernels::products::narrowed;

use kernels::run::{Kernels, Launch, Size, lined};

/// Groups of 16 by 2 by 2 threads.
const TILE: Size = (16, 2, 2);

/// A cache of rows by heads, with something in it already.
#[derive(Clone)]
struct Cache {
    heads: usize,
    head: usize,
    capacity: usize,
    rows: Vec<f64>,
}

impl Cache {
    fn new(heads: usize, head: usize, capacity: usize) -> Self {
        let rows = F16.some(99, heads * head * capacity);
        Self { heads, head, capacity, rows: narrowed(BF16, &rows) }
    }

    /// Writes a row of each head, row after row, at an index of the ring.
    fn put(&mut self, rows: &[f64], place: usize) {
        for (head, row) in rows.chunks(self.head).enumerate() {
            let at = (head * self.capacity + place % self.capacity) * self.head;
            self.rows[at..at + self.head].copy_from_slice(row);
        }
    }

    fn row(&self) -> usize {
        self.heads * self.head
    }
}

#[track_caller]
fn holds(kernel: &str, number: Number, found: &[u8], expected: &Cache) {
    near(kernel, &number.decode(found), &narrowed(number, &expected.rows), 0.0);
}

fn kernels() -> Kernels {
    Kernels::open("mlx-native", "kv_cache_copy.metal")
}

#[test]
fn rows_of_all_heads() {
    // Positions before heads: a row is all heads. Into the middle, and around the end of a ring.
    let kernels = kernels();
    let (row, capacity) = (40, 9);
    for (kernel, number) in [("kv_cache_copy", F16), ("kv_cache_copy_f32", F32)] {
        for (place, new, ring) in [(2, 1, 0), (0, 9, 0), (7, 4, 1), (16, 3, 1)] {
            let mut cache = Cache::new(1, row, capacity);
            let input = number.some(1, new * row);
            let launch = kernels.launch(kernel).numbers(number, &input);
            let launch = launch.numbers(number, &cache.rows).words([place]).words([row]);
            let (groups, threads) = lined(new * row);
            let launch = launch.words([new]).words([capacity]).words([ring]);
            let out = launch.groups(groups, threads, 1);
            for (at, rows) in input.chunks(row).enumerate() {
                cache.put(rows, place + at);
            }
            holds(kernel, number, &out, &cache);
        }
    }
}

/// The keys, the values or both; the caches' type.
const SINGLE: [(&str, bool, Number); 4] = [
    ("f32", false, F32),
    ("f32_to_f16", false, F16),
    ("f32_kv_dual", true, F32),
    ("f32_to_f16_kv_dual", true, F16),
];

/// Inputs, then caches: of one kind, or of both.
fn bound<'a>(
    launch: Launch<'a>,
    both: bool,
    (read, inputs): (Number, &[Vec<f64>; 2]),
    (write, cache): (Number, &Cache),
) -> Launch<'a> {
    match both {
        false => launch.numbers(read, &inputs[0]).numbers(write, &cache.rows),
        true => launch
            .numbers(read, &inputs[0])
            .numbers(read, &inputs[1])
            .numbers(write, &cache.rows)
            .numbers(write, &cache.rows),
    }
}

/// The indices of the caches among the buffers; the same twice for one.
fn caches(both: bool) -> [usize; 2] {
    if both { [2, 3] } else { [1, 1] }
}

#[test]
fn one_position() {
    let kernels = kernels();
    for (heads, head, capacity, place) in [(1, 16, 3, 0), (5, 33, 7, 6), (8, 128, 4, 1)] {
        for (name, both, number) in SINGLE {
            let kernel = format!("kv_cache_copy_batch_{name}");
            let cache = Cache::new(heads, head, capacity);
            let inputs = [1, 2].map(|seed| F32.some(seed, cache.row()));
            let launch = kernels.launch(&kernel);
            let launch = bound(launch, both, (F32, &inputs), (number, &cache));
            let launch = launch.words([heads]).words([head]).words([capacity]).words([place]);
            let out = launch.grid((head, heads, 1), TILE, caches(both));
            for (out, input) in out.iter().zip(&inputs).take(1 + usize::from(both)) {
                let mut expected = cache.clone();
                expected.put(input, place);
                holds(&kernel, number, out, &expected);
            }
        }
    }
    // Several sequences at once, each with a cache and a position of its own.
    let kernel = "kv_cache_copy_batch_f32_to_f16_batched";
    let (heads, head, capacity) = (3, 20, 5);
    let (slots, places) = ([2usize, 0, 3], [4usize, 1, 3]);
    for ring in [0, 1] {
        let places = places.map(|place| place + ring * 7);
        let caches = vec![Cache::new(heads, head, capacity); 4];
        let input = F32.some(3, 3 * heads * head);
        let all: Vec<f64> = caches.iter().flat_map(|cache| cache.rows.clone()).collect();
        let launch = kernels.launch(kernel).numbers(F32, &input).numbers(F16, &all);
        let launch = launch.words(slots).words(places).words([heads]).words([head]);
        let [out] = launch.words([capacity]).words([ring]).grid((head, heads, 3), TILE, [1]);
        let mut expected = caches;
        for (at, rows) in input.chunks(heads * head).enumerate() {
            expected[slots[at]].put(rows, places[at]);
        }
        for (out, cache) in out.chunks(out.len() / 4).zip(&expected) {
            holds(kernel, F16, out, cache);
        }
    }
}

#[test]
fn several_positions() {
    let kernels = kernels();
    let rows = [
        ("seq_f32", false, F32, F32),
        ("seq_f32_kv_dual", true, F32, F32),
        ("seq_f32_to_f16_kv_dual", true, F32, F16),
        ("seq_f32_to_f16", false, F32, F16),
        ("seq_bf16", false, BF16, F32),
        ("seq_bf16_to_bf16_head_major", false, BF16, BF16),
    ];
    // From the source's third row on; the last ones around the end of the ring.
    for (heads, head, capacity, start, new) in
        [(1, 16, 4, 0, 1), (3, 33, 8, 2, 5), (4, 64, 6, 10, 4)]
    {
        for (name, both, read, write) in rows {
            let kernel = format!("kv_cache_copy_{name}");
            let cache = Cache::new(heads, head, capacity);
            let (skipped, length) = (2, new + 2);
            let inputs = [1, 2].map(|seed| read.some(seed, length * cache.row()));
            let launch = kernels.launch(&kernel);
            let launch = bound(launch, both, (read, &inputs), (write, &cache));
            let launch = launch.words([heads]).words([head]).words([capacity]).words([start]);
            let launch = launch.words([new]).words([skipped]).words([length]);
            let out = launch.grid((head, heads, new), TILE, caches(both));
            for (out, input) in out.iter().zip(&inputs).take(1 + usize::from(both)) {
                let mut expected = cache.clone();
                for at in 0..new {
                    // Positions before heads, or heads before positions.
                    let row = |of: usize| match name.ends_with("head_major") {
                        true => (of * length + skipped + at) * head,
                        false => ((skipped + at) * heads + of) * head,
                    };
                    let all = (0..heads).flat_map(|of| input[row(of)..][..head].to_vec());
                    expected.put(&all.collect::<Vec<f64>>(), start + at);
                }
                holds(&kernel, write, out, &expected);
            }
        }
    }
}

#[test]
fn rings_made_straight() {
    let (heads, ring, straight, history, end, bytes) =
        (3usize, 8usize, 10usize, 6usize, 19usize, 34usize);
    let kernels = kernels();
    let input: Vec<u8> = noise(5).take(heads * ring * bytes).map(|bits| bits as u8).collect();
    let launch = kernels.launch("kv_cache_linearize_ring_bytes").bytes(&input);
    let launch = launch.bytes(&vec![7; heads * straight * bytes]).words([heads]).words([ring]);
    let launch = launch.words([straight]).words([history]).words([end]).words([bytes]);
    let [out] = launch.grid((bytes, heads, history), TILE, [1]);
    let mut expected = vec![7; heads * straight * bytes];
    for (head, at) in (0..heads).flat_map(|head| (0..history).map(move |at| (head, at))) {
        let from = (head * ring + (end - history + at) % ring) * bytes;
        let to = (head * straight + at) * bytes;
        expected[to..to + bytes].copy_from_slice(&input[from..from + bytes]);
    }
    near("kv_cache_linearize_ring_bytes", &U8.decode(&out), &U8.decode(&expected), 0.0);
}
