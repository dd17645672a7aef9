//! Profiles as one HTML page, which needs no other file.

use std::fmt::Write;

use super::lines::{Shown, Summary};
use super::text::notes;

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;margin:2em;color:#222}\
table{border-collapse:collapse;font:13px/1.45 ui-monospace,monospace}\
td,th{padding:0 .7em;text-align:right;vertical-align:top;white-space:nowrap}\
td.code{text-align:left;white-space:pre}td.gap{text-align:left;color:#999}\
div.note{color:#567;white-space:normal;max-width:60em}div.hint{color:#a40;white-space:normal;max-width:60em}\
p.hint{color:#a40}tr.cold{color:#999}th{font-weight:normal;color:#567;border-bottom:1px solid #ccc}";

/// The page of these profiles.
pub(crate) fn page(profiles: &[Summary]) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Profile of kernels</title>\
         <style>{STYLE}</style></head><body>\n"
    );
    profiles.iter().for_each(|profile| profile.section(&mut page));
    page.push_str("</body></html>\n");
    page
}

/// Text with the characters that have a meaning in HTML escaped.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Summary {
    fn section(&self, page: &mut String) {
        // Writing to a string does not fail.
        let _ = writeln!(page, "<h2>kernel {}</h2><p>{}</p>", escaped(&self.kernel), self.extent);
        for hint in &self.hints {
            let _ = writeln!(page, "<p class=\"hint\">{}</p>", escaped(hint));
        }
        let total = self.operations().max(1);
        let hottest = self.lines.iter().map(|line| line.operations).max().unwrap_or(0).max(1);
        for (file, lines) in self.shown() {
            let _ = writeln!(
                page,
                "<table><tr><th>runs</th><th>lanes</th><th>heat</th><th>line</th><th>{}</th></tr>",
                escaped(file)
            );
            for line in lines {
                match line {
                    Some(shown) => shown.row(total, hottest, page),
                    None => page.push_str("<tr><td colspan=\"5\" class=\"gap\">…</td></tr>\n"),
                }
            }
            page.push_str("</table>\n");
        }
    }
}

impl Shown<'_> {
    fn row(&self, total: u64, hottest: u64, page: &mut String) {
        let (number, text) = (self.number, escaped(self.text));
        let Some(line) = self.line else {
            let _ = writeln!(
                page,
                "<tr class=\"cold\"><td></td><td></td><td></td><td>{number}</td><td class=\"code\">{text}</td></tr>"
            );
            return;
        };
        let (percent, alpha) = (
            100.0 * line.operations as f64 / total as f64,
            line.operations as f64 / hottest as f64,
        );
        let _ = write!(
            page,
            "<tr style=\"background:rgba(255,120,0,{:.2})\"><td>{}</td><td>{:.1}</td><td>{percent:.1}%</td>\
             <td>{number}</td><td class=\"code\">{text}",
            0.45 * alpha,
            line.runs,
            line.average_lanes()
        );
        for note in notes(line) {
            let _ = write!(page, "<div class=\"note\">{}</div>", escaped(&note));
        }
        for hint in &line.hints {
            let _ = write!(page, "<div class=\"hint\">{}</div>", escaped(hint));
        }
        page.push_str("</td></tr>\n");
    }
}
