//! Profiles of kernels as objects, and the file that has those of the whole process (`specs/profile.md`).

use super::datum::Datum;
use super::foundation::Retained;
use crate::soft::fork::{is_forked, lock};
use crate::soft::kernel::Kernel;
use crate::soft::kernel::profile::{Profile, Summary, page, picture};
use crate::soft::variables;
use std::ffi::c_int;
use std::io::Write;
use std::sync::{Arc, Mutex};

unsafe extern "C" {
    /// Registers a function that the C library calls when the process ends.
    safe fn atexit(function: extern "C" fn()) -> c_int;
}

/// The profiles of all kernels of the process.
static PROFILES: Mutex<Vec<Arc<Profile>>> = Mutex::new(Vec::new());

/// Adds the profile of a kernel to the file.
pub(super) fn register(profile: &Arc<Profile>) {
    let mut profiles = lock(&PROFILES);
    if profiles.is_empty() && atexit(write) != 0 {
        variables::report("ARUMINIUM_SOFT_PROFILE: no profile will be written: atexit failed");
    }
    profiles.push(Arc::clone(profile));
}

/// Writes the file. A process that was forked from one with profiles leaves it to its parent.
extern "C" fn write() {
    if is_forked() {
        return;
    }
    let profiles = lock(&PROFILES);
    let mut ran: Vec<Summary> = profiles
        .iter()
        .map(|profile| profile.summary())
        .filter(|profile| profile.extent.launches > 0)
        .collect();
    ran.sort_by(|a, b| a.kernel.cmp(&b.kernel));
    let file = variables::PROFILE.given().unwrap_or_default();
    let text = || ran.iter().map(|profile| format!("{profile}\n")).collect::<String>();
    let written = match file.as_str() {
        // The reader may have closed it.
        "-" => std::io::stderr().write_all(text().as_bytes()).or(Ok(())),
        html if html.ends_with(".html") => std::fs::write(html, page(&ran)),
        svg if svg.ends_with(".svg") => std::fs::write(svg, picture(&ran)),
        json if json.ends_with(".json") => {
            let all = Datum::List(ran.iter().map(Datum::from).collect());
            std::fs::write(json, all.json() + "\n")
        }
        other => std::fs::write(other, text()),
    };
    if let Err(error) = written {
        variables::report(&format!("the profile was not written to {file}: {error}"));
    }
}

/// The counts of a kernel, as a dictionary with the numbers and the three texts; `None` if it is not counted.
pub(super) fn of_kernel(kernel: &Kernel) -> Option<Retained> {
    let summary = kernel.profile()?.summary();
    let datum = Datum::from(&summary);
    let (text, json, html) = (summary.to_string(), datum.json(), page(&[summary]));
    let Datum::Record(mut fields) = datum else { return None };
    let texts = [("text", text), ("json", json), ("html", html)];
    fields.extend(texts.map(|(key, text)| (key, Datum::Text(text))));
    Some(Datum::Record(fields).object())
}
