//! mlx-native's caches of keys and values that are indices of codebooks: how they are written and read, and attention over them.
//!
//! An index is right if the number is between the boundaries of its interval, give or take 1e-4. Norms and values that are read are
//! products of few factors, 1e-5. Attention has the errors of `exp` and of sums of up to 512 products, 1e-4.

use Number::{F16, F32, U8};
use kernels::numbers::{Number, near, noise};
use kernels::references::{attention, hadamard};
use kernels::run::Kernels;
use kernels::structs::Struct;

fn open(file: &str) -> Kernels {
    Kernels::open("mlx-native", file)
}

/// A table of numbers in the source.
fn table(kernels: &Kernels, name: &str) -> Vec<f64> {
    let text = kernels.text();
    let start = format!("{name}[");
    let (_, list) = text
        .match_indices(&start)
        .filter_map(|(at, _)| text[at..].split_once(']'))
        .find_map(|(_, rest)| rest.trim_start().strip_prefix('=')?.split_once('{'))
        .unwrap_or_else(|| panic!("no table {name}"));
    let (list, _) = list.split_once('}').unwrap();
    let items = list.lines().flat_map(|line| line.split("//").next().unwrap().split(','));
    let number = |item: &str| match item.strip_prefix("0x") {
        Some(digits) => f64::from(u8::from_str_radix(digits, 16).unwrap()),
        None => item.trim_end_matches('f').parse().unwrap(),
    };
    items.map(str::trim).filter(|item| !item.is_empty()).map(number).collect()
}

/// Numbers with signs from a table of bits, then their Hadamard transform.
fn rotated(row: &[f64], signs: &[f64]) -> Vec<f64> {
    hadamard(&signed(row, signs))
}

fn signed(row: &[f64], signs: &[f64]) -> Vec<f64> {
    let negative = |at: usize| signs[at / 8] as u8 >> (at % 8) & 1 != 0;
    row.iter().enumerate().map(|(at, &x)| if negative(at) { -x } else { x }).collect()
}

/// Heads of one length.
#[derive(Clone, Copy)]
struct Heads {
    count: usize,
    length: usize,
    /// The positions that a cache has.
    capacity: usize,
    /// Long heads are scaled by it.
    factor: f32,
}

impl Heads {
    /// The norms of a head: one, or one for each 256 numbers.
    fn norms(self) -> usize {
        self.length / 256
    }

    /// The norms of a row, and the row scaled to the codebook's range.
    fn scaled(self, row: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let squares = |part: &[f64]| part.iter().map(|x| x * x).sum::<f64>();
        if self.length == 256 {
            let norm = squares(row).sqrt();
            return (vec![norm], row.iter().map(|x| x / norm * 16.0).collect());
        }
        let norms: Vec<f64> = row.chunks(256).map(|part| (squares(part) / 256.0).sqrt()).collect();
        let factor = f64::from(self.factor);
        let scaled = row.iter().enumerate().map(|(at, x)| x / norms[at / 256] * factor).collect();
        (norms, scaled)
    }

    /// The numbers that indices and norms stand for.
    fn read(self, indices: &[f64], norms: &[f64], codebook: &[f64]) -> Vec<f64> {
        let scale = |at: usize| match self.length {
            256 => norms[0] / 16.0,
            _ => norms[at / 256] / f64::from(self.factor),
        };
        let each = indices.iter().enumerate();
        each.map(|(at, &index)| codebook[index as usize % codebook.len()] * scale(at)).collect()
    }

    /// The position that a write to a ring has.
    fn wrapped(self, position: usize, ring: bool) -> usize {
        if ring { position % self.capacity } else { position }
    }

