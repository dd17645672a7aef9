//! Drawings of graphs.

use super::graph::Graph;
use super::node::NodeKind;
use super::report::quoted;
use std::fmt::Write as _;

/// The sizes of a drawing, in pixels: a character, the height of a node, gaps, and the margin.
const CHARACTER: usize = 8;
const HEIGHT: usize = 40;
const GAP: usize = 24;
const ROW: usize = HEIGHT + 2 * GAP;
const MARGIN: usize = 16;

impl Graph {
    /// The graph in the language of Graphviz: nodes are grouped by the barriers between them, and an edge leads from a node
    /// to one that waits for it.
    ///
    /// ```
    /// use aruminium::infer::{DType, Graph, Tensor};
    /// let gpu = aruminium::Gpu::open()?;
    /// let [a, b, c] = [(); 3].map(|_| Tensor::new(&gpu, DType::U8, &[4]));
    /// let (a, b, c) = (a?, b?, c?);
    /// let (graph, ()) = Graph::record(|stream| {
    ///     stream.copy(&a, &b)?;
    ///     stream.copy(&b, &c)
    /// })?;
    /// assert!(graph.to_dot().contains("n0 -> n1"));
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn to_dot(&self) -> String {
        let mut text = String::from("digraph graph_of_launches {\n  node [shape=box];\n");
        let mut group = None;
        for (index, node) in self.nodes().enumerate() {
            if group != Some(node.group) {
                let end = if group.is_some() { "  }\n" } else { "" };
                _ = writeln!(
                    text,
                    "{end}  subgraph cluster_{0} {{\n    label=\"{0}\";",
                    node.group
                );
                group = Some(node.group);
            }
            let title = match node.label() {
                "" => node.title(),
                label => format!("{label}: {}", node.title()),
            };
            _ = writeln!(text, "    n{index} [label={}];", quoted(&title));
        }
        if group.is_some() {
            text.push_str("  }\n");
        }
        for (first, second) in self.edges() {
            _ = writeln!(text, "  n{first} -> n{second};");
        }
        text + "}\n"
    }

    /// The graph as an SVG image: nodes that may run concurrently are in a row, barriers and fences are between rows, and a
    /// line leads from a node to one that waits for it.
    ///
    /// ```
    /// use aruminium::infer::{DType, Graph, Tensor};
    /// let gpu = aruminium::Gpu::open()?;
    /// let (a, b) = (Tensor::new(&gpu, DType::U8, &[4])?, Tensor::new(&gpu, DType::U8, &[4])?);
    /// let (graph, ()) = Graph::record(|stream| stream.copy(&a, &b))?;
    /// assert!(graph.to_svg().starts_with("<svg") && graph.to_svg().contains(">copy</text>"));
    /// # Ok::<(), aruminium::infer::Error>(())
    /// ```
    pub fn to_svg(&self) -> String {
        let mut boxes = Vec::new();
        let (mut x, mut row, mut wide) = (MARGIN, 0, 2 * MARGIN);
        let mut rules = Vec::new();
        let mut copying = None;
        for node in self.nodes() {
            // Copies and launches have encoders of their own, with a fence between them. A barrier is in either.
            let copies = match node.kind {
                NodeKind::Barrier => copying,
                _ => Some(matches!(node.kind, NodeKind::Copy)),
            };
            if node.group != row {
                (x, row) = (MARGIN, node.group);
                let rule = if copying == copies { "barrier" } else { "fence" };
                rules.push((MARGIN + row * ROW - GAP, rule));
            }
            copying = copies;
            let (title, label) = (node.title(), node.label().to_owned());
            let width =
                CHARACTER * title.chars().count().max(label.chars().count()) + 2 * CHARACTER;
            boxes.push((x, MARGIN + row * ROW, width, title, label));
            x += width + GAP;
            wide = wide.max(x);
        }
        let high = 2 * MARGIN + (row + 1) * ROW - 2 * GAP;
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide}\" height=\"{high}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        for (y, rule) in rules {
            _ = writeln!(
                text,
                "<line x1=\"0\" y1=\"{y}\" x2=\"{wide}\" y2=\"{y}\" stroke=\"#c00\" stroke-dasharray=\"6 4\"/>\
                 <text x=\"2\" y=\"{}\" fill=\"#c00\">{rule}</text>",
                y - 3
            );
        }
        for (first, second) in self.edges() {
            let ((x1, y1, w1, ..), (x2, y2, w2, ..)) = (&boxes[first], &boxes[second]);
            let (x1, y1, x2) = (x1 + w1 / 2, y1 + HEIGHT, x2 + w2 / 2);
            let middle = (y1 + y2) / 2;
            _ = writeln!(
                text,
                "<path d=\"M{x1} {y1} C{x1} {middle} {x2} {middle} {x2} {y2}\" fill=\"none\" stroke=\"#888\"/>"
            );
        }
        for (x, y, width, title, label) in &boxes {
            let (middle, top, bottom) = (x + width / 2, y + 16, y + 32);
            let (title, label) = (escaped(title), escaped(label));
            _ = writeln!(
                text,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{HEIGHT}\" rx=\"4\" fill=\"#eef\" stroke=\"#336\"/>\
                 <text x=\"{middle}\" y=\"{top}\" text-anchor=\"middle\">{title}</text>\
                 <text x=\"{middle}\" y=\"{bottom}\" text-anchor=\"middle\" fill=\"#666\">{label}</text>"
            );
        }
        text + "</svg>\n"
    }
}

/// Text escaped for XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
