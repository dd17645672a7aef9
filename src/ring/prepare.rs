//! Preparing a submission: what the kernels read is written.

use super::error::RingError;
use super::id::ActorState;
use super::layout::{RingSeat, head};
use super::message::zeroed;
use super::plan::{Plan, Planned};
use super::record::Op;
use super::state::State;
use crate::{Buffer, Pipeline};
use std::sync::Arc;

impl State {
    /// Writes everything that the next submission reads.
    pub(super) fn prepare(&mut self, count: u32) -> Result<Arc<Plan>, RingError> {
        if self.dead.len() > self.options.dead_letters {
            return Err(RingError::Full {
                actor: "dead letters; take them with `Ring::take_dead_letters`".into(),
                capacity: self.options.dead_letters,
            });
        }
        self.publish();
        let plan = match &self.plan {
            Some(plan) => Arc::clone(plan),
            None => self.replan()?,
        };
        if std::mem::take(&mut self.seats_changed) {
            for actor in 0..self.seats.len() {
                let (run, budget) = self.runs(actor);
                self.seat_table.update(actor, |seat| (seat.run, seat.budget) = (run, budget));
            }
        }
        // Mail that is sent or taken while the submission runs is work for the next one.
        self.work = false;
        (self.cycle, self.refused) = (None, None);
        self.clear_head();
        let launches = plan.launches.len();
        for grid in launches..count as usize * launches {
            self.heads.set(plan.grids as usize + grid * 3, 0);
        }
        self.note(Op::Run(count));
        Ok(plan)
    }

    /// Clears the words that the launches of a submission set.
    pub(super) fn clear_head(&mut self) {
        for word in 0..head::ERRORS {
            self.heads.set(word, 0);
        }
    }

    /// Whether an actor handles mail, and how much in a tick.
    fn runs(&self, actor: usize) -> (u32, u32) {
        let seat = &self.seats[actor];
        let run = seat.state == ActorState::Active;
        (run.into(), if seat.careful > 0 { 1 } else { seat.launch.budget })
    }

    /// The buffers of an actor that its kernel finds by their addresses.
    fn reached(&self, actor: usize) -> impl Iterator<Item = Arc<Buffer>> {
        let seat = &self.seats[actor];
        self.kinds[seat.kind].states.reached(seat.place)
    }

    /// Writes the lists of lanes and actors, and plans the launches of a tick.
    fn replan(&mut self) -> Result<Arc<Plan>, RingError> {
        let mut edges = Vec::new();
        for (actor, seat) in self.seats.iter().enumerate() {
            if seat.state == ActorState::Terminated {
                continue;
            }
            let (run, budget) = self.runs(actor);
            let ins = edges.len() as u32;
            edges.extend(&seat.ins);
            let outs = edges.len() as u32;
            edges.extend(&seat.outs);
            let entry = RingSeat {
                ins,
                in_count: seat.ins.len() as u32,
                outs,
                out_count: seat.outs.len() as u32,
                reply: seat.reply,
                emits: seat.launch.emits,
                budget,
                run,
                member: seat.place,
                kind: self.kinds[seat.kind].types.output_type,
                priority: seat.launch.priority as u32,
                ..zeroed()
            };
            self.seat_table.set(actor, entry);
        }
        let mut launches = Vec::new();
        let mut start = 0;
        for kind in &mut self.kinds {
            if kind.members.is_empty() {
                continue;
            }
            let ins =
                kind.members.iter().map(|&actor| self.seats[actor].ins.len()).max().unwrap_or(1);
            kind.prepare(&self.gpu, ins)?;
            let pipelines = kind.pipelines(ins);
            let first = edges.len() as u32;
            edges.extend(kind.members.iter().map(|&actor| actor as u32));
            let mut launch = |pipeline: &Pipeline, grid: (u32, u32, u32)| {
                let (groups, alone, threads) = grid;
                launches.push(Planned {
                    pipeline: pipeline.clone(),
                    states: Arc::clone(kind.states.table()),
                    first,
                    start,
                    members: kind.members.len() as u32,
                    groups,
                    alone,
                    threads,
                });
            };
            if let Some(save) = &pipelines.save {
                launch(save, kind.save_grid());
            }
            launch(&pipelines.tick, kind.grid());
            start += kind.members.len();
        }
        let counts = edges.len() as u32;
        edges.extend(launches.iter().map(|launch| launch.groups));
        self.edges.reserve(&self.gpu, edges.len())?;
        self.edges.write(0, &edges);

        let grids = head::ERRORS + self.seats.len() * 2;
        let words = self.options.ticks * launches.len() * 3;
        self.heads.reserve(&self.gpu, grids + words)?;
        self.heads.write(0, &vec![0; grids]);
        self.heads.write(grids, &vec![1; words]);
        let plan = Arc::new(Plan {
            launches,
            reached: self.members().flat_map(|actor| self.reached(actor)).collect(),
            members: self.members().collect(),
            buffers: [
                Arc::clone(self.heads.buffer()),
                Arc::clone(self.seat_table.buffer()),
                Arc::clone(self.records.buffer()),
                Arc::clone(self.lanes.buffer()),
                Arc::clone(self.edges.buffer()),
                Arc::clone(self.slots.buffer()),
            ],
            counts,
            grids: grids as u32,
        });
        self.seats_changed = false;
        self.plan = Some(Arc::clone(&plan));
        Ok(plan)
    }
}
