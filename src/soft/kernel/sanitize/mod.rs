//! The sanitizer's memory of a command buffer: which accesses there were, and what was found (`specs/sanitizer.md`).

mod deferred;
mod publish;
mod queues;
mod quick;
mod report;
mod shadow;
pub(crate) mod stamps;
#[cfg(test)]
mod tests;
pub(crate) mod written;

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use deferred::Commit;
use queues::{Encoder, Ticks};
pub(crate) use queues::{EncoderOrder, SharedClock, activate, forget, is_active, queue_made};
use quick::Whole;
pub(crate) use report::{Access, Report, ReportKind};
use report::{remedy, thread};
use shadow::{Apart, Record, Shadow, Stamps, resized, shifted};
use stamps::{Events, Planes, Quick, Row};
pub(crate) use written::{mark, track, untrack};

use super::SourcePosition;
use crate::soft::ir::{AccessKind, Checks, Finding, MemFlags};

/// The most reports of one command buffer.
const MOST_REPORTS: usize = 1000;

/// The pieces of memory that planes are kept for when nothing in them matters any more.
const MOST_PLANES: usize = 64;

/// The checks of one command buffer.
#[derive(Default)]
pub(crate) struct Session {
    /// The number of its queue.
    queue: u64,
    /// The work that is ordered before the commands that are executed now, in other queues too.
    clock: SharedClock,
    /// The same without the work of earlier command buffers of the queue, which does not come before where hazards are not tracked.
    waited: SharedClock,
    /// The encoders that ran, if there is such memory: the clock of each, and the one that runs.
    encoders: Mutex<(Vec<Ticks>, Option<Encoder>)>,
    /// Made when the first checked kernel is launched, so that other command buffers pay nothing for it.
    made: OnceLock<Box<Made>>,
    /// While it is committed and has not ended.
    commit: Commit,
}

/// The state that the checked kernels of a command buffer share.
#[derive(Default)]
struct Made {
    state: Mutex<State>,
    /// The findings, under a lock of their own, so that they can be read while a kernel runs.
    found: Mutex<Found>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct State {
    /// Device memory, by address.
    device: Shadow,
    /// A cell of it has `4 >> shift` bytes: an address shifted left by this has four for each cell, in the shadow and the planes.
    shift: u32,
    /// The stamps of device memory, and their events.
    planes: Vec<Planes>,
    events: Events,
    /// The launches since everything was ordered.
    launches: Vec<Run>,
    sites: Vec<Site>,
    site_numbers: HashMap<Site, u32>,
    /// For each site the first one of its line.
    lines: Vec<u32>,
    line_numbers: HashMap<Site, u32>,
    /// The threadgroups of these launches.
    groups: u32,
    /// The executions of instructions so far, and the lanes of the last.
    steps: u32,
    lanes: u32,
    /// For each threadgroup that had fences of device scope, the steps of the first and the last.
    fences: HashMap<u32, (u32, u32)>,
}

/// Whether fences lie between two accesses of different threadgroups: one after the first, one before the second.
fn fenced(fences: &HashMap<u32, (u32, u32)>, old: &Record, new: &Record) -> bool {
    fences.get(&old.group).is_some_and(|fence| fence.1 > old.step)
        && fences.get(&new.group).is_some_and(|fence| fence.0 <= new.step)
}

/// The reports, and their numbers by kind and the two lines, the lower first.
#[derive(Default)]
struct Found {
    reports: Vec<Report>,
    numbers: HashMap<Key, usize>,
    /// Counts what has no report, because there are too many.
    omitted: Option<Report>,
}

impl Found {
    /// Counts one occurrence; the first one is described.
    fn note(&mut self, key: Key, report: impl FnOnce() -> Report) {
        if let Some(&known) = self.numbers.get(&key) {
            self.reports[known].count += 1;
        } else if self.reports.len() < MOST_REPORTS {
            self.numbers.insert(key, self.reports.len());
            self.reports.push(report());
        } else if let Some(omitted) = &mut self.omitted {
            omitted.count += 1;
        } else {
            self.omitted = Some(Report::omitted(report().kernel));
        }
    }
}

/// The kind of a report, the first sites of its two lines, the lower first, and the argument or variable: the number of its region, or for accesses
/// of two queues its address.
type Key = (ReportKind, u32, u32, u64);

/// Counts one occurrence.
fn note(found: &Mutex<Found>, key: Key, report: impl FnOnce() -> Report) {
    lock(found).note(key, report);
}

/// A launch, as far as positions of its threads and names of its memory need it.
#[derive(Clone)]
struct Run {
    first_group: u32,
    grid: [u32; 3],
    group: [u32; 3],
    arguments: Vec<BufferName>,
    checks: Checks,
}

impl Run {
    /// The argument at an address.
    fn argument_at(&self, address: u64) -> Option<&BufferName> {
        let is_in = |one: &&BufferName| (one.base..one.base + one.bytes).contains(&address);
        self.arguments.iter().find(is_in)
    }
}

/// A buffer of a launch: where it is, and the name of the argument.
#[derive(Clone)]
pub(crate) struct BufferName {
    pub(crate) base: u64,
    pub(crate) bytes: u64,
    pub(crate) name: String,
    /// Whether other launches may access it.
    pub(crate) shared: bool,
}

/// How much was launched, and with what.
pub(crate) struct Extent {
    pub(crate) grid: [u32; 3],
    pub(crate) group: [u32; 3],
    pub(crate) arguments: Vec<BufferName>,
}

/// An instruction that accesses memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Site {
    kernel: String,
    source: Option<SourcePosition>,
    kind: AccessKind,
}

