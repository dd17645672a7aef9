//! Tests that measure the memory of their process run in a process of their own, without other tests.

use crate::child::in_child;

/// AddressSanitizer keeps what was freed, which is not to be measured.
const SANITIZER: (&str, &str) = (
    "ASAN_OPTIONS",
    "detect_leaks=0:report_globals=0:quarantine_size_mb=0:thread_local_quarantine_size_kb=0",
);

/// Runs the body of the test of this name in a child process, where it must pass.
#[track_caller]
pub(crate) fn measure(test: &str, body: impl FnOnce()) {
    if let Some(output) = in_child(test, &[SANITIZER], body) {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
    }
}

/// The memory of this process that is in use, in bytes.
pub(crate) fn resident() -> usize {
    status("VmRSS:")
}

/// The most that was in use since its start.
#[allow(dead_code)] // Not every program of tests measures it.
pub(crate) fn most_resident() -> usize {
    status("VmHWM:")
}

fn status(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}
