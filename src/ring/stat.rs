//! Statistics of actors and of the ring, as numbers and as a table.

use super::clock::Hlc;
use super::id::{ActorId, ActorState};
use super::layout::NO_LANE;
use super::state::State;
use std::fmt;
use std::time::Duration;

/// Statistics of an actor.
///
/// ```
/// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
/// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.reply(m); }";
/// # let actor = ring.spawn::<u32, u32, u32>("echo", code, 0, Default::default())?;
/// actor.send_all(&[1, 2])?;
/// assert_eq!(actor.stat().input_depth, 2);
/// ring.tick()?;
/// let stat = actor.stat();
/// assert_eq!((stat.processed, stat.sent, stat.dropped, stat.output_depth), (2, 2, 0, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ActorStat {
    /// The actor.
    pub id: ActorId,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: ActorState,
    /// How many messages it handled.
    pub processed: u64,
    /// How many messages left its lanes and were neither handled nor became dead letters, by the counters of the lanes:
    /// 0, because a ring loses none.
    pub dropped: u64,
    /// How many messages it sent.
    pub sent: u64,
    /// In how many ticks it did not handle all its mail because a lane was full.
    pub stalls: u64,
    /// The shortest time from sending a message to handling it, in ticks; `None` before the first.
    pub latency_min: Option<u32>,
    /// The mean time, in ticks.
    pub latency_mean: f64,
    /// The longest time, in ticks.
    pub latency_max: u32,
    /// How many messages wait for it.
    pub input_depth: u64,
    /// How many messages from it the host has not received.
    pub output_depth: u64,
    /// How many messages all lanes that lead to it hold.
    pub input_capacity: u64,
    /// How many messages the lane to the host holds.
    pub output_capacity: u64,
    /// How often it failed.
    pub faults: u32,
    /// How often it was restarted.
    pub restarts: u32,
    /// Its clock.
    pub clock: Hlc,
}

/// Statistics of a ring.
///
/// ```
/// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
/// ring.tick()?;
/// let stat = ring.stat();
/// assert_eq!((stat.actors.len(), stat.sent, stat.handled), (0, 0, 0));
/// println!("{stat}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RingStat {
    /// All actors, in the order in which they were spawned.
    pub actors: Vec<ActorStat>,
    /// How many ticks ran.
    pub ticks: u64,
    /// How many command buffers were submitted.
    pub submissions: u64,
    /// How many messages the host sent.
    pub sent: u64,
    /// How many messages the host received.
    pub received: u64,
    /// How many messages actors handled.
    pub handled: u64,
    /// How many dead letters wait to be taken.
    pub dead_letters: usize,
    /// Why the last submission of the ring's own thread was refused, for want of memory for example. It tries again when something
    /// changes, and every tenth of a second.
    pub refused: Option<String>,
    /// How many faults actors had.
    pub faults: u64,
    /// How many of them [`Ring::faults`](super::Ring::faults) does not return any more.
    pub faults_forgotten: u64,
    /// How many checkpoints were taken.
    pub checkpoints: u64,
    /// How long all submissions took.
    pub busy: Duration,
    /// How long a tick of the last submission took, on average.
    pub last_tick: Duration,
    /// The fastest submission's time for a tick; zero before the first.
    pub min_tick: Duration,
    /// The slowest submission's time for a tick.
    pub max_tick: Duration,
    /// Bytes of memory that host and device share.
    pub bytes: usize,
}

impl State {
    pub(super) fn actor_stat(&self, id: ActorId) -> ActorStat {
        let actor = id.index();
        let (seat, record) = (&self.seats[actor], self.record(actor));
        let post = &seat.post;
        let lanes: u64 = seat.ins[1..].iter().map(|&lane| u64::from(self.depth(lane))).sum();
        // Counters of lanes have 32 bits.
        let dropped =
            self.taken(actor).wrapping_sub(record.handled as u32).wrapping_sub(seat.buried);
        ActorStat {
            id,
            name: seat.name.clone(),
            state: seat.state,
            processed: record.handled,
            dropped: dropped.into(),
            sent: record.sent,
            stalls: record.stalls,
            latency_min: (record.handled > 0).then_some(record.latency_min),
            latency_mean: record.latency as f64 / record.handled.max(1) as f64,
            latency_max: record.latency_max,
            input_depth: lanes + u64::from(post.tail.wrapping_sub(post.taken)),
            output_depth: u64::from(post.filled.wrapping_sub(post.head)) + post.aside.len() as u64,
            input_capacity: seat.ins.iter().map(|&lane| u64::from(self.shape(lane).mask) + 1).sum(),
            output_capacity: u64::from(self.shape(seat.reply).mask) + 1,
            faults: seat.faults,
            restarts: seat.restarts,
            clock: Hlc::of_word(record.clock, id.0),
        }
    }