    /// Checks what was written for a head at a row of the cache.
    fn written(self, what: &str, cache: &Cache<'_>, row: usize, expected: &[f64]) {
        let (norms, scaled) = self.scaled(expected);
        let found = &cache.indices[row * self.length..][..self.length];
        let found_norms = &F32.decode(cache.norms)[row * norms.len()..][..norms.len()];
        near(what, found_norms, &norms, 1e-5);
        for (at, (&index, x)) in found.iter().zip(scaled).enumerate() {
            let index = index as usize;
            let least = index.checked_sub(1).map_or(f64::NEG_INFINITY, |at| cache.bounds[at]);
            let most = cache.bounds.get(index).copied().unwrap_or(f64::INFINITY);
            assert!(
                least - 1e-4 < x && x <= most + 1e-4,
                "{what}: element {at} of row {row} is {index} for {x}"
            );
        }
    }
}

/// A cache that a kernel wrote.
struct Cache<'a> {
    indices: Vec<f64>,
    norms: &'a [u8],
    /// The upper ends of the intervals.
    bounds: &'a [f64],
}

/// Indices of four bits, the lower ones first.
fn nibbles(bytes: &[u8]) -> Vec<f64> {
    bytes.iter().flat_map(|byte| [f64::from(byte & 15), f64::from(byte >> 4)]).collect()
}

const ONE: (usize, usize, usize) = (32, 1, 1);

#[test]
fn indices_of_four_bits() {
    let slow = open("hadamard_quantize_kv.metal");
    let fast = open("hadamard_quantize_kv_fast.metal");
    let bounds = table(&fast, "BOUNDARIES_4BIT");
    for (length, ring) in [(256, true), (512, false)] {
        let heads = Heads { count: 3, length, capacity: 5, factor: 1.25 };
        let position = if ring { 13 } else { 2 };
        let own = |ring: bool| {
            let numbers = [length, heads.count, position, heads.capacity, usize::from(ring)];
            Struct::new().u32(numbers.map(|number| number as u32))
        };
        let at = heads.wrapped(position, ring);
        let (keys, values) = (F32.some(1, 3 * length), F32.some(2, 3 * length));
        let rows = heads.count * heads.capacity;
        let (room, norms) = (rows * length / 2, rows * heads.norms() * 4);

        // The slow one has one norm, also of long heads, and no signs.
        let launch = slow.launch("hadamard_quantize_kv").numbers(F32, &keys).room(room);
        let launch = launch.room(rows * 4).bytes(&own(ring).bytes()).memory(0, length * 8);
        let [packed, lengths] = launch.results((3, 1, 1), (length, 1, 1), [1, 2]);
        let (indices, lengths) = (nibbles(&packed), F32.decode(&lengths));
        for head in 0..heads.count {
            let row = hadamard(&keys[head * length..][..length]);
            let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            near("hadamard_quantize_kv", &[lengths[head * 5 + at]], &[norm], 1e-5);
            let scaled = row.iter().map(|x| x / norm * (length as f64).sqrt());
            let found = &indices[(head * 5 + at) * length..][..length];
            for (x, &index) in scaled.zip(found) {
                let count = |x: f64| bounds.iter().filter(|&&bound| x > bound).count() as f64;
                assert!(
                    (count(x - 1e-4)..=count(x + 1e-4)).contains(&index),
                    "{x} has index {index}"
                );
            }
        }

        let signs = table(&fast, &format!("TBQ_SIGNS_{length}"));
        let parameters = |probe: u32| own(ring).f32([heads.factor]).u32([probe]).bytes();
        let check = |what: &str, packed: &[u8], norms: &[u8], from: &[f64]| {
            let cache = Cache { indices: nibbles(packed), norms, bounds: &bounds };
            for head in 0..heads.count {
                let row = rotated(&from[head * length..][..length], &signs);
                heads.written(what, &cache, head * 5 + at, &row);
            }
        };
        let name = format!("hadamard_quantize_kv_fast_d{length}");
        let launch = fast.launch(&name).numbers(F32, &keys).room(room).room(norms);
        let launch = launch.bytes(&parameters(1)).room(3 * length * 4);
        let [packed, lengths, probe] = launch.results((3, 1, 1), ONE, [1, 2, 4]);
        check(&name, &packed, &lengths, &keys);
        let scaled = keys.chunks(length).flat_map(|row| heads.scaled(&rotated(row, &signs)).1);
        near(&name, &F32.decode(&probe), &scaled.collect::<Vec<_>>(), 1e-4);

        let name = format!("hadamard_quantize_kv_fast_dual_d{length}");
        let launch = fast.launch(&name).numbers(F32, &keys).numbers(F32, &values).room(room);
        let launch = launch.room(room).room(norms).room(norms).bytes(&parameters(0));
        let all = launch.results((3, 1, 2), ONE, [2, 3, 4, 5]);
        check(&name, &all[0], &all[2], &keys);
        check(&name, &all[1], &all[3], &values);
    }
}

