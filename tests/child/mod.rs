//! A test that starts its own program again, to run in a process by itself.

use std::process::{Command, Output};

const CHILD: &str = "ARUMINIUM_TEST_CHILD";

/// Runs the body of the test of this name in a child process with these variables, and answers what
/// came of it. In the child, runs the body and answers nothing.
pub(crate) fn in_child(
    test: &str,
    variables: &[(&str, &str)],
    body: impl FnOnce(),
) -> Option<Output> {
    if std::env::var_os(CHILD).is_some() {
        body();
        return None;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(CHILD, "1");
    command.envs(variables.iter().copied());
    Some(command.output().unwrap())
}