    pub(super) fn stat(&self) -> RingStat {
        let figures = self.figures;
        let min_tick = if figures.min_tick_ns == u64::MAX { 0 } else { figures.min_tick_ns };
        let states: usize = self.kinds.iter().map(|kind| kind.states.bytes()).sum();
        let tables = [
            self.heads.buffer(),
            self.seat_table.buffer(),
            self.records.buffer(),
            self.lanes.buffer(),
            self.edges.buffer(),
            self.slots.buffer(),
        ];
        RingStat {
            actors: (0..self.seats.len())
                .map(|actor| self.actor_stat(ActorId::of(actor)))
                .collect(),
            ticks: self.version,
            submissions: figures.submissions,
            sent: figures.sent,
            received: figures.received,
            handled: figures.handled,
            dead_letters: self.dead.len(),
            refused: self.refused.clone(),
            faults: figures.faults,
            faults_forgotten: figures.faults - self.faults.len() as u64,
            checkpoints: figures.checkpoints,
            busy: Duration::from_nanos(figures.busy_ns),
            last_tick: Duration::from_nanos(figures.last_tick_ns),
            min_tick: Duration::from_nanos(min_tick),
            max_tick: Duration::from_nanos(figures.max_tick_ns),
            bytes: states + tables.iter().map(|buffer| buffer.size()).sum::<usize>(),
        }
    }

    /// The actors on the shortest way from one to another, both included.
    pub(super) fn route(&self, from: ActorId, to: ActorId) -> Option<Vec<ActorId>> {
        let mut before = vec![None; self.seats.len()];
        let mut queue = std::collections::VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            if at == to {
                let mut way = vec![at];
                while way.last() != Some(&from) {
                    way.push(before[way.last()?.index()]?);
                }
                way.reverse();
                return Some(way);
            }
            for &lane in self.seats[at.index()].outs.iter().filter(|&&lane| lane != NO_LANE) {
                let next = ActorId(self.shape(lane).to);
                if next != from && before[next.index()].is_none() {
                    before[next.index()] = Some(at);
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

/// A table of the actors, for a terminal.
impl fmt::Display for RingStat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ticks, submissions, handled, sent, received, dead_letters, faults, .. } = self;
        writeln!(
            f,
            "{ticks} ticks in {submissions} submissions, {:.1} us each (min {:.1}, max {:.1}); {} KiB",
            self.busy.as_secs_f64() * 1e6 / (*ticks).max(1) as f64,
            self.min_tick.as_secs_f64() * 1e6,
            self.max_tick.as_secs_f64() * 1e6,
            self.bytes >> 10,
        )?;
        writeln!(
            f,
            "host: {sent} sent, {received} received; actors: {handled} handled; {dead_letters} dead letters, {faults} faults"
        )?;
        if let Some(why) = &self.refused {
            writeln!(f, "the ring's thread cannot tick: {why}")?;
        }
        writeln!(
            f,
            "{:<20}{:<12}{:>12}{:>12}{:>9}{:>8}{:>8}{:>8}{:>22}{:>8}",
            "actor",
            "state",
            "processed",
            "sent",
            "dropped",
            "in",
            "out",
            "stalls",
            "latency (ticks)",
            "faults"
        )?;
        for actor in &self.actors {
            let latency = match actor.latency_min {
                Some(min) => format!("{min} / {:.1} / {}", actor.latency_mean, actor.latency_max),
                None => "-".into(),
            };
            let state = actor.state.to_string();
            writeln!(
                f,
                "{:<20}{:<12}{:>12}{:>12}{:>9}{:>8}{:>8}{:>8}{latency:>22}{:>8}",
                actor.name,
                state.split(',').next().unwrap_or_default(),
                actor.processed,
                actor.sent,
                actor.dropped,
                actor.input_depth,
                actor.output_depth,
                actor.stalls,
                actor.faults,
            )?;
        }
        Ok(())
    }
}