#[test]
fn indices_of_more_bits() {
    let kernels = open("hadamard_quantize_kv_fast.metal");
    for (length, bits) in [(256, 5), (256, 6), (256, 8), (512, 5), (512, 6), (512, 8)] {
        let heads = Heads { count: 2, length, capacity: 4, factor: 0.875 };
        let ring = bits == 6;
        let bounds = table(&kernels, &format!("BOUNDARIES_{bits}BIT"));
        let signs = table(&kernels, &format!("TBQ_SIGNS_{length}"));
        let parameters = |position: usize, ring: bool, arena: u32| {
            let numbers = [length, 2, position, heads.capacity, usize::from(ring)];
            let own = Struct::new().u32(numbers.map(|number| number as u32));
            own.f32([heads.factor]).u32([bits, arena]).bytes()
        };
        let (rows, tokens) = (2 * heads.capacity, 3);
        let (room, norms) = (rows * length, rows * heads.norms() * 4);
        let (keys, values) = (F32.some(3, 6 * length), F32.some(4, 2 * length));
        let cache = |packed: &[u8], norms: &[u8], what: &str, row: usize, expected: &[f64]| {
            let cache = Cache { indices: U8.decode(packed), norms, bounds: &bounds };
            heads.written(what, &cache, row, expected);
        };
        let turn = |row: &[f64]| rotated(row, &signs);

        let name = format!("hadamard_quantize_kv_hb_d{length}");
        let start = if ring { 6 } else { 1 };
        let launch = kernels.launch(&name).numbers(F32, &keys).room(room).room(norms);
        let launch = launch.bytes(&parameters(start, ring, 0));
        let [packed, lengths] = launch.results((2, tokens, 1), ONE, [1, 2]);
        for (at, row) in keys.chunks(length).enumerate() {
            let position = heads.wrapped(start + at / 2, ring);
            cache(&packed, &lengths, &name, at % 2 * 4 + position, &turn(row));
        }

        // Three tokens of streams of their own; of the third the cache is too short, so that it is left out.
        let name = format!("hadamard_quantize_kv_hb_batched_d{length}");
        for banked in [false, true] {
            let (places, arena) = if banked { ([5, 0, 9], 13) } else { ([1, 0, 1], 0) };
            let capacities = if banked { [4, 2, 2] } else { [0, 0, 0] };
            let rows = if banked { 13 } else { 16 };
            let launch = kernels.launch(&name).numbers(F32, &keys).room(rows * length);
            let launch = launch.room(rows * heads.norms() * 4);
            let launch = launch.bytes(&parameters(0, false, arena)).words(places);
            let launch = launch.words([3, 1, 4]).words(capacities);
            let [packed, lengths] = launch.results((2, tokens, 1), ONE, [1, 2]);
            for (at, row) in keys.chunks(length).take(4).enumerate() {
                let (token, head) = (at / 2, at % 2);
                let capacity = if banked { capacities[token] } else { heads.capacity };
                let base = if banked { places[token] } else { places[token] * 2 * capacity };
                let to = base + head * capacity + [3, 1][token];
                cache(&packed, &lengths, &name, to, &turn(row));
            }
            let written = packed.iter().filter(|&&byte| byte != 0xa5).count();
            assert!(written <= 4 * length, "{name}: {written} bytes are written");
        }

        let name = format!("kv_quantize_v_no_fwht_d{length}");
        let launch = kernels.launch(&name).numbers(F32, &values).room(room).room(norms);
        let launch = launch.bytes(&parameters(start, ring, 0));
        let [packed, lengths] = launch.results((2, 1, 1), ONE, [1, 2]);
        let at = heads.wrapped(start, ring);
        for (head, row) in values.chunks(length).enumerate() {
            cache(&packed, &lengths, &name, head * 4 + at, row);
        }

        let name = format!("hadamard_quantize_kv_hb_dual_d{length}");
        let launch = kernels.launch(&name).numbers(F32, &keys[..2 * length]);
        let launch = launch.numbers(F32, &values).room(room).room(room).room(norms).room(norms);
        let launch = launch.bytes(&parameters(start, ring, 0));
        let all = launch.results((2, 1, 2), ONE, [2, 3, 4, 5]);
        for (head, (key, value)) in keys.chunks(length).zip(values.chunks(length)).enumerate() {
            cache(&all[0], &all[2], &name, head * 4 + at, &turn(key));
            cache(&all[1], &all[3], &name, head * 4 + at, &turn(value));
        }

        let name = format!("kv_copy_kf16_quantize_v_no_fwht_d{length}");
        let launch = kernels.launch(&name).numbers(F32, &keys[..2 * length]);
        let launch = launch.numbers(F32, &values).room(room * 2).room(room).room(norms);
        let launch = launch.bytes(&parameters(start, ring, 0));
        let [copied, packed, lengths] = launch.results((2, 1, 2), ONE, [2, 3, 4]);
        let copied = F16.decode(&copied);
        for (head, (key, value)) in keys.chunks(length).zip(values.chunks(length)).enumerate() {
            let to = head * 4 + at;
            let halves: Vec<f64> = key.iter().map(|&x| F16.rounded(x)).collect();
            near(&name, &copied[to * length..][..length], &halves, 0.0);
            cache(&packed, &lengths, &name, to, value);
        }
    }
}

