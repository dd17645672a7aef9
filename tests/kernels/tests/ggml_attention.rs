//! ggml's flash attention, for every type of keys and values and every size of heads.
//!
//! Tolerance: queries, probabilities and values become `half`s (`bfloat`s in the kernels for those), which is a few parts in 2¹¹
//! (2⁸) of results of about 1; quantised keys and values are made `half`s first.

use kernels::blocks::{FORMATS, Format};
use kernels::ggml::Ggml;
use kernels::numbers::{Number, near, noise};
use kernels::run::Launch;
use kernels::structs::Struct;

/// Heads of the queries, of which two share keys and values.
const HEADS: usize = 4;
const GROUPS: usize = 2;

/// The options of a launch.
#[derive(Clone, Copy, Debug)]
struct Options {
    queries: usize,
    keys: usize,
    mask: bool,
    sinks: bool,
    /// The largest slope's exponent (ALiBi), 0 for none.
    bias: f32,
    /// The soft cap of scores; 0 for none.
    cap: f32,
}

/// One launch's data; references are exact, what kernels read is rounded.
struct Attention {
    ggml: &'static Ggml,
    options: Options,
    /// Numbers of a key and of a value.
    sides: [usize; 2],
    query: Vec<f64>,
    /// Keys and values, as bytes and as they are; bytes of one, and of its parts.
    stored: [(Vec<u8>, Vec<f64>); 2],
    row: [usize; 2],
    unit: usize,
    mask: Vec<f64>,
    sinks: Vec<f64>,
}

impl Attention {
    fn some(ggml: &'static Ggml, ty: &str, sides: [usize; 2], options: Options) -> Self {
        let plain = Number::named(ty);
        let count = |side: usize| GROUPS * options.keys * side;
        let stored = [0, 1].map(|k| match plain {
            Some(number) => {
                let values = number.some(10 + k as u64, count(sides[k]));
                (number.encode(&values), values)
            }
            None => {
                let format = Format::named(ty);
                let blocks = format.some(10 + k as u64, count(sides[k]) / format.weights);
                let weights = format.weights(&blocks);
                (blocks, weights)
            }
        });
        let row = [0, 1].map(|k| stored[k].0.len() / (GROUPS * options.keys));
        let unit = plain.map_or_else(|| Format::named(ty).bytes, Number::size);
        // Some keys are not for some queries; the first is for all.
        let places = noise(12).take(options.queries * options.keys).enumerate();
        let mask = places.map(|(at, bits)| match bits % 5 {
            0 if at % options.keys > 0 => f64::NEG_INFINITY,
            bits => -(bits as f64) / 4.0,
        });
        Self {
            ggml,
            options,
            sides,
            query: Number::F32.some(13, HEADS * options.queries * sides[0]),
            stored,
            row,
            unit,
            mask: if options.mask { mask.collect() } else { Vec::new() },
            sinks: Number::F32.some(14, HEADS),
        }
    }

    fn scale(&self) -> f64 {
        1.0 / (self.sides[0] as f64).sqrt()
    }

    /// The slope of a head's mask.
    fn slope(&self, head: usize) -> f64 {
        match f64::from(self.options.bias) {
            0.0 => 1.0,
            bias => 2f64.powf(-bias * (head + 1) as f64 / HEADS as f64),
        }
    }

    /// For each query and head: the values, each as probable as its key fits.
    fn reference(&self) -> Vec<f64> {
        let Options { queries, keys, sinks, cap, .. } = self.options;
        let [side, width] = self.sides;
        let mut out = Vec::new();
        for query in 0..queries {
            for head in 0..HEADS {
                let group = head / (HEADS / GROUPS);
                let asked = &self.query[(head * queries + query) * side..][..side];
                let score = |key: usize| {
                    let stored = &self.stored[0].1[(group * keys + key) * side..][..side];
                    let dot: f64 = asked.iter().zip(stored).map(|(a, b)| a * b).sum();
                    let score = match f64::from(cap) {
                        0.0 => dot * self.scale(),
                        cap => (dot * self.scale() / cap).tanh() * cap,
                    };
                    let mask = self.mask.get(query * keys + key).copied().unwrap_or(0.0);
                    score + self.slope(head) * mask
                };
                let scores: Vec<f64> = (0..keys).map(score).collect();
                let sink = sinks.then_some(self.sinks[head]);
                let most = scores.iter().copied().chain(sink).fold(f64::NEG_INFINITY, f64::max);
                let parts: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
                let whole =
                    parts.iter().sum::<f64>() + sink.map_or(0.0, |sink| (sink - most).exp());
                out.extend((0..width).map(|at| {
                    let value = |key: usize| self.stored[1].1[(group * keys + key) * width + at];
                    let sum: f64 = parts.iter().enumerate().map(|(k, part)| part * value(k)).sum();
                    sum / whole
                }));
            }
        }
        out
    }

