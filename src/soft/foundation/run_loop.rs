//! NSRunLoop: the main thread's runs the jobs of libdispatch's main queue. Those of other threads have nothing to run.

use super::date::Date;
use super::dispatch::run_main_until;
use super::{NSObject, Text};
use crate::abi::Class;
use crate::soft::runtime::declare::soft_class;
use crate::soft::runtime::object::{Object, Strong};
use crate::soft::system::is_main_thread;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A run loop.
pub(crate) struct RunLoop {
    main: bool,
}

soft_class! {
    /// A run loop.
    pub(super) class NSRunLoop(RunLoop): NSObject, lacks super::absent::RUN_LOOP;
    class [currentRunLoop] = |_: Class| match is_main_thread() {
        true => main_loop(),
        false => Strong::new(RunLoop { main: false }),
    };
    class [mainRunLoop] = |_: Class| main_loop();
    [run] = |run_loop: &RunLoop| while run_loop.run(f64::INFINITY, false) {};
    [runUntilDate:] = |run_loop: &RunLoop, date: &Object<Date>| _ = run_loop.run(date.seconds_until(), false);
    [runMode:beforeDate:] = |run_loop: &RunLoop, _: Option<&Object<Text>>, date: &Object<Date>| {
        run_loop.run(date.seconds_until(), true)
    };
}

fn main_loop() -> Strong<RunLoop> {
    static MAIN: OnceLock<Strong<RunLoop>> = OnceLock::new();
    MAIN.get_or_init(|| Strong::new(RunLoop { main: true })).clone()
}

impl RunLoop {
    /// Runs jobs for some seconds, or one job. Whether there is anything that brings jobs.
    fn run(&self, seconds: f64, once: bool) -> bool {
        if !self.main || !is_main_thread() {
            return false;
        }
        const LONGEST: f64 = 1e9;
        // No number is no time.
        let seconds = if seconds.is_nan() { 0.0 } else { seconds.clamp(0.0, LONGEST) };
        let wait = Duration::from_secs_f64(seconds);
        run_main_until(Instant::now() + wait, once)
    }
}
