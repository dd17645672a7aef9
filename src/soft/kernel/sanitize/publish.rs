//! The accesses that command buffers publish, so that those of other queues, and of other encoders, are compared with them.

use std::ops::Range;
use std::sync::Arc;

use super::deferred::Part;
use super::queues::{self, Batch, Encoder, EncoderOrder, Table, Ticks, joined};
use super::report::{self, launch_of, thread};
use super::shadow::{Record, resized};
use super::{Access, Report, ReportKind, Session, Site, State, lock};
use crate::soft::ir::{AccessKind, Checks};

impl Session {
    /// The memory whose hazards the program tracks itself, of the encoder that runs.
    pub(super) fn untracked(&self) -> Vec<Range<u64>> {
        lock(&self.encoders).1.as_ref().map_or_else(Vec::new, |encoder| encoder.untracked.clone())
    }

    /// Encoders that use such memory begin with a command; those before it that have none of their own, too.
    pub(crate) fn begin_encoders(
        &self,
        all: &[EncoderOrder],
        untracked: &[Range<u64>],
        command: usize,
    ) {
        if all.is_empty() {
            return;
        }
        let begun = lock(&self.encoders).0.len();
        for order in all.iter().skip(begun).take_while(|order| order.start <= command) {
            self.order();
            let mut encoders = lock(&self.encoders);
            let waited = self.waited.get();
            let before = order.after.iter().filter_map(|&nth| encoders.0.get(nth));
            let encoder = Encoder::new(before.chain([&waited]), self.queue, order, untracked);
            let done = encoder.done();
            self.clock.join(&done);
            encoders.0.push(done);
            encoders.1 = Some(encoder);
            if encoders.0.len() == all.len() {
                queues::encoders_begun(self.queue, all, &encoders.0);
            }
        }
    }

    /// The command buffer ends, perhaps at an error: its other encoders begin, too, so that what their fences and their memory order is known.
    pub(crate) fn end(&self, all: &[EncoderOrder], untracked: &[Range<u64>]) {
        self.begin_encoders(all, untracked, usize::MAX);
    }

    /// Compares accesses with those of other queues, which may be executed at the same time, and those of untracked memory with those of
    /// other encoders.
    pub(super) fn publish(&self, state: &mut State, records: Vec<(u64, Record)>) {
        let records = resized(records, state.shift, 0);
        let encoders = lock(&self.encoders);
        let encoder = encoders.1.as_ref();
        let is_untracked = |(cell, _): &(u64, Record)| {
            encoder.is_some_and(|encoder| queues::is_in(&encoder.untracked, cell * 4))
        };
        let (untracked, others): (Vec<_>, Vec<_>) = records.into_iter().partition(is_untracked);
        if let Some(encoder) = encoder {
            self.publish_as(state, encoder.number, &encoder.clock, untracked);
        }
        drop(encoders);
        if queues::are_several() {
            let clock = self.clock.get();
            self.publish_as(state, self.queue, &clock, others);
        }
    }

    fn publish_as(
        &self,
        state: &mut State,
        number: u64,
        clock: &Ticks,
        records: Vec<(u64, Record)>,
    ) {
        if records.is_empty() {
            return;
        }
        let of = (number, self.queue);
        let batch = Batch::new(of, state.sites.clone(), state.launches.clone());
        let records = records.into_iter().filter(|(cell, record)| batch.is_shared(*cell, record));
        let records: Vec<_> = records.collect();
        let parts = joined(records.iter().map(|(cell, _)| cell * 4..cell * 4 + 4));
        let parts: Vec<_> = parts.into_iter().map(Part::written).collect();
        let mut table = queues::table();
        table.spread_for(&batch, clock, &parts, state);
        self.compare(state, &mut table, (&batch, clock), records);
        drop(table);
        self.clock.add(number, batch.tick);
    }

    /// Publishes records, and reports what they race with.
    pub(super) fn compare(
        &self,
        state: &mut State,
        table: &mut Table,
        (batch, clock): (&Arc<Batch>, &Ticks),
        records: Vec<(u64, Record)>,
    ) {
        let mut pairs = Vec::new();
        table.publish(batch, clock, records.into_iter(), |other, old, new, address| {
            let side = |batch: &Batch, record: &Record| {
                (batch.sites[record.site as usize].clone(), *record)
            };
            let old_thread = thread(&other.launches, old.group, old.wave.into(), old.lane.into());
            let checks = batch.launches[launch_of(&batch.launches, new.group)].checks;
            let same =
                old.kind == AccessKind::Write && new.kind == old.kind && old.value == new.value;
            let kind = if same { ReportKind::SameValue } else { ReportKind::Race };
            if !same || checks.has(Checks::BENIGN) {
                let remedy =
                    if other.of == batch.of { report::OF_ENCODERS } else { report::OF_QUEUES };
                pairs.push((kind, side(other, old), old_thread, *new, address, remedy));
            }
        });
        let Some(made) = self.made.get() else { return };
        let mut found = lock(&made.found);
        for (kind, (site, old), old_thread, new, address, remedy) in pairs {
            let old_site = state.number_of(site.clone());
            let run = &batch.launches[launch_of(&batch.launches, new.group)];
            let argument = run.argument_at(address);
            let base = argument.map_or(0, |argument| argument.base);
            let key = State::key(&state.lines, kind, [old_site, new.site], base);
            found.note(key, || {
                let own = &batch.sites[new.site as usize];
                let access = |site: &Site, thread| {
                    let Site { kernel, source, kind } = site.clone();
                    Access { kernel, source, kind, thread }
                };
                let new_thread =
                    thread(&batch.launches, new.group, new.wave.into(), new.lane.into());
                Report {
                    kernel: own.kernel.clone(),
                    kind,
                    argument: argument.map(|argument| argument.name.clone()),
                    offset: argument.map_or(0, |argument| (address - argument.base) as i64),
                    bytes: (old.mask & new.mask).count_ones(),
                    accesses: vec![access(&site, old_thread), access(own, new_thread)],
                    remedy: remedy.to_owned(),
                    count: 1,
                }
            });
        }
    }
}