/// Bytes, and norms between 1 and 3.
fn stored(seed: u64, bytes: usize, norms: usize) -> (Vec<u8>, Vec<f64>) {
    let norms = F32.some(seed, norms).iter().map(|x| F32.rounded(x / 2.0 + 2.0)).collect();
    (noise(seed).take(bytes).map(|bits| bits as u8).collect(), norms)
}

#[test]
fn indices_are_read() {
    let kernels = open("tq_dequantize_kv.metal");
    for length in [256, 512] {
        let heads = Heads { count: 2, length, capacity: 5, factor: 1.25 };
        let (each, rows) = (heads.norms(), 10);
        let own = |start: usize, numbers: &[u32]| {
            let all = [length, 2, start].map(|number| number as u32);
            numbers.iter().fold(Struct::new().u32(all), |own, &number| own.u32([number]))
        };
        let read = |indices: &[f64], norms: &[f64], row: usize, codebook: &[f64]| {
            heads.read(&indices[row * length..][..length], &norms[row * each..][..each], codebook)
        };
        let (packed, norms) = stored(5, rows * length / 2, rows * each);
        let (indices, codebook) = (nibbles(&packed), table(&kernels, "CODEBOOK_4BIT_DQ"));
        let launch = kernels.launch("tq_dequantize_kv").bytes(&packed).numbers(F32, &norms);
        let launch = launch.room(2 * length * 4);
        let launch = launch.bytes(&own(3, &[5, each as u32]).f32([heads.factor]).bytes());
        let out = launch.groups((2, 1, 1), (length, 1, 1), 2);
        let expected: Vec<f64> =
            (0..2).flat_map(|head| read(&indices, &norms, head * 5 + 3, &codebook)).collect();
        near("tq_dequantize_kv", &F32.decode(&out), &expected, 1e-5);

        for bits in [5, 6, 8] {
            let codebook = table(&kernels, &format!("CODEBOOK_{bits}BIT_DQ"));
            let (packed, norms) = stored(6, rows * length, rows * each);
            let indices = U8.decode(&packed);
            let launch = kernels.launch("tq_dequantize_hb_kv").bytes(&packed);
            let launch = launch.numbers(F32, &norms).room(2 * length * 4);
            let own_of = |start, numbers: &[u32]| {
                own(start, numbers).f32([heads.factor]).u32([bits]).bytes()
            };
            let launch = launch.bytes(&own_of(3, &[5, each as u32]));
            let out = launch.groups((2, 1, 1), (length, 1, 1), 2);
            let expected: Vec<f64> =
                (0..2).flat_map(|head| read(&indices, &norms, head * 5 + 3, &codebook)).collect();
            near("tq_dequantize_hb_kv", &F32.decode(&out), &expected, 1e-5);

            // Three positions from the second one on.
            let rows = (0..6).map(|at| at / 3 * 5 + 1 + at % 3);
            let expected: Vec<f64> =
                rows.flat_map(|row| read(&indices, &norms, row, &codebook)).collect();
            for (name, number) in
                [("tq_dequantize_hb_kv_seq", F32), ("tq_dequantize_hb_kv_seq_f16", F16)]
            {
                let launch = kernels.launch(name).bytes(&packed).numbers(F32, &norms);
                let launch = launch.room(6 * length * number.size());
                let launch = launch.bytes(&own_of(1, &[3, 5, each as u32]));
                let out = launch.groups((2, 3, 1), (length, 1, 1), 2);
                near(name, &number.decode(&out), &expected, 1e-5 + number.epsilon() / 2.0);
            }
        }
    }
}

