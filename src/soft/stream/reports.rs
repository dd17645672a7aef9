//! Prints what the sanitizer found, each pair of lines and argument once in a process.

use crate::soft::fork::lock;
use crate::soft::kernel::sanitize::{Access, Report};
use crate::soft::sorted;
use crate::soft::variables;
use std::collections::HashSet;
use std::sync::Mutex;

/// Prints the reports whose lines were not reported before.
pub(super) fn print(reports: &[Report]) {
    static PRINTED: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    for report in reports {
        let line = |access: &Access| access.source.as_ref().map(|at| (at.file.clone(), at.line));
        let site = |access: &Access| format!("{} {:?}", access.kernel, line(access));
        let mut sites: Vec<String> = report.accesses.iter().map(site).collect();
        sorted::sort(&mut sites);
        let key = format!("{} {sites:?} {:?}", report.kind.name(), report.argument);
        if lock(&PRINTED).get_or_insert_default().insert(key) {
            variables::report(&report.to_string());
        }
    }
}
