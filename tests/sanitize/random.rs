//! Random kernels whose barriers order everything are silent; without one of the barriers there is a report if and only if comparing all
//! pairs of accesses finds a race.

use super::{child, gpu::Rig, reports};
use aruminium::{Checks, DispatchType, ReportKind};

/// Random numbers of a seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// The threads of a row, where a threadgroup has rows: half a SIMD-group.
const WIDTH: u64 = 16;

/// The word that thread `t` accesses, or that at `x` in row `y`. No two threads write one word.
#[derive(Clone, Copy, Debug)]
enum Word {
    /// `(factor * t + start) % threads`; the factor is odd and the number of threads a power of two.
    Any { factor: u64, start: u64 },
    /// `across * x + down * y + start`
    InRows { across: u64, down: u64, start: u64 },
}

/// The threads that take part in an access.
#[derive(Clone, Copy, Debug)]
enum Only {
    All,
    /// Those whose number has a remainder.
    Rest(u64, u64),
    /// The first ones of each row.
    Left(u64),
    /// The rows whose number has a remainder.
    Rows(u64, u64),
}

#[derive(Clone, Copy, Debug)]
struct Access {
    write: bool,
    /// Threadgroup memory, or a part of a buffer that each threadgroup has for itself.
    tile: bool,
    word: Word,
    only: Only,
}

impl Access {
    fn word(&self, thread: u64, threads: u64) -> u64 {
        match self.word {
            Word::Any { factor, start } => (factor * thread + start) % threads,
            Word::InRows { across, down, start } => {
                across * (thread % WIDTH) + down * (thread / WIDTH) + start
            }
        }
    }

    fn is_active(&self, thread: u64) -> bool {
        match self.only {
            Only::All => true,
            Only::Rest(divisor, rest) => thread % divisor == rest,
            Only::Left(count) => thread % WIDTH < count,
            Only::Rows(divisor, rest) => thread / WIDTH % divisor == rest,
        }
    }

    fn conflicts(&self, other: &Self) -> bool {
        self.tile == other.tile && (self.write || other.write)
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Access(Access),
    /// A barrier that orders the tile, the buffer, or both.
    Barrier {
        tile: bool,
        device: bool,
    },
}

#[derive(Debug)]
struct Program {
    threads: u64,
    /// Whether its threadgroups have rows.
    in_rows: bool,
    /// The type of the words, of four bytes, two or one.
    word: &'static str,
    /// How often the steps are repeated.
    repeats: u64,
    steps: Vec<Step>,
}

impl Program {
    /// A program in which each access is ordered after those that it conflicts with.
    fn random(seed: u64) -> Self {
        let mut numbers = Numbers(seed);
        for _ in 0..4 {
            numbers.below(2);
        }
        let threads = 32 << numbers.below(3);
        let (in_rows, rows) = (seed % 2 == 1, threads / WIDTH);
        let mut steps = Vec::new();
        // The accesses since the last barrier that orders them.
        let mut open: Vec<Access> = Vec::new();
        for _ in 0..2 + numbers.below(6) {
            let divisor = 2 + numbers.below(3);
            let only = match numbers.below(5) {
                0 | 1 if !in_rows => Only::Rest(divisor, numbers.below(divisor)),
                0 => Only::Left(1 + numbers.below(WIDTH)),
                1 => Only::Rows(divisor, numbers.below(divisor)),
                _ => Only::All,
            };
            let write = numbers.chance(50);
            let word = match numbers.below(4) {
                _ if !in_rows => Word::Any {
                    factor: 1 + 2 * numbers.below(threads / 2),
                    start: numbers.below(threads),
                },
                // Columns become rows; each its own word; the same one for a row of threads; the same row for all.
                0 => Word::InRows { across: rows, down: 1, start: 0 },
                1 if !write => Word::InRows { across: 0, down: WIDTH, start: numbers.below(WIDTH) },
                2 if !write => {
                    Word::InRows { across: 1, down: 0, start: WIDTH * numbers.below(rows) }
                }
                _ => Word::InRows { across: 1, down: WIDTH, start: 0 },
            };
            let access = Access { write, tile: numbers.chance(60), word, only };
            if open.iter().any(|before| before.conflicts(&access)) {
                let both = numbers.chance(30);
                let (tile, device) = (access.tile || both, !access.tile || both);
                open.retain(|before| if before.tile { !tile } else { !device });
                steps.push(Step::Barrier { tile, device });
            }
            open.push(access);
            steps.push(Step::Access(access));
        }
        let word = ["uint", "ushort", "uchar"][(seed % 3) as usize];
        let repeats = 1 + numbers.below(2);
        steps.push(Step::Barrier { tile: true, device: true });
        Self { threads, in_rows, word, repeats, steps }
    }