/// Which positions a query sees.
#[derive(Clone, Copy)]
struct Seen {
    /// How many the cache has.
    length: usize,
    /// The last ones that count; all, if it is 0.
    window: usize,
    /// The position that was written first.
    start: usize,
}

/// The parameters that all kernels for attention begin with.
fn parameters(heads: Heads, queries: usize, seen: Seen, scale: f32, groups: u32) -> Struct {
    let numbers = [queries, heads.count, heads.length, seen.length, heads.capacity];
    let masks = [if seen.window > 0 { 2 } else { 1 }, seen.window as u32];
    let own = Struct::new().u32(numbers.map(|number| number as u32)).f32([scale]).u32(masks);
    own.f32([0.0]).u32([groups, seen.start as u32])
}

/// The results of queries, whose heads share those of the keys and values.
fn expected(
    heads: Heads,
    queries: &[f64],
    keys: &[f64],
    values: &[f64],
    seen: Seen,
    scale: f64,
) -> Vec<f64> {
    let (length, count) = (heads.length, queries.len() / heads.length);
    let one = |at: usize| {
        let first = at / (count / heads.count) * heads.capacity * length;
        let part = |all: &[f64]| all[first..first + seen.length * length].to_vec();
        let query: Vec<f64> =
            queries[at * length..][..length].iter().map(|&x| F16.rounded(x)).collect();
        let mask = |key: usize| {
            let order = (key + heads.capacity - seen.start) % heads.capacity;
            let hidden = seen.window > 0 && order + seen.window < seen.length;
            if hidden { f64::NEG_INFINITY } else { 0.0 }
        };
        attention(&query, &part(keys), &part(values), scale, mask)
    };
    (0..count).flat_map(one).collect()
}

#[test]
fn attention_over_four_bits() {
    for length in [256, 512] {
        let kernels = open("flash_attn_vec_tq.metal");
        let codebook = table(&kernels, "CODEBOOK_4BIT");
        let heads = Heads { count: 2, length, capacity: 80, factor: 1.25 };
        let (rows, queries) = (160, F32.some(1, 4 * length));
        let scale = 0.5 / (length as f64).sqrt();
        for (seen, groups) in [
            (Seen { length: 45, window: 0, start: 0 }, 1),
            (Seen { length: 80, window: 50, start: 30 }, 1),
        ] {
            let sides = [2, 3].map(|seed| stored(seed, rows * length / 2, rows * heads.norms()));
            let read = |(packed, norms): &(Vec<u8>, Vec<f64>)| -> Vec<f64> {
                let each = nibbles(packed);
                let rows = each.chunks(length).zip(norms.chunks(heads.norms()));
                rows.flat_map(|(row, norms)| heads.read(row, norms, &codebook)).collect()
            };
            let name = format!("flash_attn_vec_tq_dk{length}");
            let own = parameters(heads, 4, seen, scale as f32, groups).f32([heads.factor]);
            let launch = kernels.launch(&name).bytes(&own.bytes()).numbers(F32, &queries);
            let launch = sides
                .iter()
                .fold(launch, |launch, (packed, norms)| launch.bytes(packed).numbers(F32, norms));
            let launch = launch.room(4 * length * 4).memory(0, (3 * length + 128) * 2);
            let out = launch.groups((1, 4, 1), ONE, 6);
            let [keys, values] = sides.map(|side| read(&side));
            let wanted = expected(heads, &queries, &keys, &values, seen, scale);
            near(&name, &F32.decode(&out), &wanted, 1e-4);
        }
    }
}

