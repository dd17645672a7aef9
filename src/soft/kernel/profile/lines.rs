//! Lines of a profile: what was counted at their sites.

use std::collections::HashMap;

use super::{Count, Extent, Memory, hints};
use crate::soft::ir::{AccessKind, Site, SiteKind, Space};
use crate::soft::kernel::SourceText;
use crate::soft::sorted::{SortedMap, SortedSet};

/// The counts of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) kernel: String,
    pub(crate) extent: Extent,
    /// By file and line. Lines without code are not there.
    pub(crate) lines: Vec<Line>,
    /// About the kernel as a whole.
    pub(crate) hints: Vec<String>,
    /// The text of the files, where it is known.
    pub(super) files: SortedMap<String, Option<String>>,
}

/// The counts of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) file: String,
    /// From 1 on.
    pub(crate) number: u32,
    /// How often SIMD-groups ran it.
    pub(crate) runs: u64,
    /// The active lanes of these runs in sum.
    pub(crate) lanes: u64,
    /// The operations of SIMD-groups.
    pub(crate) operations: u64,
    pub(crate) barriers: u64,
    /// The atomic operations of all lanes.
    pub(crate) atomics: u64,
    /// Those on an address that another lane changed by the same instruction.
    pub(crate) contended: u64,
    /// `device`, `constant` and `threadgroup` memory.
    pub(crate) memory: [Memory; 3],
    pub(crate) hints: Vec<String>,
}

/// The address spaces of [`Line::memory`].
pub(crate) const SPACES: [Space; 3] = [Space::Device, Space::Constant, Space::Threadgroup];

impl Line {
    /// The active lanes of a run on average.
    pub(crate) fn average_lanes(&self) -> f64 {
        self.lanes as f64 / self.runs.max(1) as f64
    }

    fn add(&mut self, site: &Site, count: &Count) {
        match site.kind {
            SiteKind::Line(operations) => self.operations += count.runs * u64::from(operations),
            SiteKind::Barrier => self.barriers += count.runs,
            SiteKind::Access(space, kind, _) | SiteKind::Element(space, kind, _) => {
                if let Some(at) = SPACES.iter().position(|one| *one == space) {
                    self.memory[at].add(&count.memory);
                }
                if matches!(kind, AccessKind::AtomicRead | AccessKind::AtomicWrite) {
                    self.atomics += count.lanes;
                    self.contended += count.contended;
                }
            }
        }
    }
}

impl Summary {
    /// The lines of sites.
    pub(super) fn new<'a>(
        kernel: &str,
        extent: Extent,
        source: &dyn SourceText,
        sites: impl Iterator<Item = (&'a Site, &'a Count)>,
    ) -> Self {
        let mut lines: SortedMap<(String, u32), Line> = SortedMap::new();
        // The runs and lanes of a line in each function: those of its part that ran most often.
        let mut most: HashMap<(String, u32, u32), (u64, u64)> = HashMap::new();
        for (site, count) in sites {
            let Some(at) = source.position(site.span) else { continue };
            let line = lines.get_or_insert_with((at.file.clone(), at.line), Line::default);
            line.add(site, count);
            if let SiteKind::Line(_) = site.kind {
                let known = most.entry((at.file, at.line, site.function)).or_default();
                *known = (*known).max((count.runs, count.lanes));
            }
        }
        for ((file, number, _), (runs, lanes)) in most {
            if let Some(line) = lines.get_mut(&(file, number)) {
                line.runs += runs;
                line.lanes += lanes;
            }
        }
        let lines = lines.into_iter().map(|((file, number), line)| Line { file, number, ..line });
        let mut lines: Vec<Line> = lines.collect();
        let files = lines.iter().map(|line| line.file.clone());
        let files = files.map(|file| (file.clone(), source.file(&file))).collect();
        let total = lines.iter().map(|line| line.operations).sum();
        for line in &mut lines {
            line.hints = hints::of_line(line, &extent, total);
        }
        let hints = hints::of_kernel(&extent);
        Self { kernel: kernel.to_owned(), extent, lines, hints, files }
    }

    /// All operations.
    pub(super) fn operations(&self) -> u64 {
        self.lines.iter().map(|line| line.operations).sum()
    }

    /// The lines of each file to show, with their texts: those with counts, and some around them. `None` is a gap.
    pub(super) fn shown(&self) -> Vec<(&str, Vec<Option<Shown<'_>>>)> {
        let files = self.files.iter();
        files.map(|(file, text)| (file.as_str(), self.shown_of(file, text))).collect()
    }

    fn shown_of<'a>(&'a self, file: &str, text: &'a Option<String>) -> Vec<Option<Shown<'a>>> {
        /// Lines around one with counts.
        const AROUND: u32 = 3;
        let texts: Vec<&str> = text.as_deref().unwrap_or_default().lines().collect();
        let counted = self.lines.iter().filter(|line| line.file == file);
        let counted: SortedMap<u32, &Line> = counted.map(|line| (line.number, line)).collect();
        // Not all numbers up to the last: a `#line` directive may have made it large.
        let near = |&number: &u32| number.saturating_sub(AROUND)..=number.saturating_add(AROUND);
        let near: SortedSet<u32> = counted.keys().flat_map(near).collect();
        let mut shown: Vec<Option<Shown<'_>>> = Vec::new();
        let mut before = None;
        for number in near {
            let line = counted.get(&number).copied();
            let text = number.checked_sub(1).and_then(|at| texts.get(at as usize)).copied();
            if line.is_none() && text.is_none() {
                continue;
            }
            if before.is_some_and(|before: u32| before + 1 < number) {
                shown.push(None);
            }
            shown.push(Some(Shown { number, text: text.unwrap_or(""), line }));
            before = Some(number);
        }
        shown
    }
}

/// A line of the source as it is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    pub(super) number: u32,
    pub(super) text: &'a str,
    pub(super) line: Option<&'a Line>,
}
