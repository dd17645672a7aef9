//! All results at a glance: tables in Markdown and two charts, from the latest results of each benchmark.
//!
//! `cargo bench` runs its targets in the order of their names, so this one runs after those that record results. They are under
//! `target/benchmarks`; `cargo bench --bench summary -- --publish` also writes them into `specs/`.

mod chart;
mod machine;
#[path = "../rounds/results.rs"]
mod results;
mod table;

use results::Row;
use std::error::Error;
use std::fs;

/// The benchmarks, from one message up to whole kernels.
const BENCHES: [&str; 9] =
    ["message", "encode", "commands", "dispatch", "memory", "ring", "compile", "fp16", "kernels"];

/// The ways of one group, which are compared with its first one.
struct Group {
    bench: &'static str,
    rows: Vec<Row>,
}

impl Group {
    fn title(&self) -> &str {
        &self.rows[0].group
    }
}

/// The groups of a benchmark; none if it was not run yet.
fn groups(bench: &'static str) -> Result<Vec<Group>, Box<dyn Error>> {
    let file = results::file(bench);
    if !file.exists() {
        return Ok(Vec::new());
    }
    let mut groups: Vec<Group> = Vec::new();
    for line in fs::read_to_string(&file)?.lines() {
        let row: Row = line.parse()?;
        match groups.last_mut().filter(|group| group.title() == row.group) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group { bench, rows: vec![row] }),
        }
    }
    Ok(groups)
}

/// Writes the tables into a page, between two lines that mark the position.
fn publish(page: &str, tables: &str) -> Result<String, Box<dyn Error>> {
    const BEGIN: &str = "<!-- measured: begin -->\n";
    const END: &str = "<!-- measured: end -->\n";
    let (before, rest) = page.split_once(BEGIN).ok_or("the page has no line 'measured: begin'")?;
    let (_, after) = rest.split_once(END).ok_or("the page has no line 'measured: end'")?;
    Ok(format!("{before}{BEGIN}\n{tables}\n{END}{after}"))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut all = Vec::new();
    // The first group of each benchmark, for the small chart.
    let mut first = Vec::new();
    for bench in BENCHES {
        let groups = groups(bench)?;
        first.extend(groups.first().map(|_| all.len()));
        all.extend(groups);
    }
    if all.is_empty() {
        return Err("nothing was measured yet: run `cargo bench` as a whole".into());
    }
    let first: Vec<&Group> = first.into_iter().map(|index| &all[index]).collect();
    let all: Vec<&Group> = all.iter().collect();
    let machine = machine::description()?;

    let folder = results::folder();
    let (tables, chart) = (table::markdown(&machine, &all), chart::svg(&machine, &first));
    fs::write(folder.join("summary.md"), &tables)?;
    fs::write(folder.join("summary.svg"), &chart)?;
    fs::write(folder.join("all.svg"), chart::svg(&machine, &all))?;
    println!("{tables}\nThe same as a page and as charts: {}", folder.display());

    if std::env::args().any(|argument| argument == "--publish") {
        let page = "specs/benchmarks.md";
        fs::write(page, publish(&fs::read_to_string(page)?, &tables)?)?;
        fs::write("specs/benchmarks.svg", chart)?;
        println!("Published in specs/.");
    }
    Ok(())
}