/// A cache of indices of some bits, and what it stands for.
fn filled(heads: Heads, seed: u64, codebook: &[f64]) -> ((Vec<u8>, Vec<f64>), Vec<f64>) {
    let rows = heads.count * heads.capacity;
    let (packed, norms) = stored(seed, rows * heads.length, rows * heads.norms());
    let indices = U8.decode(&packed);
    let each = indices.chunks(heads.length).zip(norms.chunks(heads.norms()));
    let numbers = each.flat_map(|(row, norms)| heads.read(row, norms, codebook)).collect();
    ((packed, norms), numbers)
}

#[test]
fn attention_over_more_bits() {
    let kernels = open("flash_attn_vec_tq_hb.metal");
    let undo = open("flash_attn_vec_reduce_tq_hb_undo.metal");
    for (length, bits, simdgroups) in [(256, 5, 2), (256, 8, 1), (512, 6, 2)] {
        let codebook = table(&kernels, &format!("CODEBOOK_HB_{bits}BIT"));
        let signs = table(&kernels, &format!("TBQ_SIGNS_{length}_FA"));
        let heads = Heads { count: 2, length, capacity: 100, factor: 1.25 };
        let queries = F32.some(1, 4 * length);
        let turned: Vec<f64> =
            queries.chunks(length).flat_map(|row| rotated(row, &signs)).collect();
        let scale = 0.5 / (length as f64).sqrt();
        let ((keys, key_norms), all_keys) = filled(heads, 2, &codebook);
        let ((values, value_norms), all_values) = filled(heads, 3, &codebook);
        let memory = (length + simdgroups * (128 + 2 * length)) * 2;
        let threads = (32, simdgroups, 1);
        let run = |name: &str, own: Struct, groups: usize| {
            let launch = kernels.launch(name).constant(50, bits).bytes(&own.bytes());
            let launch = launch.numbers(F32, &queries).bytes(&keys).numbers(F32, &key_norms);
            let launch = launch.bytes(&values).numbers(F32, &value_norms);
            let launch = launch.room(4 * (length * groups + 2 * groups) * 4).memory(0, memory);
            launch.groups((1, 4, groups), threads, 6)
        };
        let name = format!("flash_attn_vec_tq_hb_dk{length}");
        for (seen, turn) in [
            (Seen { length: 77, window: 0, start: 0 }, 0),
            (Seen { length: 100, window: 40, start: 61 }, 1),
        ] {
            let own = parameters(heads, 4, seen, scale as f32, 1).f32([heads.factor]);
            let own = own.u32([bits as u32, turn, simdgroups as u32]);
            let out = run(&name, own, 1);
            let from = if turn == 1 { &turned } else { &queries };
            let wanted = expected(heads, from, &all_keys, &all_values, seen, scale);
            near(&name, &F32.decode(&out)[..4 * length], &wanted, 2e-4);
        }

        // In three parts, which another kernel adds up and turns back.
        let seen = Seen { length: 100, window: 0, start: 0 };
        let own = parameters(heads, 4, seen, scale as f32, 3).f32([heads.factor]);
        let parts = run(&name, own.u32([bits as u32, 0, simdgroups as u32]), 3);
        let name = format!("flash_attn_vec_reduce_tq_hb_undo_dk{length}");
        let launch = undo.launch(&name).words([4]).bytes(&parts).room(4 * length * 4);
        let launch = launch.words([3]).memory(0, length * 4);
        let out = launch.groups((4, 1, 1), (96, 1, 1), 2);
        let wanted = expected(heads, &queries, &all_keys, &all_values, seen, scale);
        let wanted: Vec<f64> =
            wanted.chunks(length).flat_map(|row| signed(&hadamard(row), &signs)).collect();
        near(&name, &F32.decode(&out), &wanted, 2e-4);

        if length == 256 {
            let name = "flash_attn_vec_tq_hb_gqa_q2_dk256";
            let own = parameters(heads, 4, seen, scale as f32, 1).f32([heads.factor]);
            let own = own.u32([bits as u32, 0, simdgroups as u32]);
            let launch = kernels.launch(name).constant(50, bits).bytes(&own.bytes());
            let launch = launch.numbers(F32, &queries).bytes(&keys).numbers(F32, &key_norms);
            let launch = launch.bytes(&values).numbers(F32, &value_norms).room(4 * length * 4);
            let launch = launch.memory(0, 2 * simdgroups * (128 + 2 * length) * 2);
            let out = launch.groups((1, 2, 1), threads, 6);
            let wanted = expected(heads, &queries, &all_keys, &all_values, seen, scale);
            near(name, &F32.decode(&out), &wanted, 2e-4);
        }
    }
}