    /// The kernel, without the step of a number.
    fn source(&self, without: Option<usize>) -> String {
        let (threads, word) = (self.threads, self.word);
        let mut text = format!(
            "kernel void k(device uint *data [[buffer(0)]], uint t [[thread_index_in_threadgroup]],
                    uint2 in [[thread_position_in_threadgroup]], uint2 group [[threadgroup_position_in_grid]]) {{
                uint g = group.x + group.y, x = in.x, y = in.y;
                threadgroup {word} tile[{threads}];
                device {word} *part = (device {word} *)(data + 512) + g * {threads};
                uint sum = 0;
                for (uint k = 0; k < {}; k++) {{\n",
            self.repeats
        );
        for (number, step) in self.steps.iter().enumerate().filter(|one| Some(one.0) != without) {
            text += &match *step {
                Step::Access(access) => {
                    let Access { write, tile, word, only } = access;
                    let memory = if tile { "tile" } else { "part" };
                    let index = match word {
                        Word::Any { factor, start } => {
                            format!("({factor} * t + {start}) % {threads}")
                        }
                        Word::InRows { across, down, start } => {
                            format!("{across} * x + {down} * y + {start}")
                        }
                    };
                    let word = format!("{memory}[{index}]");
                    let only = match only {
                        Only::All => String::new(),
                        Only::Rest(divisor, rest) => format!("if (t % {divisor} == {rest}) "),
                        Only::Left(count) => format!("if (x < {count}) "),
                        Only::Rows(divisor, rest) => format!("if (y % {divisor} == {rest}) "),
                    };
                    match write {
                        // No two steps write one value, also as a byte.
                        true if self.word != "uint" => format!("{only}{word} = {number} + 1;\n"),
                        true => format!("{only}{word} = 1000 * {number} + t;\n"),
                        false => format!("{only}sum += {word};\n"),
                    }
                }
                Step::Barrier { tile, device } => {
                    let flags = match (tile, device) {
                        (true, true) => "mem_flags::mem_threadgroup | mem_flags::mem_device",
                        (true, false) => "mem_flags::mem_threadgroup",
                        _ => "mem_flags::mem_device",
                    };
                    format!("threadgroup_barrier({flags});\n")
                }
            };
        }
        text + "}\ndata[g * 128 + t] = sum;\n}"
    }

    /// Whether two threads race, by comparing all pairs of accesses. Lanes of a SIMD-group do not if the second was active in the first
    /// access, too.
    fn races(&self, without: Option<usize>) -> bool {
        let kept = self.steps.iter().enumerate().filter(|one| Some(one.0) != without);
        let once: Vec<&Step> = kept.map(|(_, step)| step).collect();
        let steps: Vec<&Step> = (0..self.repeats).flat_map(|_| once.clone()).collect();
        steps.iter().enumerate().any(|(at, first)| {
            let Step::Access(first) = first else { return false };
            for later in &steps[at + 1..] {
                match later {
                    Step::Barrier { tile, device } => {
                        if if first.tile { *tile } else { *device } {
                            return false;
                        }
                    }
                    Step::Access(second) if first.conflicts(second) => {
                        if self.pair_races(first, second) {
                            return true;
                        }
                    }
                    Step::Access(_) => {}
                }
            }
            false
        })
    }

    fn pair_races(&self, first: &Access, second: &Access) -> bool {
        let threads = self.threads;
        (0..threads).filter(|&t| first.is_active(t)).any(|t| {
            (0..threads).filter(|&u| u != t && second.is_active(u)).any(|u| {
                let lockstep = t / 32 == u / 32 && first.is_active(u);
                first.word(t, threads) == second.word(u, threads) && !lockstep
            })
        })
    }
}

fn check(rig: &Rig, seeds: std::ops::Range<u64>) {
    let (mut racing, mut silent) = (0, 0);
    for seed in seeds.step_by(super::step()) {
        let program = Program::random(seed);
        assert!(!program.races(None), "{program:?}");
        let barriers = program.steps.iter().enumerate();
        let barriers = barriers.filter(|(_, step)| matches!(step, Step::Barrier { .. }));
        let removed = barriers.map(|(number, _)| Some(number));
        for without in [None].into_iter().chain(removed) {
            let source = program.source(without);
            let pipeline = super::checked(&rig.gpu, &source, Checks::RACES);
            let data = rig.gpu.buffer(4096).unwrap();
            let found = reports(rig, DispatchType::Serial, |encoder| {
                encoder.bind(&pipeline);
                encoder.bind_buffer(&data, 0, 0);
                let threads = program.threads as usize;
                let (grid, group) = match program.in_rows {
                    true => ((16, threads / 8, 1), (16, threads / 16, 1)),
                    false => ((2 * threads, 1, 1), (threads, 1, 1)),
                };
                encoder.launch(grid, group);
            });
            let expected = program.races(without);
            assert!(found.iter().all(|report| report.kind == ReportKind::Race), "{found:#?}");
            assert_eq!(!found.is_empty(), expected, "seed {seed}, {found:#?}\n{source}");
            *(if expected { &mut racing } else { &mut silent }) += 1;
        }
    }
    let enough = 20 / super::step();
    assert!(racing > enough && silent > enough, "{racing} {silent}");
}

#[test]
fn random_kernels_race_without_their_barriers() {
    check(&Rig::new(), 0..40);
}

#[test]
fn random_kernels_race_without_their_barriers_in_machine_code() {
    let test = "random::random_kernels_race_without_their_barriers_in_machine_code";
    let body = || check(&Rig::new(), 40..80);
    let Some(output) = child::in_child(test, &[("ARUMINIUM_SOFT_JIT", "always")], body) else {
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
