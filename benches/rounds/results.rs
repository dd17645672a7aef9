//! The latest results of the benchmarks, under `target/benchmarks`: one file per benchmark, one line per way.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The measurements of one way to do the work of a group.
pub(crate) struct Row {
    pub(crate) group: String,
    pub(crate) way: String,
    /// The median time, and those of the quickest and the slowest tenth of the rounds.
    pub(crate) time: Nanoseconds,
    pub(crate) low: Nanoseconds,
    pub(crate) high: Nanoseconds,
    /// The time over that of the group's first way.
    pub(crate) ratio: Ratio,
    /// The speed in 10⁹ elements per second, where elements are counted.
    pub(crate) speed: Option<f64>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, way, time, low, high, ratio, speed } = self;
        write!(f, "{group}\t{way}\t{}\t{}\t{}\t{}\t", time.0, low.0, high.0, ratio.0)?;
        speed.map_or(Ok(()), |speed| write!(f, "{speed}"))
    }
}

impl FromStr for Row {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [group, way, numbers @ .., speed] = &fields[..] else {
            return Err(format!("no row of results: {line}"));
        };
        let number = |text: &str| {
            text.parse::<f64>().map_err(|error| format!("'{text}' in a row of results: {error}"))
        };
        let numbers = numbers.iter().map(|text| number(text)).collect::<Result<Vec<f64>, _>>()?;
        let [time, low, high, ratio] = numbers[..] else {
            return Err(format!("no row of results: {line}"));
        };
        Ok(Self {
            group: (*group).to_owned(),
            way: (*way).to_owned(),
            time: Nanoseconds(time),
            low: Nanoseconds(low),
            high: Nanoseconds(high),
            ratio: Ratio(ratio),
            speed: (!speed.is_empty()).then(|| number(speed)).transpose()?,
        })
    }
}

/// A time, shown in a suitable unit.
#[derive(Clone, Copy)]
pub(crate) struct Nanoseconds(pub(crate) f64);

impl fmt::Display for Nanoseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            time @ 0.0..1e3 => format!("{time:.2} ns"),
            time @ 1e3..1e6 => format!("{:.2} µs", time / 1e3),
            time => format!("{:.2} ms", time / 1e6),
        };
        f.pad(&text)
    }
}

/// A ratio, shown with its significant digits.
#[derive(Clone, Copy)]
pub(crate) struct Ratio(pub(crate) f64);

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.0 {
            0.0..0.1 => 3,
            0.1..100.0 => 2,
            _ => 0,
        };
        f.pad(&format!("{:.digits$}", self.0))
    }
}

/// The folder of all results.
pub(crate) fn folder() -> PathBuf {
    // Cargo names a folder inside the one that it builds in.
    let inside = Path::new(env!("CARGO_TARGET_TMPDIR"));
    inside.parent().unwrap_or(inside).join("benchmarks")
}

/// The file of one benchmark.
pub(crate) fn file(bench: &str) -> PathBuf {
    folder().join(bench).with_extension("tsv")
}