#[test]
fn attention_over_caches_of_several_streams() {
    let kernels = open("flash_attn_vec_tq_hb.metal");
    for (length, bits) in [(256, 6), (512, 5)] {
        let codebook = table(&kernels, &format!("CODEBOOK_HB_{bits}BIT"));
        // One pool of rows, from which each of three streams has some; the last one has too few.
        let pool = Heads { count: 1, length, capacity: 200, factor: 1.25 };
        let (places, capacities, positions) = ([20, 130, 0], [50, 35, 10], [40, 34, 10]);
        let queries = F32.some(1, 3 * 4 * length);
        let scale = 0.5 / (length as f64).sqrt();
        let ((keys, key_norms), all_keys) = filled(pool, 2, &codebook);
        let ((values, value_norms), all_values) = filled(pool, 3, &codebook);
        let shape = Heads { count: 2, ..pool };
        let seen = Seen { length: 0, window: 0, start: 0 };
        let own = parameters(shape, 4, seen, scale as f32, 1).f32([pool.factor]);
        let own = own.u32([bits as u32, 0, 1, 3, 200]);
        let name = format!("flash_attn_vec_tq_hb_batched_dk{length}");
        let launch = kernels.launch(&name).constant(50, bits).bytes(&own.bytes());
        let launch = launch.numbers(F32, &queries).bytes(&keys).numbers(F32, &key_norms);
        let launch = launch.bytes(&values).numbers(F32, &value_norms);
        let launch = launch.room(12 * length * 4).words(places).words(positions);
        let launch = launch.words(capacities).memory(0, (3 * length + 128) * 2);
        let out = F32.decode(&launch.groups((3, 4, 1), ONE, 6));
        for (at, found) in out.chunks(4 * length).enumerate() {
            let first = places[at] * length;
            let heads = Heads { capacity: capacities[at], ..shape };
            let seen = Seen { length: positions[at] + 1, ..seen };
            let own = &queries[at * 4 * length..][..4 * length];
            let wanted = match positions[at] < capacities[at] {
                true => expected(heads, own, &all_keys[first..], &all_values[first..], seen, scale),
                false => vec![0.0; 4 * length],
            };
            near(&name, found, &wanted, 2e-4);
        }
    }
}

