//! What environment variables decide. `specs/soft-metal.md` has the same table for users.

use std::num::NonZero;
use std::sync::OnceLock;
use std::time::Duration;

/// The choices of a process, read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// How many threads can run at a time.
    pub(crate) cores: usize,
    /// How many threads run kernels.
    pub(crate) workers: usize,
    /// How long a launch may take, or a wait while nothing runs; none for ever.
    pub(crate) watchdog: Option<Duration>,
    /// Whether wrong messages are errors. What keeps memory safe does not ask.
    pub(crate) checks: bool,
    /// Whether what a GPU takes from kernels against the rules of the language is an error.
    pub(crate) strict: bool,
}

const DEVICE: &str = "ARUMINIUM_SOFT_DEVICE";
const WORKERS: &str = "ARUMINIUM_SOFT_WORKERS";
const WATCHDOG: &str = "ARUMINIUM_SOFT_WATCHDOG_MS";
const CHECKS: &str = "ARUMINIUM_SOFT_CHECKS";
const STRICT: &str = "ARUMINIUM_SOFT_STRICT";

/// A kernel that takes longer than this is taken for one that never ends, as on a GPU.
const WATCHDOG_DEFAULT: Duration = Duration::from_secs(10);
/// More threads than this help nobody.
const MOST_WORKERS: usize = 256;

impl Settings {
    /// The settings of this process.
    pub(crate) fn get() -> &'static Self {
        static SETTINGS: OnceLock<Settings> = OnceLock::new();
        SETTINGS.get_or_init(|| Self::read(|name| std::env::var(name).ok()))
    }

    /// A value that makes no sense is as good as none.
    fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let number = |name| variable(name).and_then(|text| text.trim().parse::<usize>().ok());
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            cores,
            workers: number(WORKERS).filter(|n| *n > 0).unwrap_or(cores).min(MOST_WORKERS),
            watchdog: match number(WATCHDOG) {
                Some(0) => None,
                Some(milliseconds) => Some(Duration::from_millis(milliseconds as u64)),
                None => Some(WATCHDOG_DEFAULT),
            },
            checks: variable(CHECKS).is_none_or(|text| text.trim() != "off"),
            strict: variable(STRICT).is_some_and(|text| text.trim() == "on"),
        }
    }
}

/// Whether the device is hidden. Read each time, so that a program can test itself both ways.
pub(crate) fn device_is_hidden() -> bool {
    std::env::var_os(DEVICE).is_some_and(|value| value == "none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_nonsense_is_passed_over() {
        let read = |pairs: &'static [(&str, &str)]| {
            Settings::read(move |name| {
                let pair = pairs.iter().find(|pair| pair.0 == name)?;
                Some(pair.1.to_owned())
            })
        };
        let given = &[(WORKERS, "3"), (WATCHDOG, "250"), (CHECKS, "off"), (STRICT, "on")];
        let set = read(given);
        let watchdog = Some(Duration::from_millis(250));
        let (checks, strict, cores) = (false, true, set.cores);
        assert_eq!(set, Settings { workers: 3, watchdog, checks, strict, cores });
        assert_eq!(read(&[(WATCHDOG, "0")]).watchdog, None);
        let default = read(&[]);
        assert_eq!(read(&[(WORKERS, "-1"), (WATCHDOG, "soon"), (CHECKS, "perhaps")]), default);
        assert!(default.workers >= 1 && default.checks && !default.strict);
        assert_eq!(read(&[(WORKERS, "100000")]).workers, MOST_WORKERS);
    }
}
