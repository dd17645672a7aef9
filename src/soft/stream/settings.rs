//! The settings of a process, from environment variables.

use crate::soft::ir::Checks;
use crate::soft::variables;
use std::num::NonZero;
use std::sync::OnceLock;
use std::time::Duration;

/// The settings of a process, read once.
#[derive(Debug)]
pub(crate) struct Settings {
    /// How many threads can run at a time.
    pub(crate) cores: usize,
    /// How many threads run kernels.
    pub(crate) workers: usize,
    /// How long a launch may take, or a wait while nothing runs; `None` is no limit.
    pub(crate) watchdog: Option<Duration>,
    /// Whether wrong messages are errors, and kernels on an NVIDIA GPU check their accesses. All other checks that keep
    /// memory safe are always on.
    pub(crate) checks: bool,
    /// Whether it is an error where a kernel breaks a rule of the language that GPUs do not enforce.
    pub(crate) strict: bool,
    /// The number of the family of Apple's GPUs that the device must not exceed.
    pub(crate) family: Option<u32>,
    /// The newest version of the language, as `__METAL_VERSION__` has it.
    pub(crate) language: Option<u32>,
    /// The checks that every kernel is compiled with.
    pub(crate) sanitize: Checks,
    /// Whether every kernel is counted, and a file is written at the end (`specs/profile.md`).
    pub(crate) profile: bool,
    /// The seed of the order of launches that nothing orders; `None` is last first.
    pub(crate) order: Option<u64>,
}

impl Settings {
    /// The settings of this process.
    pub(crate) fn get() -> &'static Self {
        static SETTINGS: OnceLock<Settings> = OnceLock::new();
        SETTINGS.get_or_init(|| {
            let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
            let milliseconds = variables::WATCHDOG.number().unwrap_or(0);
            Self {
                cores,
                workers: variables::WORKERS.number().unwrap_or(cores),
                watchdog: (milliseconds > 0).then(|| Duration::from_millis(milliseconds as u64)),
                checks: variables::CHECKS.word() == "on",
                strict: variables::STRICT.word() == "on",
                family: variables::FAMILY
                    .given()
                    .and_then(|word| word.strip_prefix("apple")?.parse().ok()),
                language: variables::LANGUAGE
                    .given()
                    .and_then(|word| Some(word.replace('.', "").parse::<u32>().ok()? * 10)),
                sanitize: Checks::named(variables::SANITIZE.items().iter().map(String::as_str)),
                profile: variables::PROFILE.given().is_some(),
                order: variables::SANITIZE.numbered("order"),
            }
        })
    }
}

/// Whether the device is hidden. Read each time, so that a program can test itself both ways.
pub(crate) fn device_is_hidden() -> bool {
    variables::DEVICE.word() == "none"
}