#[test]
fn attention_by_tiles() {
    let kernels = open("flash_attn_vec_tq_v2.metal");
    let codebook = table(&kernels, "CODEBOOK_4BIT");
    for length in [256, 512] {
        let heads = Heads { count: 2, length, capacity: 80, factor: 1.0 };
        let (rows, queries) = (160, F32.some(1, 4 * length));
        let scale = 0.5 / (length as f64).sqrt();
        let sides = [2, 3].map(|seed| stored(seed, rows * length / 2, rows));
        // Long heads have one norm, too, and tiles are of halves.
        let [keys, values] = sides.each_ref().map(|(packed, norms)| -> Vec<f64> {
            let number = |(at, index): (usize, f64)| {
                let norm = norms[at / length] / (length as f64).sqrt();
                F16.rounded(codebook[index as usize] * norm)
            };
            nibbles(packed).into_iter().enumerate().map(number).collect()
        });
        for window in [0, 50] {
            let seen = Seen { length: 75, window, start: 0 };
            let own = parameters(heads, 4, seen, scale as f32, 1).bytes();
            let name = format!("flash_attn_vec_tq_v2_dk{length}");
            let launch = kernels.launch(&name).bytes(&own).numbers(F32, &queries);
            let launch = sides
                .iter()
                .fold(launch, |launch, (packed, norms)| launch.bytes(packed).numbers(F32, norms));
            let launch = launch.room(4 * length * 4);
            let out = launch.memory(0, (3 * length + 128 + 8192) * 2).groups((1, 4, 1), ONE, 6);
            let wanted = expected(heads, &queries, &keys, &values, seen, scale);
            near(&name, &F32.decode(&out), &wanted, 1e-3);
        }
    }
}

#[test]
fn attention_with_keys_of_halves() {
    let kernels = open("flash_attn_vec_hybrid.metal");
    for (length, bits, halves) in [(256, 8, false), (512, 6, false), (256, 5, true), (512, 5, true)]
    {
        let codebook = table(&kernels, &format!("CODEBOOK_HB_{bits}BIT"));
        let scale = 0.5 / (length as f64).sqrt();
        // Two streams, one after the other.
        let cache = Heads { count: 4, length, capacity: 60, factor: 1.25 };
        let heads = Heads { count: 2, ..cache };
        let keys = F16.some(2, cache.count * cache.capacity * length);
        let ((packed, norms), decoded) = filled(cache, 3, &codebook);
        let (packed, values) = match halves {
            true => {
                let values = F16.some(3, keys.len());
                (F16.encode(&values), values)
            }
            false => (packed, decoded),
        };
        let queries = F32.some(1, 2 * 4 * length);
        let begin = |name: &str, own: Struct, queries: &[f64]| {
            let own = own.f32([cache.factor]).u32([bits as u32, 0, 2, 2]);
            let launch = kernels.launch(name).constant(50, bits).constant(51, i32::from(halves));
            let launch = launch.bytes(&own.bytes()).numbers(F32, queries).numbers(F16, &keys);
            let launch = launch.bytes(&packed).numbers(F32, &norms).room(8 * length * 4);
            launch.memory(0, (length + 2 * (128 + 2 * length)) * 2)
        };
        let seen = Seen { length: 60, window: 25, start: 17 };
        let name = format!("flash_attn_vec_hybrid_dk{length}");
        let own = parameters(heads, 4, seen, scale as f32, 1);
        let out = begin(&name, own, &queries[..4 * length]).groups((1, 4, 1), (32, 2, 1), 5);
        let wanted = expected(heads, &queries[..4 * length], &keys, &values, seen, scale);
        near(&name, &F32.decode(&out)[..4 * length], &wanted, 2e-4);

        // The second stream, then the first one.
        let (slots, positions) = ([1, 0], [40, 59]);
        let name = format!("flash_attn_vec_hybrid_batched_dk{length}");
        let own = parameters(heads, 4, Seen { length: 0, window: 0, start: 0 }, scale as f32, 1);
        let launch = begin(&name, own, &queries).words(slots).words(positions);
        let out = launch.groups((2, 4, 1), (32, 2, 1), 5);
        for (at, found) in F32.decode(&out).chunks(4 * length).enumerate() {
            let first = slots[at] * 2 * cache.capacity * length;
            let seen = Seen { length: positions[at] + 1, window: 0, start: 0 };
            let own = &queries[at * 4 * length..][..4 * length];
            let wanted = expected(heads, own, &keys[first..], &values[first..], seen, scale);
            near(&name, found, &wanted, 2e-4);
        }
    }
}
