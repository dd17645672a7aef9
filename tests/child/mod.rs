//! Tests that start their own program again, to run in a process of their own.

use std::process::{Command, Output};

const CHILD: &str = "ARUMINIUM_TEST_CHILD";

/// Whether [`run_child`] started this process.
pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs the test of this name in a child process with these variables.
///
/// An emulator does not follow a program that starts another: `ARUMINIUM_TEST_RUNNER` names the one
/// that runs the child.
pub(crate) fn run_child(test: &str, variables: &[(&str, &str)]) -> Output {
    let program = std::env::current_exe().unwrap();
    let mut command = match std::env::var_os("ARUMINIUM_TEST_RUNNER") {
        None => Command::new(program),
        Some(runner) => {
            let mut command = Command::new(runner);
            command.arg(program);
            command
        }
    };
    command.args([test, "--exact", "--nocapture", "--include-ignored"]).env(CHILD, "1");
    command.envs(variables.iter().copied()).output().unwrap()
}

/// Runs the body of the test of this name in a child process with these variables, and returns its
/// output. In the child, runs the body and returns `None`.
pub(crate) fn in_child(
    test: &str,
    variables: &[(&str, &str)],
    body: impl FnOnce(),
) -> Option<Output> {
    if is_child() {
        body();
        return None;
    }
    Some(run_child(test, variables))
}
