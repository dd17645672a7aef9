//! Profiles as a picture, for pages that show nothing but pictures: an SVG file without scripts.

use std::fmt::Write;

use super::html::escaped;
use super::lines::Summary;
use super::text::notes;

/// Pixels of a character, of the font at its size; of a row; and around everything.
const CHARACTER: usize = 8;
const ROW: usize = 20;
const MARGIN: usize = 16;
/// Characters to the left of a note, and the most that a row of notes has.
const INDENT: usize = 31;
const WIDE: usize = 110;

const TITLE: &str = "#000";
const CODE: &str = "#222";
const COLD: &str = "#888";
const NOTE: &str = "#567";
const HINT: &str = "#a40";

/// A row of text.
struct Row {
    text: String,
    color: &'static str,
    /// How hot the line is, from 0 to 1.
    heat: f64,
}

impl Row {
    fn new(text: impl Into<String>, color: &'static str) -> Self {
        Self { text: text.into(), color, heat: 0.0 }
    }
}

/// The picture of these profiles.
pub(crate) fn picture(profiles: &[Summary]) -> String {
    let rows: Vec<Row> = profiles.iter().flat_map(Summary::rows).collect();
    let columns = rows.iter().map(|row| row.text.chars().count()).max().unwrap_or(0);
    let (width, height) = (columns * CHARACTER + 2 * MARGIN, rows.len() * ROW + 2 * MARGIN);
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"ui-monospace, Menlo, Consolas, monospace\" font-size=\"13\">\n\
         <title>Profile of kernels</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (row, top) in rows.iter().zip((MARGIN..).step_by(ROW)) {
        let Row { text, color, heat } = row;
        // Writing to a string does not fail.
        if *heat > 0.0 {
            let (width, opacity) = (columns * CHARACTER, 0.45 * heat);
            let _ = writeln!(
                picture,
                "<rect x=\"{MARGIN}\" y=\"{top}\" width=\"{width}\" height=\"{ROW}\" fill=\"#f70\" fill-opacity=\"{opacity:.2}\"/>"
            );
        }
        let (y, text) = (top + 14, escaped(text));
        let _ = writeln!(
            picture,
            "<text x=\"{MARGIN}\" y=\"{y}\" fill=\"{color}\" xml:space=\"preserve\">{text}</text>"
        );
    }
    picture.push_str("</svg>\n");
    picture
}

/// A text in rows of at most `WIDE` characters, if its words allow.
fn wrapped(text: &str, indent: usize, color: &'static str) -> Vec<Row> {
    let mut rows = vec![String::new()];
    for word in text.split(' ') {
        match rows.last_mut() {
            Some(row) if row.is_empty() => row.push_str(word),
            Some(row) if row.len() + word.len() < WIDE => *row += &format!(" {word}"),
            _ => rows.push(word.to_owned()),
        }
    }
    rows.iter().map(|row| Row::new(format!("{:indent$}{row}", ""), color)).collect()
}

impl Summary {
    fn rows(&self) -> Vec<Row> {
        let mut rows = vec![Row::new(format!("kernel {}", self.kernel), TITLE)];
        rows.extend(wrapped(&self.extent.to_string(), 0, NOTE));
        rows.extend(self.hints.iter().flat_map(|hint| wrapped(hint, 0, HINT)));
        let total = self.operations().max(1);
        let hottest = self.lines.iter().map(|line| line.operations).max().unwrap_or(0).max(1);
        for (file, lines) in self.shown() {
            rows.push(Row::new(format!("    runs  lanes  heat  line  {file}"), NOTE));
            for line in lines {
                let Some(shown) = line else {
                    rows.push(Row::new(format!("{:INDENT$}…", ""), COLD));
                    continue;
                };
                let (number, text) = (shown.number, shown.text.replace('\t', "    "));
                let Some(line) = shown.line else {
                    rows.push(Row::new(format!("{:21}  {number:4}  {text}", ""), COLD));
                    continue;
                };
                let (runs, lanes) = (line.runs, line.average_lanes());
                let share = (100 * line.operations + total / 2) / total;
                let text = format!("{runs:8}  {lanes:5.1}  {share:3}%  {number:4}  {text}");
                let heat = line.operations as f64 / hottest as f64;
                rows.push(Row { heat, ..Row::new(text, CODE) });
                rows.extend(notes(line).iter().flat_map(|note| wrapped(note, INDENT, NOTE)));
                rows.extend(line.hints.iter().flat_map(|hint| wrapped(hint, INDENT, HINT)));
            }
        }
        rows.push(Row::new("", NOTE));
        rows
    }
}
