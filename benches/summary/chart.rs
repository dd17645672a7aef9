//! The results as a chart: one panel per group, one bar per way, for light and for dark pages.
//!
//! Bars are as long as the ratios to the limit, which hold on a busy machine, too.

use crate::Group;
use std::fmt::Write;

/// Lengths are in pixels of a picture that is not scaled.
const WIDTH: usize = 880;
const GAP: usize = 16;
const PANEL: usize = (WIDTH - GAP) / 2;
const MARGIN: usize = 16;
/// The head of a panel, and a row of it.
const HEAD: usize = 34;
const ROW: usize = 22;
/// Where bars begin inside a panel, and the longest of them.
const BAR: usize = 172;
const LONGEST: usize = 128;
/// The line with the machine, below everything.
const FOOT: usize = 30;

/// Light or dark colours, as the reader's system prefers.
const STYLE: &str = "\
text{font:12px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}\
.title{font-weight:600;font-size:13px}.way{text-anchor:end}.faint{fill:#59636e}\
.panel{fill:#f6f8fa;stroke:#d1d9e0}.cut{fill:#f6f8fa}.limit{fill:#aab4bf}.bar{fill:#3b82f6}\
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.faint{fill:#9198a1}\
.panel{fill:#151b23;stroke:#3d444d}.cut{fill:#151b23}.limit{fill:#656c76}.bar{fill:#4c8dff}}";

/// Two columns of panels, each below the others of the shorter column.
pub(crate) fn svg(machine: &str, groups: &[&Group]) -> String {
    let mut panels = String::new();
    let mut bottoms = [0; 2];
    for group in groups {
        let column = usize::from(bottoms[1] < bottoms[0]);
        let height = HEAD + group.rows.len() * ROW + MARGIN / 2;
        panel(&mut panels, group, (column * (PANEL + GAP), bottoms[column], height));
        bottoms[column] += height + GAP;
    }
    let height = bottoms[0].max(bottoms[1]) + FOOT;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>What each way costs, beside the limit</title>\n<style>{STYLE}</style>\n{panels}\
         <text class=\"faint\" x=\"0\" y=\"{}\">Grey is the limit that the others are compared with. \
         {}.</text>\n</svg>\n",
        height - FOOT / 2,
        escaped(machine),
    )
}

fn panel(svg: &mut String, group: &Group, (x, y, height): (usize, usize, usize)) {
    let _ = writeln!(svg, "<g transform=\"translate({x} {y})\">");
    let (width, tall) = (PANEL - 1, height - 1);
    let _ = writeln!(
        svg,
        "<rect class=\"panel\" x=\".5\" y=\".5\" width=\"{width}\" height=\"{tall}\" rx=\"6\"/>"
    );
    let (bench, title) = (group.bench, escaped(group.title()));
    let _ = writeln!(
        svg,
        "<text class=\"title\" x=\"{MARGIN}\" y=\"22\">{title} \
         <tspan class=\"faint\" font-weight=\"400\">{bench}</tspan></text>"
    );
    let scale = scale(group);
    for (index, row) in group.rows.iter().enumerate() {
        let top = HEAD + index * ROW;
        let class = if index == 0 { "limit" } else { "bar" };
        let length = ((row.ratio.0 / scale).min(1.0) * LONGEST as f64).max(1.0);
        let text = top + 12;
        let _ = writeln!(
            svg,
            "<text class=\"way\" x=\"{}\" y=\"{text}\">{}</text>\
             <rect class=\"{class}\" x=\"{BAR}\" y=\"{top}\" width=\"{length:.1}\" height=\"16\" rx=\"2\"/>\
             <text x=\"{:.1}\" y=\"{text}\">{} <tspan class=\"faint\">×{}</tspan></text>",
            BAR - 8,
            escaped(&row.way),
            BAR as f64 + length + 8.0,
            row.time,
            row.ratio,
        );
        if row.ratio.0 > scale {
            let (cut, bottom) = (BAR + LONGEST - 20, top + 16);
            let right = cut + 4;
            let _ = writeln!(
                svg,
                "<path class=\"cut\" d=\"M{cut} {bottom}L{right} {top}H{}L{right} {bottom}z\"/>",
                right + 4,
            );
        }
    }
    svg.push_str("</g>\n");
}

/// The ratio of the longest bar. A bar that is many times as long as all others would make those invisible:
/// it is cut, and marked as cut.
fn scale(group: &Group) -> f64 {
    const CUT: f64 = 4.0;
    let mut ratios: Vec<f64> = group.rows.iter().map(|row| row.ratio.0).collect();
    ratios.sort_by(f64::total_cmp);
    match ratios[..] {
        [.., second, first] if first > CUT * second => CUT / 2.0 * second,
        [.., first] => first,
        [] => 1.0,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