/// Whether the second range is in the first.
fn contains(outer: &Range<u64>, inner: &Range<u64>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// Whether two ranges have something in common.
fn meet(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

impl Drop for State {
    fn drop(&mut self) {
        let top = self.events.quick.next.get();
        self.planes.drain(..).for_each(|planes| planes.give_back(top));
    }
}

impl State {
    /// Makes records of all stamps of a range of device memory, and leaves this stamp there.
    fn unstamp(&mut self, range: &Range<u64>, left: u32) {
        let Self { device, planes, events, .. } = self;
        if !events.is_quiet() {
            device.unstamp(&Stamps { events, planes }, range, left);
        }
    }

    /// Cells of device memory have `4 >> shift` bytes from now on. What is known stays, cells of other sizes are converted.
    fn set_shift(&mut self, shift: u32) {
        if shift == self.shift {
            return;
        }
        self.unstamp(&(0..u64::MAX), 0);
        let top = self.events.quick.next.get();
        self.planes.drain(..).for_each(|planes| planes.give_back(top));
        let records: Vec<_> = self.device.take().collect();
        for (cell, record) in resized(records, self.shift, shift) {
            self.device.add(cell, record);
        }
        self.shift = shift;
    }

    /// A range of addresses of device memory, where its cells have four bytes.
    fn in_cells(&self, range: &Range<u64>) -> Range<u64> {
        shifted(range, self.shift)
    }

    /// Stamps for a range of addresses, which may overlap those that there are.
    fn stamp(&mut self, range: Range<u64>) {
        if self.planes.iter().any(|planes| contains(&planes.range(), &range)) {
            return;
        }
        let mut all = range;
        while let Some(at) = self.planes.iter().position(|planes| meet(&planes.range(), &all)) {
            let other = self.planes[at].range();
            self.unstamp(&other, stamps::COMPLEX);
            self.planes.remove(at);
            all = all.start.min(other.start)..all.end.max(other.end);
        }
        let Some(new) = Planes::new(all.clone(), &mut self.events) else { return };
        for number in self.device.numbers(&all) {
            new.cell(number).into_iter().for_each(|cell| cell.fill(stamps::COMPLEX));
        }
        self.planes.push(new);
    }

    /// The number of a site.
    fn number_of(&mut self, site: Site) -> u32 {
        let Self { sites, site_numbers, lines, line_numbers, .. } = self;
        *site_numbers.entry(site).or_insert_with_key(|site| {
            let number = sites.len() as u32;
            sites.push(site.clone());
            let mut line = site.clone();
            line.source.iter_mut().for_each(|source| source.column = 0);
            lines.push(*line_numbers.entry(line).or_insert(number));
            number
        })
    }

    /// The key of a report about two sites.
    fn key(lines: &[u32], kind: ReportKind, sites: [u32; 2], of: u64) -> Key {
        let [one, other] = sites.map(|site| lines[site as usize]);
        (kind, one.min(other), one.max(other), of)
    }
}

impl Session {
    /// From now on these are the checks of a command buffer of this queue.
    pub(crate) fn set_queue(&mut self, queue: u64) {
        self.queue = queue;
    }

    /// The state, locked, if a checked kernel was launched.
    fn state(&self) -> Option<MutexGuard<'_, State>> {
        Some(lock(&self.made.get()?.state))
    }

    /// All launches that follow are ordered after those that were.
    pub(crate) fn order(&self) {
        let Some(mut state) = self.state() else { return };
        let untracked = self.untracked();
        let everything = 0..u64::MAX;
        let all = match queues::are_several() {
            true if untracked.is_empty() => {
                self.defer(&mut state);
                Vec::new()
            }
            true => vec![everything],
            false => untracked,
        };
        let all: Vec<_> = all.iter().map(|range| state.in_cells(range)).collect();
        all.iter().for_each(|range| state.unstamp(range, 0));
        let records = match &all[..] {
            [] => Vec::new(),
            _ => {
                let is_wanted = |address: u64| queues::is_in(&all, address);
                state.device.take().filter(|(cell, _)| is_wanted(cell * 4)).collect()
            }
        };
        self.publish(&mut state, records);
        state.device.clear();
        state.events.order();
        if state.planes.len() > MOST_PLANES {
            let top = state.events.start;
            state.planes.drain(..).for_each(|planes| planes.give_back(top));
        }
        state.launches.clear();
        state.fences.clear();
        state.groups = 0;
    }

    /// The accesses of launches that follow to these ranges of addresses are ordered after those that were.
    pub(crate) fn order_memory(&self, ranges: &[Range<u64>]) {
        let Some(mut state) = self.state() else { return };
        let ranges: Vec<_> = ranges.iter().map(|range| state.in_cells(range)).collect();
        ranges.iter().for_each(|range| state.unstamp(range, 0));
        let records = ranges.iter().flat_map(|range| state.device.take_range(range)).collect();
        self.publish(&mut state, records);
    }

    /// The command buffer is committed: what the program has seen to be done comes before it.
    pub(crate) fn committed(&self) {
        if queues::is_active() {
            self.commit.begin();
            self.clock.join(&queues::all_seen());
            self.waited.join(&queues::all_seen());
        }
    }

    /// The work of the clock is ordered before everything executed from now on: an event was waited for, or the queue was.
    pub(crate) fn after(&self, clock: &SharedClock) {
        if queues::is_active() {
            self.order();
            self.clock.join(&clock.get());
            self.waited.join(&clock.get());
        }
    }

    /// The same where the clock is that of the queue: the work of earlier command buffers, which tracked memory waits for.
    pub(crate) fn after_queue(&self, clock: &SharedClock) {
        if queues::is_active() {
            self.clock.join(&clock.get());
        }
    }

    /// All that was executed comes before what the clock is about: an event that is signalled, or the next in the queue.
    pub(crate) fn before(&self, clock: &SharedClock) {
        if queues::is_active() {
            self.order();
            clock.join(&self.clock.get());
        }
    }

    /// The command buffer has ended, which the program does not know yet.
    pub(crate) fn ended(&self) {
        self.commit.end();
    }

    /// The program sees that the command buffer has completed.
    pub(crate) fn seen(&self) {
        self.clock.seen();
    }

    /// The findings.
    pub(crate) fn reports(&self) -> Vec<Report> {
        let Some(made) = self.made.get() else { return Vec::new() };
        let found = lock(&made.found);
        found.reports.iter().chain(&found.omitted).cloned().collect()
    }

    /// Begins a launch, or goes on with it after other code has begun it. It has the session until it is dropped.
    pub(crate) fn launch(
        &self,
        kernel: &str,
        checks: Checks,
        extent: Extent,
        resumes: bool,
    ) -> Checker<'_> {
        if checks.has(Checks::RACES) {
            queues::activate();
        }
        let Extent { grid, group, arguments } = extent;
        let source = lock(&self.encoders).1.as_ref().map_or(self.queue, |encoder| encoder.number);
        let made = self.made.get_or_init(Box::default);
        let mut state = lock(&made.state);
        let begun = state.launches.last().filter(|_| resumes).map(|run| run.first_group);
        let first_group = begun.unwrap_or(state.groups);
        // Numbers repeat in launches of more threadgroups than there are numbers.
        let groups = (0..3).map(|d| grid[d].div_ceil(group[d].max(1)));
        let groups = groups.fold(1, u32::wrapping_mul);
        state.groups = first_group.wrapping_add(groups);
        if begun.is_none() {
            state.launches.push(Run { first_group, grid, group, arguments, checks });
        }
        Checker {
            state,
            found: &made.found,
            source,
            kernel: kernel.to_owned(),
            checks,
            own: Shadow::of_threadgroups(),
            first_group,
            written: Vec::new(),
            is_stamped: false,
            own_shift: 0,
            planes: Vec::new(),
            event: 0,
            rows: Vec::new(),
            known: Vec::new(),
        }
    }
}

