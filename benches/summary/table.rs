//! The results as Markdown, a table a group.

use crate::Group;
use std::fmt::Write;

/// A heading a benchmark, and its tables.
pub(crate) fn markdown(machine: &str, groups: &[&Group]) -> String {
    let mut page = format!("Measured on {machine}.\n");
    let mut bench = "";
    for group in groups {
        if bench != group.bench {
            bench = group.bench;
            let _ = write!(page, "\n### {bench}\n");
        }
        table(&mut page, group);
    }
    page
}

fn table(page: &mut String, group: &Group) {
    let counted = group.rows[0].speed.is_some();
    let (unit, rule) = if counted { (" G/s |", " ---: |") } else { ("", "") };
    let title = cell(group.title());
    let _ = write!(page, "\n| {title} | time | 10 % .. 90 % |{unit} ratio |\n");
    let _ = writeln!(page, "| --- | ---: | ---: |{rule} ---: |");
    for row in &group.rows {
        let (way, speed) = (cell(&row.way), row.speed.map(|speed| format!(" {speed:.2} |")));
        let _ = writeln!(
            page,
            "| {way} | {} | {} .. {} |{} {} |",
            row.time,
            row.low,
            row.high,
            speed.unwrap_or_default(),
            row.ratio
        );
    }
}

/// A text that does not end its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