    /// The steps of keys or values: of one, of all of a group, of all.
    fn steps(&self, which: usize) -> [u64; 3] {
        let row = self.row[which];
        [row, row * self.options.keys, row * self.options.keys * GROUPS].map(|step| step as u64)
    }

    fn mask_sides(&self) -> [i32; 3] {
        [self.options.queries as i32, 1, 1]
    }

    fn mask_steps(&self) -> [u64; 3] {
        let row = 2 * self.options.keys as u64;
        [row, row * self.options.queries as u64, row * self.options.queries as u64]
    }

    fn mask_bytes(&self) -> Vec<u8> {
        if self.options.mask { Number::F16.encode(&self.mask) } else { vec![0] }
    }

    fn arguments(&self) -> Struct {
        let Options { queries, keys, cap, bias, .. } = self.options;
        let row = 4 * self.sides[0] as u64;
        let whole = [row, row * queries as u64, row * (queries * HEADS) as u64];
        let parts = [0, 1].map(|k| (self.row[k] / self.unit) as i32);
        let all = Struct::new().i32([queries as i32, HEADS as i32, 1]).u64(whole);
        let all = all.i32([keys as i32, GROUPS as i32, 1, parts[0]]).u64(self.steps(0));
        let all = all.i32([parts[1]]).u64(self.steps(1));
        let all = all.i32(self.mask_sides()).u64(self.mask_steps());
        let scale = self.scale() as f32 / if cap == 0.0 { 1.0 } else { cap };
        let slopes = [bias, bias / 2.0].map(|bias| 2f32.powf(-bias / HEADS as f32));
        let all =
            all.i32([HEADS as i32, queries as i32, 1]).f32([scale, bias, slopes[0], slopes[1]]);
        all.i32([HEADS as i32]).f32([cap])
    }

    /// A launch with the function constants that all kinds have, from `first` on.
    fn launch(&self, kernel: &str, first: usize, simdgroups: usize, pads: bool) -> Launch<'static> {
        let Options { mask, sinks, bias, cap, .. } = self.options;
        let launch = self.ggml.launch(kernel).constant(first, mask).constant(first + 1, sinks);
        let launch = launch.constant(first + 2, bias != 0.0).constant(first + 3, cap != 0.0);
        let launch = launch.constant(first + 4, pads);
        let parts = [0, 1].map(|k| (self.row[k] / self.unit) as i32);
        let launch = launch.constant(first + 20, parts[0]).constant(first + 21, parts[1]);
        launch.constant(first + 22, simdgroups as i32)
    }

    fn bind(&self, launch: Launch<'static>, kernel: &str, kargs: &str) -> Launch<'static> {
        let arguments = self.ggml.arguments(kernel, kargs, self.arguments());
        let launch = launch.bytes(&arguments).bytes(&Number::F32.encode(&self.query));
        // Values are read in units of 64 numbers: past the last one, there has to be something.
        let values = [self.stored[1].0.as_slice(), &[0; 64 * 4]].concat();
        let launch = launch.bytes(&self.stored[0].0).bytes(&values);
        launch.bytes(&self.mask_bytes()).bytes(&Number::F32.encode(&self.sinks))
    }

    /// The keys, values and mask after the last whole chunk, padded to a chunk by a kernel; empty if there are none.
    fn padding(&self, chunk: usize) -> Vec<u8> {
        if self.options.keys.is_multiple_of(chunk) {
            return vec![0];
        }
        let all = Struct::new().i32([self.options.keys as i32, GROUPS as i32, 1]);
        let all = all.u64(self.steps(0)).u64(self.steps(1));
        let all = all.i32(self.mask_sides()).u64(self.mask_steps());
        let mask = if self.options.mask { 2 * self.options.queries } else { 0 };
        let kernel = "kernel_flash_attn_ext_pad";
        let all = self.ggml.arguments(kernel, "flash_attn_ext_pad", all);
        let launch = self.ggml.launch(kernel);
        let launch = launch.constant(100, self.options.mask).constant(125, chunk as i32);
        let launch = launch.bytes(&all).bytes(&self.stored[0].0).bytes(&self.stored[1].0);
        let launch = launch.bytes(&self.mask_bytes());
        let launch = launch.room(chunk * (GROUPS * (self.row[0] + self.row[1]) + mask) + 64 * 4);
        launch.groups((chunk, GROUPS, 1), (32, 1, 1), 4)
    }

    /// Which blocks of the mask are masked as a whole, as a kernel finds it.
    fn blocks(&self, queries: usize, keys: usize) -> Vec<u8> {
        if !self.options.mask {
            return vec![0];
        }
        let all = Struct::new().i32([self.options.queries as i32, self.options.keys as i32]);
        let all = all.i32(self.mask_sides()).u64(self.mask_steps());
        let kernel = "kernel_flash_attn_ext_blk";
        let all = self.ggml.arguments(kernel, "flash_attn_ext_blk", all);
        let launch = self.ggml.launch(kernel);
        let launch = launch.constant(224, queries as i32).constant(225, keys as i32);
        let sides = [self.options.keys.div_ceil(keys), self.options.queries.div_ceil(queries)];
        let launch = launch.bytes(&all).bytes(&self.mask_bytes()).room(sides[0] * sides[1]);
        launch.groups((sides[0], sides[1], 1), (32, 1, 1), 2)
    }

    fn results(&self) -> usize {
        self.options.queries * HEADS * self.sides[1]
    }
}