/// Where an access is.
pub(crate) struct Place<'a> {
    /// Whether it is threadgroup memory.
    pub(crate) own: bool,
    /// Its address in the machine, or in threadgroup memory any number that identifies it.
    pub(crate) address: u64,
    /// How many bytes.
    pub(crate) bytes: u32,
    /// The number of the region that it was accessed through.
    pub(crate) region: u32,
    /// The name of the argument or variable.
    pub(crate) name: &'a dyn Fn() -> Option<String>,
    /// The offset in it.
    pub(crate) offset: i64,
}

/// One launch that is checked.
pub(crate) struct Checker<'a> {
    state: MutexGuard<'a, State>,
    found: &'a Mutex<Found>,
    /// The number of the encoder, where memory is used whose hazards the program tracks itself, or of the queue.
    source: u64,
    kernel: String,
    checks: Checks,
    own: Shadow,
    first_group: u32,
    /// The bytes of threadgroup memory that were written.
    written: Vec<written::Own>,
    /// Whether machine code stamps accesses.
    is_stamped: bool,
    /// A cell of threadgroup memory has `4 >> own_shift` bytes.
    own_shift: u32,
    /// The stamps of threadgroup memory.
    planes: Vec<Planes>,
    /// The stamp of the instruction's event, 0 if it has none.
    event: u32,
    /// For machine code: the planes of each region, and the sites of instructions plus 1, by the numbers of their values.
    rows: Vec<Row>,
    known: Vec<u32>,
}

