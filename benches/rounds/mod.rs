//! Comparing ways to do the same work, on machines that do other work too.
//!
//! The ways take turns, round by round, so that whatever else the machine does meets all of them.
//! A way's time is the median over the rounds; its ratio is the median of its ratios to the first
//! way within a round: the limit, that the others are held against.

use std::time::{Duration, Instant};

/// How many rounds there are, and how long a turn takes at least.
const ROUNDS: usize = 31;
const TURN: Duration = Duration::from_millis(3);

/// One way to do the work: its name, and a function that does it so many times.
pub(crate) struct Way<'a> {
    pub(crate) name: &'a str,
    pub(crate) repeat: &'a mut dyn FnMut(usize),
}

/// Makes a way of an expression, repeated.
macro_rules! way {
    ($name:expr, $work:expr) => {
        $crate::rounds::Way {
            name: $name,
            repeat: &mut |times| {
                for _ in 0..times {
                    std::hint::black_box($work);
                }
            },
        }
    };
}
pub(crate) use way;

/// Measures all ways, the limit first, and prints a line for each: the time for once, and the speed
/// where once is so many elements.
pub(crate) fn compare(title: &str, elements: Option<usize>, ways: &mut [Way<'_>]) {
    // As often as fills a turn of the slowest way; the first runs also warm up.
    let mut times = 1;
    while ways.iter_mut().map(|way| turn(way, times)).max().unwrap_or(TURN) < TURN {
        times *= 2;
    }
    let nanoseconds = |way: &mut Way<'_>| turn(way, times).as_secs_f64() * 1e9 / times as f64;
    let rounds: Vec<Vec<f64>> =
        (0..ROUNDS).map(|_| ways.iter_mut().map(nanoseconds).collect()).collect();

    let unit = if elements.is_some() { "G/s" } else { "" };
    println!("\n{title:<30}{:>10}{:>24}{unit:>8}{:>8}", "time", "10 % .. 90 %", "ratio");
    for (index, way) in ways.iter().enumerate() {
        let time = |part| quantile(rounds.iter().map(|round| round[index]), part);
        let ratio = quantile(rounds.iter().map(|round| round[index] / round[0]), 0.5);
        let spread = format!("{} .. {}", readable(time(0.1)), readable(time(0.9)));
        let speed = elements.map_or(String::new(), |n| format!("{:.2}", n as f64 / time(0.5)));
        println!("  {:<28}{:>10}{spread:>24}{speed:>8}{ratio:>8.2}", way.name, readable(time(0.5)));
    }
}

fn turn(way: &mut Way<'_>, times: usize) -> Duration {
    let start = Instant::now();
    (way.repeat)(times);
    start.elapsed()
}

fn quantile(values: impl Iterator<Item = f64>, part: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}

/// A time in the unit that suits it.
fn readable(nanoseconds: f64) -> String {
    match nanoseconds {
        0.0..1e3 => format!("{nanoseconds:.2} ns"),
        1e3..1e6 => format!("{:.2} µs", nanoseconds / 1e3),
        _ => format!("{:.2} ms", nanoseconds / 1e6),
    }
}