/// A kernel's name with the type and sizes of heads in it, and the queries of a threadgroup if it has them.
type Kind<'a> = (&'a str, &'a str, [usize; 2], Option<usize>);

/// The kinds of kernels whose names begin so.
fn kinds<'a>(ggml: &'a Ggml, prefix: &str) -> Vec<Kind<'a>> {
    let mut found = Vec::new();
    for name in ggml.names() {
        let Some(rest) = name.strip_prefix(prefix) else { continue };
        let Some((ty, sides)) = rest.split_once("_dk") else { continue };
        let Some((key, value)) = sides.split_once("_dv") else { continue };
        // `_q2_ne4`: two queries for each threadgroup, four threads for each key.
        let (value, queries) = match value.split_once("_q") {
            Some((value, rest)) => (value, rest.split('_').next().and_then(|q| q.parse().ok())),
            None => (value, None),
        };
        let (Ok(key), Ok(value)) = (key.parse::<usize>(), value.parse::<usize>()) else { continue };
        let own = !ty.starts_with("vec_") && !ty.starts_with("tensor_");
        // A head that is not a whole number of blocks cannot be stored: its kernel cannot be launched.
        let part =
            FORMATS.iter().find(|format| format.name == ty).map_or(1, |format| format.weights);
        if own && key.is_multiple_of(part) && value.is_multiple_of(part) {
            found.push((name, ty, [key, value], queries));
        }
    }
    found
}

/// Every option in turn, with whole chunks of keys and parts of one.
fn options(at: usize, queries: usize) -> Options {
    Options {
        queries,
        keys: [128, 64, 77, 130][at % 4],
        mask: !at.is_multiple_of(3),
        sinks: at % 5 == 1,
        bias: if at % 6 == 2 { 8.0 } else { 0.0 },
        cap: if at % 4 == 3 { 1.5 } else { 0.0 },
    }
}

fn tolerance(ty: &str) -> f64 {
    if ty == "bf16" { 3e-2 } else { 5e-3 }
}

