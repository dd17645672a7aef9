//! candle's sorts by merging, of blocks and of rows that take several blocks: exact, and all numbers differ, so that
//! there is one order of their indices. The 34 kernels that sort blocks without returning indices are left out: they still
//! read indices through a null pointer, which is a fault; candle's program does not launch them.

use kernels::numbers::{Number, near};
use kernels::run::Kernels;

const TYPES: [(&str, Number); 6] = [
    ("uint8", Number::U8),
    ("uint32", Number::U32),
    ("float16", Number::F16),
    ("float32", Number::F32),
    ("bfloat16", Number::BF16),
    ("int64", Number::I64),
];

fn kernels() -> Kernels {
    Kernels::open("candle-metal-kernels", "mlx_sort.metal")
}

/// Different numbers of a type, in no order: as many as it has, at most.
fn shuffled(number: Number, count: usize, seed: usize) -> Vec<f64> {
    let most = match number {
        Number::U8 | Number::BF16 => 256,
        Number::F16 => 2048,
        _ => 1 << 20,
    };
    let count = count.min(most);
    let next_prime = [257, 521, 1031, 2053, 4099, 8209, 16411].into_iter().find(|&p| p > count);
    let prime = next_prime.unwrap_or_else(|| panic!("{count} numbers are too many"));
    // The products of 1 to p - 1 with a number are a permutation modulo a prime p.
    let all = (1..prime).map(|k| k * (seed + 3) % prime - 1).filter(|&value| value < count);
    all.map(|value| value as f64).collect()
}

/// The indices of a row's numbers in ascending order.
fn order(row: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| row[a].total_cmp(&row[b]));
    order.into_iter().map(|at| at as f64).collect()
}

fn int(value: usize) -> [u8; 4] {
    (value as i32).to_le_bytes()
}

#[test]
fn blocks() {
    let kernels = kernels();
    let names = kernels.names();
    let mut ran = 0;
    for (name, number) in TYPES {
        for threads in [128usize, 256, 512] {
            for prefix in ["c", "nc"] {
                let kernel = format!("{prefix}arg_block_sort_{name}_uint32_bn{threads}_tn8");
                if !names.contains(&kernel) {
                    continue;
                }
                for long in [1, 100, threads * 8] {
                    let rows: Vec<Vec<f64>> =
                        (0..3).map(|seed| shuffled(number, long, seed)).collect();
                    let long = rows[0].len();
                    let launch = kernels.launch(&kernel).bytes(&number.encode(&rows.concat()));
                    let launch = launch.room(3 * long * 4).bytes(&int(long));
                    let launch = launch.bytes(&int(1)).bytes(&int(1));
                    let launch = match prefix {
                        "c" => launch.bytes(&int(long)).bytes(&int(long)),
                        // One dimension of rows: its length, and steps of 64 bits.
                        _ => {
                            let step = (long as i64).to_le_bytes();
                            launch.bytes(&int(1)).bytes(&int(3)).bytes(&step).bytes(&step)
                        }
                    };
                    let out = launch.groups((1, 3, 1), (threads, 1, 1), 1);
                    let expected: Vec<f64> = rows.iter().flat_map(|row| order(row)).collect();
                    near(&kernel, &Number::U32.decode(&out), &expected, 0.0);
                }
                ran += 1;
            }
        }
    }
    assert_eq!(ran, 34, "kernels that sort blocks");
}

#[test]
fn rows_of_several_blocks() {
    let kernels = kernels();
    for (name, number) in TYPES {
        let threads = if name == "int64" { 256 } else { 512 };
        let tail = format!("mbsort_{name}_uint32_bn{threads}_tn8");
        let block = threads * 8;
        // Types with few numbers have the same one often: then only the sorted numbers are known.
        let long = 2 * block + 1000;
        let few = matches!(number, Number::U8 | Number::F16 | Number::BF16);
        let rows: Vec<Vec<f64>> = match few {
            true => (0..2)
                .map(|seed| shuffled(number, 256, seed))
                .map(|row| row.into_iter().cycle().take(long).collect())
                .collect(),
            false => (0..2).map(|seed| shuffled(number, long, seed)).collect(),
        };
        let blocks = long.div_ceil(block);
        let input = number.encode(&rows.concat());
        let sort = |result: usize| {
            let launch = kernels.launch(&format!("sort_{tail}")).bytes(&input);
            let launch = launch.room(input.len()).room(2 * long * 4).bytes(&int(long));
            let launch = launch.bytes(&int(1)).bytes(&int(1)).bytes(&int(2));
            let launch = launch.bytes(&(long as i64).to_le_bytes());
            launch.groups((blocks, 2, 1), (threads, 1, 1), result)
        };
        let (mut values, mut places) = (sort(1), sort(2));
        let mut tiles = 2;
        while tiles / 2 < blocks {
            let launch = kernels.launch(&format!("partition_{tail}"));
            let launch = launch.room(2 * (blocks + 1) * 4).bytes(&values).bytes(&places);
            let launch = launch.bytes(&int(long)).bytes(&int(tiles)).bytes(&int(blocks));
            let partitions = launch.groups((1, 2, 1), (blocks + 1, 1, 1), 0);
            let merge = |result: usize| {
                let launch = kernels.launch(&format!("merge_{tail}")).bytes(&partitions);
                let launch = launch.bytes(&values).bytes(&places);
                let launch = launch.room(values.len()).room(places.len());
                let launch = launch.bytes(&int(long)).bytes(&int(tiles)).bytes(&int(blocks));
                launch.groups((blocks, 2, 1), (threads, 1, 1), result)
            };
            (values, places) = (merge(3), merge(4));
            tiles *= 2;
        }
        for (index, row) in rows.iter().enumerate() {
            let part = |all: Vec<f64>| all[index * long..][..long].to_vec();
            let (values, places) =
                (part(number.decode(&values)), part(Number::U32.decode(&places)));
            let mut sorted = row.clone();
            sorted.sort_by(f64::total_cmp);
            near(&tail, &values, &sorted, 0.0);
            if !few {
                near(&tail, &places, &order(row), 0.0);
            }
            // Each number comes from its place.
            let fetched: Vec<f64> = places.iter().map(|&place| row[place as usize]).collect();
            near(&tail, &fetched, &sorted, 0.0);
        }
    }
}