impl Drop for Checker<'_> {
    fn drop(&mut self) {
        let quick = &self.state.events.quick;
        quick.rows.set(std::ptr::null());
        quick.sites.set(std::ptr::null());
        self.state.events.stop();
    }
}

impl Checker<'_> {
    /// The state that machine code tests and updates by itself, while the checker lives.
    pub(crate) fn quick(&self) -> *const Quick {
        &raw const *self.state.events.quick
    }

    /// The memory of the launch's regions, in the order of their numbers, and whether it is threadgroup memory; none of those that
    /// threads do not share. `values` is the number of the kernel's values. If its accesses are stamped, `shifts` are those of the cells of device
    /// and of threadgroup memory.
    pub(crate) fn regions(
        &mut self,
        regions: &[Option<(bool, Range<u64>)>],
        values: usize,
        shifts: Option<[u8; 2]>,
    ) {
        let follows = self.checks.has(Checks::INIT);
        self.is_stamped = shifts.is_some();
        if !self.is_stamped && !follows {
            return;
        }
        if let Some([device, own]) = shifts {
            self.state.set_shift(device.into());
            self.own_shift = own.into();
        }
        for (own, range) in regions.iter().flatten().filter(|(_, range)| !range.is_empty()) {
            if follows && *own {
                self.written.push(written::Own::new(range.clone()));
            }
            match own {
                _ if !self.is_stamped => {}
                false => {
                    let range = self.state.in_cells(range);
                    self.state.stamp(range);
                }
                true => {
                    let range = shifted(range, self.own_shift);
                    self.planes.extend(Planes::new(range, &mut self.state.events));
                }
            }
        }
        let row = |region: &Option<(bool, Range<u64>)>| {
            let Some((own, range)) = region else { return Row::NONE };
            let all = if *own { &self.planes } else { &self.state.planes };
            let cells = shifted(range, self.shift(*own));
            let planes = all.iter().find(|planes| contains(&planes.range(), &cells));
            let row =
                planes.map_or(Row::NONE, |planes| planes.row(cells.start, cells.end - cells.start));
            match self.own_bytes(range).filter(|_| *own) {
                Some(written) => row.with_written(written),
                None => row,
            }
        };
        self.rows = regions.iter().map(row).collect();
        self.known = vec![0; values];
        let quick = &self.state.events.quick;
        quick.rows.set(self.rows.as_ptr());
        quick.sites.set(self.known.as_ptr());
    }

    /// A threadgroup begins.
    pub(crate) fn enter(&mut self, number: u32) {
        self.written.iter().for_each(written::Own::clear);
        let group = self.first_group.wrapping_add(number);
        self.state.events.enter(group, self.is_stamped);
    }

    /// The shift of cells of threadgroup (`own`) or device memory.
    fn shift(&self, own: bool) -> u32 {
        if own { self.own_shift } else { self.state.shift }
    }

    /// The number of the threadgroup that runs.
    fn group(&self) -> u32 {
        self.state.events.quick.group.get()
    }

    /// A SIMD-group begins. From here to its end or its next barrier no other one runs.
    pub(crate) fn begin(&mut self, wave: u32) {
        self.state.events.begin(wave);
    }

    /// Machine code may log the site of an instruction, which has the value's number.
    pub(crate) fn publish(&mut self, value: u32, site: u32) {
        if let Some(known) = self.known.get_mut(value as usize) {
            *known = site + 1;
        }
    }

    /// Tries to note the accesses of a SIMD-group in the instruction of the last [`step`](Self::step) by stamps alone; false if they have to be
    /// compared one by one.
    pub(crate) fn access_all(
        &mut self,
        site: u32,
        own: bool,
        bytes: u32,
        lanes: &[(u32, u64)],
        value: &dyn Fn(u32) -> Option<u64>,
    ) -> bool {
        let state = &*self.state;
        if !state.events.is_on() {
            return false;
        }
        let planes = if own { &self.planes } else { &state.planes };
        let shift = self.shift(own);
        let shifted: Vec<_> = lanes.iter().map(|&(lane, at)| (lane, at << shift)).collect();
        let (lanes, bytes) = (&shifted[..], bytes << shift);
        let kind = state.sites[site as usize].kind;
        let value = |lane: u32| value(lane).map(folded);
        let whole = Whole { own, kind, bytes, shift, lanes, value: &value };
        let events = &state.events;
        let cell = |number: u64| planes.iter().find_map(|planes| planes.cell(number));
        events.quick.access(&whole, cell, || {
            events.note(site, state.lanes);
        })
    }

    /// The bytes of threadgroup memory (`own`) or of a buffer that were not written, a bit for each of at most 32.
    pub(crate) fn unwritten(&self, own: bool, address: u64, bytes: u32) -> u32 {
        if !own {
            return written::unwritten(address, bytes);
        }
        let range = address..address + u64::from(bytes);
        self.own_bytes(&range).map_or(0, written::Own::unwritten)
    }

    /// The records of bytes of threadgroup memory.
    fn own_bytes(&self, range: &Range<u64>) -> Option<&[Cell<u8>]> {
        self.written.iter().find_map(|own| own.bytes_of(range))
    }

    /// The bytes of threadgroup memory (`own`) or of a buffer are written.
    pub(crate) fn wrote(&self, own: bool, address: u64, bytes: u32) {
        match own {
            true => self.mark(address, bytes, true),
            false => mark(address as *const u8, bytes as usize),
        }
    }

    /// The bytes of threadgroup memory were written with what is itself uninitialised.
    pub(crate) fn unwrite(&self, address: u64, bytes: u32) {
        self.mark(address, bytes, false);
    }

    fn mark(&self, address: u64, bytes: u32, is_written: bool) {
        if let Some(bytes) = self.own_bytes(&(address..address + u64::from(bytes))) {
            written::Own::set(bytes, is_written);
        }
    }

    /// The number of an instruction.
    pub(crate) fn site(&mut self, source: Option<SourcePosition>, kind: AccessKind) -> u32 {
        self.state.number_of(Site { kernel: self.kernel.clone(), source, kind })
    }

    /// A SIMD-group has passed a barrier of its threadgroup.
    pub(crate) fn threadgroup_barrier(&mut self, wave: u32, flags: MemFlags) {
        self.pass(wave, flags, 0);
        self.state.events.resume(wave, [flags.device(), flags.threadgroup()]);
    }

    /// A SIMD-group has passed a barrier of its own.
    pub(crate) fn simdgroup_barrier(&mut self, wave: u32, flags: MemFlags) {
        self.pass(wave, flags, 1);
        self.state.events.resume(wave, [false; 2]);
    }

    fn pass(&mut self, wave: u32, flags: MemFlags, scope: usize) {
        let known = self.state.events.quick.clock(wave);
        let mut clock = known.get();
        clock.device[scope] += u32::from(flags.device());
        clock.own[scope] += u32::from(flags.threadgroup());
        clock.met += u32::from(scope == 0);
        known.set(clock);
    }

    /// A fence of device scope.
    pub(crate) fn fence(&mut self) {
        self.step(0);
        let (step, group) = (self.state.steps, self.group());
        self.state.fences.entry(group).or_insert((step, step)).1 = step;
    }

    /// The next instruction accesses memory, in these lanes.
    pub(crate) fn step(&mut self, lanes: u32) {
        self.state.steps = self.state.steps.wrapping_add(1);
        self.state.lanes = lanes;
        self.event = 0;
        if self.state.events.is_full() {
            let state = &mut *self.state;
            let planes: Vec<&Planes> = self.planes.iter().chain(&state.planes).collect();
            state.events.renumber(&planes);
            // Those of records name the events by their old numbers.
            state.device.drop_stamps();
            self.own.drop_stamps();
        }
        self.state.events.quick.step(lanes);
    }

    /// A thread does something undefined, independently of other threads.
    pub(crate) fn found(&mut self, wave: u32, lane: u32, site: u32, finding: Finding) {
        let group = self.group();
        let state = &mut *self.state;
        let kind = ReportKind::Of(finding);
        let place = &state.sites[site as usize];
        let source = place.source.clone();
        let launches = &state.launches;
        let report = || Report {
            kernel: self.kernel.clone(),
            kind,
            argument: None,
            offset: 0,
            bytes: 0,
            accesses: vec![Access {
                kernel: self.kernel.clone(),
                source,
                kind: AccessKind::Read,
                thread: thread(launches, group, wave, lane),
            }],
            remedy: report::remedy_of(finding).to_owned(),
            count: 1,
        };
        note(self.found, State::key(&state.lines, kind, [site; 2], 0), report);
    }

    /// A thread accesses memory, in the instruction of the last [`step`](Self::step). `value` is what it writes, if that is
    /// known.
    pub(crate) fn access(
        &mut self,
        wave: u32,
        lane: u32,
        site: u32,
        value: Option<u64>,
        at: &Place<'_>,
    ) {
        let clock = self.state.events.quick.clock(wave).get();
        let [epoch, inner] = if at.own { clock.own } else { clock.device };
        let (group, shift) = (self.group(), self.shift(at.own));
        let State { device, sites, lines, launches, steps, lanes, fences, events, planes, .. } =
            &mut *self.state;
        if self.event == 0 && events.is_on() {
            self.event = events.note(site, *lanes);
        }
        let kind = sites[site as usize].kind;
        let number = u64::from(group) << 10 | u64::from(wave) << 5 | u64::from(lane);
        let value = value.unwrap_or_else(|| unknown(number, self.source));
        let new = Record {
            group,
            epoch,
            inner,
            met: clock.met,
            step: *steps,
            lanes: *lanes,
            site,
            value: folded(value),
            wave: wave as u8,
            lane: lane as u8,
            mask: 0,
            kind,
            stamp: if self.event == 0 { 0 } else { self.event | lane },
            is_passing: false,
        };
        let (shadow, planes) =
            if at.own { (&mut self.own, &self.planes) } else { (device, &*planes) };
        let stamps = Stamps { events, planes };
        let mut counted = None;
        let is_fenced = |group: u32| fences.contains_key(&group);
        let range = (at.address << shift, at.bytes << shift);
        shadow.access(&stamps, range, shift, new, is_fenced, |old, new, apart| {
            if apart == Apart::Groups && fenced(fences, old, new) {
                return;
            }
            let plain = AccessKind::Write;
            let race = match apart {
                _ if old.kind == plain && new.kind == plain && old.value == new.value => {
                    ReportKind::SameValue
                }
                Apart::Lanes if old.is_in_lockstep_with(new) => ReportKind::Lockstep,
                _ => ReportKind::Race,
            };
            if race.is_benign() && !self.checks.has(Checks::BENIGN) {
                return;
            }
            let key = State::key(lines, race, [old.site, new.site], at.region.into());
            // Of the cells of one access, the first counts.
            if counted.replace(key) == Some(key) {
                return;
            }
            let access = |record: &Record| {
                let site = &sites[record.site as usize];
                Access {
                    kernel: site.kernel.clone(),
                    source: site.source.clone(),
                    kind: site.kind,
                    thread: thread(launches, record.group, record.wave.into(), record.lane.into()),
                }
            };
            note(self.found, key, || Report {
                kernel: self.kernel.clone(),
                kind: race,
                argument: (at.name)(),
                offset: at.offset,
                bytes: at.bytes,
                accesses: vec![access(old), access(new)],
                remedy: remedy(launches, old, new, apart, at.own),
                count: 1,
            });
        });
    }
}

/// Stands for a value that is not known, which counts as different in every thread of every encoder and queue.
fn unknown(thread: u64, source: u64) -> u64 {
    (thread + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ source.wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// A 32-bit fold of a written value, for comparison.
fn folded(value: u64) -> u32 {
    (value ^ value >> 32) as u32
}