#[test]
fn many_queries() {
    for ggml in Ggml::all() {
        let kinds = kinds(ggml, "kernel_flash_attn_ext_");
        let mut ran = 0;
        for (at, (kernel, ty, sides, _)) in kinds.into_iter().enumerate() {
            let queries =
                ggml.defined(kernel, &["OP_FLASH_ATTN_EXT_NQPTG", "OP_FLASH_ATTN_EXT_NQPSG"]);
            let chunk = ggml.defined(kernel, &["OP_FLASH_ATTN_EXT_NCPSG"]);
            let all = Attention::some(ggml, ty, sides, options(at, [8, 13][at % 2]));
            let pads = !all.options.keys.is_multiple_of(chunk);
            let launch = all.launch(kernel, 300, SIMDGROUPS, pads);
            let launch = launch.constant(310, !all.options.queries.is_multiple_of(8));
            let launch = all.bind(launch, kernel, "flash_attn_ext");
            let launch = launch.bytes(&all.padding(chunk)).bytes(&all.blocks(queries, chunk));
            let own = if Number::named(ty).is_none() { 16 * 32 * SIMDGROUPS } else { 0 };
            let halves = queries * (sides[0] + 2 * sides[1].next_multiple_of(64) + 4 * chunk) + own;
            if 2 * halves > MAX_MEMORY {
                // ggml's program cannot launch it either.
                continue;
            }
            ran += 1;
            let launch =
                launch.room(all.results() * 4).memory(0, (2 * halves).next_multiple_of(16));
            let groups = (all.options.queries.div_ceil(queries), HEADS, 1);
            let out = Number::F32.decode(&launch.groups(groups, (32, SIMDGROUPS, 1), 8));
            near(&format!("{kernel} {:?}", all.options), &out, &all.reference(), tolerance(ty));
        }
        let count = if ggml.package == "whisper-rs-sys" { 74 } else { 98 };
        assert_eq!(ran, count, "{}: kernels for many queries", ggml.package);
    }
}

/// SIMD-groups of a threadgroup for many queries.
const SIMDGROUPS: usize = 4;
/// Threadgroup memory of a GPU.
const MAX_MEMORY: usize = 32 * 1024;

#[test]
fn one_query() {
    for ggml in Ggml::all() {
        let kinds = kinds(ggml, "kernel_flash_attn_ext_vec_");
        let count = if ggml.package == "whisper-rs-sys" { 64 } else { 418 };
        assert_eq!(kinds.len(), count, "{}: kernels for one query", ggml.package);
        for (at, (kernel, ty, sides, together)) in kinds.into_iter().enumerate() {
            let chunk = ggml.defined(kernel, &["OP_FLASH_ATTN_EXT_VEC_NCPSG"]);
            // How many queries a threadgroup takes.
            let queries = together.unwrap_or_else(|| {
                let names = ["OP_FLASH_ATTN_EXT_VEC_NQPTG", "OP_FLASH_ATTN_EXT_VEC_NQPSG"];
                ggml.defined(kernel, &names)
            });
            let all = Attention::some(ggml, ty, sides, options(at, [1, 3][at % 2]));
            let pads = !all.options.keys.is_multiple_of(chunk);
            // One threadgroup for all keys, or several, whose results are put together by another kernel.
            let parts = if at % 3 == 0 { 32 } else { 1 };
            let simdgroups = if parts == 1 { 2 } else { 1 };
            let launch = all.launch(kernel, 400, simdgroups, pads).constant(423, parts as i32);
            let rows = all.options.queries * HEADS;
            let room = match parts {
                1 => all.results(),
                _ => rows * parts * (sides[1] + 2),
            };
            let launch = launch.constant(405, false).constant(406, false);
            let launch = all.bind(launch, kernel, "flash_attn_ext_vec").bytes(&all.padding(chunk));
            // Newer ones have a list of keys after the results, which they read if a constant says so.
            let launch = launch.room(room * 4).bytes(&[0; 4]);
            let halves = queries * simdgroups * sides[0].next_multiple_of(128);
            let halves = halves + 4 * queries * chunk * simdgroups;
            let halves = halves + 2 * queries * sides[1].next_multiple_of(128) * simdgroups;
            // The kernels clear their sums a little past the end of the memory that their program requests.
            let launch = launch.memory(0, 2 * halves + 512);
            let groups = (all.options.queries.div_ceil(queries), HEADS, parts);
            let mut out = launch.groups(groups, (32, simdgroups, 1), 7);
            if parts > 1 {
                let launch = ggml.launch("kernel_flash_attn_ext_vec_reduce");
                let launch = launch.constant(500, sides[1] as i32).constant(501, parts as i32);
                let launch = launch.bytes(&(rows as i32).to_le_bytes()).bytes(&out);
                let launch = launch.room(all.results() * 4);
                out = launch.groups((rows, 1, 1), (32 * parts, 1, 1), 2);
            }
            let out = Number::F32.decode(&out);
            near(&format!("{kernel} {:?}", all.options), &out, &all.reference(), tolerance(ty));
        }
    }
}
