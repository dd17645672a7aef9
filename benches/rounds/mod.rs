//! Compares ways to do the same work, on machines with other load.
//!
//! The ways take turns, round by round, so that other load on the machine affects all of them.
//! A way's time is the median over the rounds; its ratio is the median of its ratios within a round to the first
//! way, which is the limit.
//!
//! `cargo bench --bench NAME -- TEXT` measures the groups whose titles have the text in them, and `-- TEXT WAY` only the
//! ways whose names contain `WAY`. Without a text, the results are recorded for the `summary`.

pub(crate) mod results;

use results::{Nanoseconds, Ratio, Row};
use std::fs;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The minimum length of a turn: less than the scheduler's time slice, so that most turns are not interrupted even on a
/// busy machine.
const TURN: Duration = Duration::from_micros(500);
/// The number of rounds: until `PATIENCE` is over, but within these bounds.
const ROUNDS: RangeInclusive<usize> = 15..=101;
const PATIENCE: Duration = Duration::from_secs(3);

/// One way to do the work: its name, and a function that does it `n` times and returns how long that took.
pub(crate) struct Way<'a> {
    pub(crate) name: &'a str,
    pub(crate) repeat: &'a mut dyn FnMut(usize) -> Duration,
}

/// Makes a way: of an expression, which is repeated, of code that repeats the work `n` times itself, or, after `timed`, of code
/// that also returns how long it took, without what prepares the work.
macro_rules! way {
    ($name:expr, timed |$times:ident| $repeat:expr) => {
        $crate::rounds::Way { name: $name, repeat: &mut |$times| $repeat }
    };
    ($name:expr, |$times:ident| $repeat:expr) => {
        $crate::rounds::Way {
            name: $name,
            repeat: &mut |$times| {
                let start = std::time::Instant::now();
                $repeat;
                start.elapsed()
            },
        }
    };
    ($name:expr, $work:expr) => {
        $crate::rounds::way!($name, |times| {
            for _ in 0..times {
                std::hint::black_box($work);
            }
        })
    };
}
pub(crate) use way;

/// Measures all ways, the limit first, and prints a line for each: the time for once, and the speed
/// if one repetition handles a number of elements.
pub(crate) fn compare(title: &str, elements: Option<usize>, ways: &mut [Way<'_>]) {
    let mut wanted = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let (wanted, way) = (wanted.next(), wanted.next().unwrap_or_default());
    if wanted.as_ref().is_some_and(|text| !title.contains(text)) {
        return;
    }
    let mut ways: Vec<_> = ways.iter_mut().filter(|known| known.name.contains(&way)).collect();
    if ways.is_empty() {
        return;
    }
    let rows = measure(title, elements, &mut ways);
    let unit = if elements.is_some() { "G/s" } else { "" };
    println!("\n{title:<30}{:>10}{:>24}{unit:>8}{:>8}", "time", "10 % .. 90 %", "ratio");
    for Row { way, time, low, high, ratio, speed, .. } in &rows {
        let spread = format!("{low} .. {high}");
        let speed = speed.map_or(String::new(), |speed| format!("{speed:.2}"));
        println!("  {way:<28}{time:>10}{spread:>24}{speed:>8}{ratio:>8}");
    }
    if wanted.is_none() {
        record(&rows).expect("results can be written under target/");
    }
}

fn measure(title: &str, elements: Option<usize>, ways: &mut [&mut Way<'_>]) -> Vec<Row> {
    let times: Vec<usize> = ways.iter_mut().map(|way| times_in_a_turn(way)).collect();
    let mut round = || -> Vec<f64> {
        let turns = ways.iter_mut().zip(&times);
        turns.map(|(way, &times)| (way.repeat)(times).as_secs_f64() * 1e9 / times as f64).collect()
    };
    let start = Instant::now();
    let mut rounds = Vec::new();
    while rounds.len() < *ROUNDS.start()
        || rounds.len() < *ROUNDS.end() && start.elapsed() < PATIENCE
    {
        rounds.push(round());
    }

    let row = |(index, way): (usize, &&mut Way<'_>)| {
        let time = |part| quantile(rounds.iter().map(|round| round[index]), part);
        Row {
            group: title.to_owned(),
            way: way.name.to_owned(),
            time: Nanoseconds(time(0.5)),
            low: Nanoseconds(time(0.1)),
            high: Nanoseconds(time(0.9)),
            ratio: Ratio(quantile(rounds.iter().map(|round| round[index] / round[0]), 0.5)),
            speed: elements.map(|elements| elements as f64 / time(0.5)),
        }
    };
    ways.iter().enumerate().map(row).collect()
}

/// Adds a group to the file of this benchmark. The first group replaces the file.
fn record(rows: &[Row]) -> io::Result<()> {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    let begun = BEGUN.swap(true, Ordering::Relaxed);
    fs::create_dir_all(results::folder())?;
    let mut file = fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(!begun)
        .append(begun)
        .open(results::file(env!("CARGO_CRATE_NAME")))?;
    rows.iter().try_for_each(|row| writeln!(file, "{row}"))
}

/// The number of repetitions that fill a way's turn. Finding it also warms up. A single turn may be long because other
/// programs ran meanwhile.
fn times_in_a_turn(way: &mut Way<'_>) -> usize {
    let mut times = 1;
    while (0..3).any(|_| (way.repeat)(times) < TURN) {
        times *= 2;
    }
    times
}

fn quantile(values: impl Iterator<Item = f64>, part: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}
