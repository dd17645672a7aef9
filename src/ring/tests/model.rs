//! Random rings beside a sequential model of them: the same sends lead to the same mail, states and counters.

use crate::Gpu;
use crate::ring::post::Wanted;
use crate::ring::{
    Actor, ActorState, DeadLetter, Envelope, Launch, Priority, Ring, RingError, RingOptions,
    Supervision, Topology,
};
use crate::test_random::Random;
use crate::test_scale::scaled;
use std::cmp::Reverse;
use std::collections::VecDeque;

crate::message! {
    struct Item { value: u32, ttl: u32 }
    struct Sum { sum: u32, count: u32 }
}

const EMITS: u32 = 3;
const HANDLER: &str = "void handle(thread const Item &m, thread Sum &s, thread Outbox<Item> &out) {
    s.count += 1;
    s.sum = s.sum * 31 + m.value;
    if (m.value % 101 == 13) { out.fail(m.value); }
    Item next;
    next.value = m.value * 5 + 1;
    next.ttl = m.ttl - 1;
    if (m.ttl > 0 && out.edges() > 0) {
        out.send(m.value % out.edges(), next);
        next.value += 7;
        if (m.value & 8) { out.send(m.value / 3 % out.edges(), next); }
    }
    if (m.value & 1) { out.reply(m); } else if (m.value & 2) { out.post(m); }
}";

const PRIORITIES: [Priority; 4] =
    [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];
const ENDED: &str = "the actor was terminated";
const NO_LANE_BACK: &str = "its sender has no lane to the actor that it replies to";
const POISON: &str = "the actor failed when it handled this message";

/// A message: what it says, who sent it to whom, when, and through how many actors it came. 0 is the host.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Mail {
    item: Item,
    source: u32,
    /// The sender's counter.
    sequence: u32,
    target: u32,
    priority: Priority,
    clock: u64,
    hops: u32,
    dead: bool,
}

/// A dead letter's facts about its message, to be sorted.
type Dead = (u32, u32, u32, u32, u32, &'static str);

#[derive(Clone, Debug)]
struct Lane {
    mail: VecDeque<Mail>,
    capacity: usize,
    /// The actor that empties it; `None` is the host.
    to: Option<usize>,
}

impl Lane {
    fn room(&self) -> usize {
        (self.capacity - self.mail.len()) / EMITS as usize
    }
}

#[derive(Clone, Debug)]
struct Member {
    state: ActorState,
    sum: Sum,
    clock: u64,
    sent: u32,
    ins: Vec<usize>,
    outs: Vec<usize>,
    reply: usize,
    budget: usize,
    priority: Priority,
    /// How often it may be restarted; `None` if it is stopped.
    limit: Option<u32>,
    /// The state that a restart begins with.
    saved: Sum,
    restarts: u32,
    faults: u32,
    /// How many messages it still handles one per tick, after the ticks so far of a submission and at its start.
    careful: usize,
    was_careful: bool,
    /// In the last tick: whether it had no room for some of its mail, or for any.
    stalled: bool,
    stuck: bool,
}

#[derive(Clone, Debug, Default)]
struct Model {
    members: Vec<Member>,
    /// The members in the order of launches: those of one handler after those of the other.
    order: Vec<usize>,
    lanes: Vec<Lane>,
    clock: u64,
    sequence: u32,
    dead: Vec<Dead>,
    handled: u64,
    /// The number of the first actor.
    first: u32,
    /// For each member those that it waits for, if actors waited for each other after the last submission.
    cycle: Option<Vec<Vec<usize>>>,
}

/// A lane's first message comes before that of another one if this is less.
fn order(mail: &Mail) -> (Reverse<Priority>, u64, u32) {
    (Reverse(mail.priority), mail.clock, mail.source)
}

impl Model {
    fn lane(&mut self, to: Option<usize>, capacity: u32) -> usize {
        let capacity = capacity.next_power_of_two() as usize;
        self.lanes.push(Lane { mail: VecDeque::new(), capacity, to });
        self.lanes.len() - 1
    }

    fn send(&mut self, actor: usize, item: Item, priority: Priority) -> bool {
        let (state, lane) = (self.members[actor].state, self.members[actor].ins[0]);
        let full = self.lanes[lane].mail.len() == self.lanes[lane].capacity;
        if full || matches!(state, ActorState::Failed | ActorState::Terminated) {
            return false;
        }
        self.clock += 1;
        self.sequence += 1;
        let (clock, sequence, target) = (self.clock, self.sequence, self.first + actor as u32);
        self.lanes[lane].mail.push_back(Mail {
            item,
            source: 0,
            sequence,
            target,
            priority,
            clock,
            hops: 0,
            dead: false,
        });
        true
    }

    fn take(&mut self, actor: usize) -> Option<Mail> {
        let mail = self.lanes[self.members[actor].reply].mail.pop_front()?;
        self.clock = self.clock.max(mail.clock) + 1;
        Some(mail)
    }

    fn bury(&mut self, mail: &Mail, why: &'static str) {
        let Item { value, ttl } = mail.item;
        self.dead.push((mail.source, mail.sequence, mail.target, value, ttl, why));
    }

    fn mail(&self, member: &Member) -> usize {
        member.ins.iter().map(|&lane| self.lanes[lane].mail.len()).sum()
    }

    /// One tick by all actors; the first one that fails, if one does. `next` has what the tick leads to.
    fn tick(&self, next: &mut Self) -> Result<u64, usize> {
        let mut handled = 0;
        for &index in &self.order {
            let before = &self.members[index];
            (next.members[index].stalled, next.members[index].stuck) = (false, false);
            if before.state != ActorState::Active {
                continue;
            }
            let budget = if before.was_careful { 1 } else { before.budget };
            let wanted = self.mail(before).min(budget);
            let room = before.outs.iter().chain([&before.reply]);
            let room = room.map(|&lane| self.lanes[lane].room()).min().unwrap();
            let take = wanted.min(room);
            next.members[index].stalled = take < wanted;
            next.members[index].stuck = take < wanted && take == 0;
            let mut heads: Vec<VecDeque<Mail>> =
                before.ins.iter().map(|&lane| self.lanes[lane].mail.clone()).collect();
            for _ in 0..take {
                let full = (0..heads.len()).filter(|&lane| !heads[lane].is_empty());
                let lane = full.min_by_key(|&lane| order(&heads[lane][0])).unwrap();
                let mail = heads[lane].pop_front().unwrap();
                next.lanes[before.ins[lane]].mail.pop_front();
                next.handle(index, mail)?;
                handled += 1;
            }
            next.members[index].careful = before.careful.saturating_sub(take);
        }
        next.handled += handled;
        Ok(handled)
    }

    fn handle(&mut self, index: usize, mail: Mail) -> Result<(), usize> {
        let Item { value, ttl } = mail.item;
        let member = &mut self.members[index];
        member.clock = member.clock.max(mail.clock) + 1;
        member.sum.count += 1;
        member.sum.sum = member.sum.sum.wrapping_mul(31).wrapping_add(value);
        if value % 101 == 13 {
            return Err(index);
        }
        let mut sends = Vec::new();
        if ttl > 0 && !member.outs.is_empty() {
            let (edges, next) = (member.outs.len(), value.wrapping_mul(5).wrapping_add(1));
            sends.push((member.outs[value as usize % edges], next, ttl - 1, None));
            if value & 8 != 0 {
                let (edge, next) = ((value / 3) as usize % edges, next.wrapping_add(7));
                sends.push((member.outs[edge], next, ttl - 1, None));
            }
        }
        if value & 1 != 0 && mail.source != 0 {
            let target = Some((mail.source - self.first) as usize);
            let back = member.outs.iter().copied().find(|&lane| self.lanes[lane].to == target);
            let dead = back.is_none().then_some(mail.source);
            sends.push((back.unwrap_or(member.reply), value, ttl, dead));
        } else if value & 3 != 0 {
            sends.push((member.reply, value, ttl, None));
        }
        for (lane, value, ttl, dead) in sends {
            member.clock += 1;
            member.sent += 1;
            let to = self.lanes[lane].to.map_or(0, |to| self.first + to as u32);
            self.lanes[lane].mail.push_back(Mail {
                item: Item { value, ttl },
                source: index as u32 + self.first,
                sequence: member.sent,
                target: dead.unwrap_or(to),
                priority: member.priority,
                clock: member.clock,
                hops: mail.hops + 1,
                dead: dead.is_some(),
            });
        }
        Ok(())
    }

    /// Up to `ticks` ticks, in submissions of at most `most`.
    fn run(&mut self, ticks: usize, most: usize) {
        let mut left = ticks;
        while left > 0 {
            let (mut idle, mut failed) = (false, None);
            for member in &mut self.members {
                member.was_careful = member.careful > 0;
            }
            for _ in 0..left.min(most) {
                let mut next = self.clone();
                match self.tick(&mut next) {
                    Ok(handled) => {
                        *self = next;
                        left -= 1;
                        idle = handled == 0;
                    }
                    Err(actor) => failed = Some(actor),
                }
                if idle || failed.is_some() {
                    break;
                }
            }
            self.cycle = self.find_cycle();
            let dead = self.dead.len();
            self.end_submission();
            idle &= self.dead.len() == dead;
            if let Some(actor) = failed {
                self.supervise(actor);
            } else if idle {
                break;
            }
        }
    }

    /// Finds cycles of waiting members: repeatedly removes those that wait for no waiting member.
    fn find_cycle(&self) -> Option<Vec<Vec<usize>>> {
        let waits: Vec<Vec<usize>> = self
            .members
            .iter()
            .map(|member| {
                let full = member.outs.iter().filter(|&&lane| self.lanes[lane].room() == 0);
                full.filter_map(|&lane| self.lanes[lane].to).filter(|_| member.stuck).collect()
            })
            .collect();
        let mut left: Vec<usize> = (0..waits.len()).collect();
        loop {
            let before = left.len();
            let rest = left.clone();
            left.retain(|&index| waits[index].iter().any(|to| rest.contains(to)));
            if left.len() == before {
                return (before > 0).then_some(waits);
            }
        }
    }

    fn supervise(&mut self, actor: usize) {
        let waiting = self.mail(&self.members[actor]);
        let member = &mut self.members[actor];
        member.faults += 1;
        if member.limit.is_none_or(|limit| member.restarts == limit) {
            member.state = ActorState::Failed;
            return;
        }
        member.restarts += 1;
        member.sum = member.saved;
        if member.careful == 0 && waiting > 1 {
            member.careful = waiting;
            return;
        }
        member.careful = member.careful.saturating_sub(1);
        let lanes = member.ins.clone().into_iter();
        let full = lanes.filter(|&lane| !self.lanes[lane].mail.is_empty());
        let lane = full.min_by_key(|&lane| order(&self.lanes[lane].mail[0])).unwrap();
        let mail = self.lanes[lane].mail.pop_front().unwrap();
        self.bury(&mail, POISON);
    }

    /// The program activates, suspends or resumes an actor.
    fn change(&mut self, actor: usize, to: ActorState) {
        let member = &mut self.members[actor];
        if member.state != to {
            (member.state, member.careful, member.restarts) = (to, 0, 0);
        }
    }

    fn terminate(&mut self, actor: usize) {
        self.members[actor].state = ActorState::Terminated;
        self.order.retain(|&member| member != actor);
        (self.members[actor].stalled, self.members[actor].stuck) = (false, false);
        for lane in self.members[actor].ins.clone() {
            for mail in std::mem::take(&mut self.lanes[lane].mail) {
                self.bury(&mail, ENDED);
            }
        }
    }

    /// The host empties lanes of actors that ended, and takes dead letters out of its own.
    fn end_submission(&mut self) {
        for lane in 0..self.lanes.len() {
            let to = self.lanes[lane].to;
            if to.is_some_and(|to| self.members[to].state == ActorState::Terminated) {
                for mail in std::mem::take(&mut self.lanes[lane].mail) {
                    self.bury(&mail, ENDED);
                }
            }
        }
        for index in 0..self.members.len() {
            let lane = self.members[index].reply;
            let (dead, mail): (VecDeque<Mail>, VecDeque<Mail>) =
                std::mem::take(&mut self.lanes[lane].mail).into_iter().partition(|mail| mail.dead);
            dead.iter().for_each(|mail| self.bury(mail, NO_LANE_BACK));
            self.lanes[lane].mail = mail;
        }
    }
}

/// The same of a letter of the ring.
fn dead(letter: &DeadLetter) -> Dead {
    let Item { value, ttl } = letter.message().unwrap();
    let number = |id: Option<crate::ring::ActorId>| id.map_or(0, |id| id.0);
    let (source, target) = (number(letter.source), number(letter.target));
    assert_eq!((letter.id.number >> 32) as u32, source);
    (source, letter.id.number as u32, target, value, ttl, letter.why)
}

/// The actors that a ring says wait for each other do so in the model.
fn check_cycle(model: &Model, names: &[String], seed: u64) {
    let waits = model.cycle.as_ref().unwrap_or_else(|| panic!("seed {seed}: no cycle {names:?}"));
    let index = |name: &String| name.split_once(": ").unwrap().1.parse::<usize>().unwrap();
    for (one, next) in names.iter().zip(names.iter().cycle().skip(1)) {
        assert!(waits[index(one)].contains(&index(next)), "seed {seed}: {names:?}, {waits:?}");
    }
}

/// The events of random rings, so that the test has seen all of them.
#[derive(Debug, Default)]
struct Found {
    cycles: usize,
    restarts: usize,
    dead: usize,
}

fn random_case(ring: &Ring, seed: u64, found: &mut Found) {
    let random = &mut Random::new(seed);
    let state = ring.core.lock();
    let (first, clock, sequence) = (state.seats.len() as u32 + 1, state.clock, state.sequence);
    let (handled, most) = (state.figures.handled, state.options.ticks);
    drop(state);
    let mut model = Model { first, clock, sequence, handled, ..Model::default() };
    let mut actors = Vec::<Actor<Item, Item, Sum>>::new();
    let count = 1 + random.below(6);
    let mut inputs = Vec::new();
    for actor in 0..count {
        let (input, output) = (1 + random.below(8) as u32, 3 + random.below(10) as u32);
        let budget = if random.below(3) == 0 { 1 + random.below(4) as u32 } else { u32::MAX };
        let (priority, limit) = (PRIORITIES[random.below(4)], random.below(4));
        let supervision = match limit {
            0 => Supervision::Stop,
            limit => Supervision::Restart { limit: limit as u32 - 1 },
        };
        let launch = Launch::new().capacities(input, output).emits(EMITS).budget(budget);
        let launch = launch.priority(priority).supervision(supervision);
        let start = Sum { sum: actor as u32, count: 0 };
        let name = format!("{seed}: {actor}");
        actors.push(if random.below(4) == 0 {
            let code = HANDLER.replace("thread Sum &s", "device Sum &s");
            ring.spawn(&name, &code, start, launch.in_place()).unwrap()
        } else {
            ring.spawn(&name, HANDLER, start, launch).unwrap()
        });
        let (inbox, reply) = (model.lane(Some(actor), input), model.lane(None, output));
        inputs.push(input);
        model.members.push(Member {
            state: ActorState::Active,
            sum: start,
            clock: 0,
            sent: 0,
            ins: vec![inbox],
            outs: Vec::new(),
            reply,
            budget: budget as usize,
            priority,
            limit: (limit > 0).then(|| limit as u32 - 1),
            saved: start,
            restarts: 0,
            faults: 0,
            careful: 0,
            was_careful: false,
            stalled: false,
            stuck: false,
        });
    }
    let state = ring.core.lock();
    model.order = (0..count).collect();
    model.order.sort_by_key(|&actor| state.seats[actors[actor].id().index()].kind);
    drop(state);
    let edges: Vec<(usize, usize)> =
        (0..random.below(3 * count)).map(|_| (random.below(count), random.below(count))).collect();
    for &(from, to) in &edges {
        let lane = model.lane(Some(to), inputs[to].max(EMITS));
        model.members[from].outs.push(lane);
        model.members[to].ins.push(lane);
    }
    let ids: Vec<_> = actors.iter().map(Actor::id).collect();
    ring.topology(&ids, &Topology::Edges(edges)).unwrap();

    for _ in 0..12 {
        for _ in 0..random.below(12) {
            let actor = random.below(count);
            let item = Item { value: random.below(1 << 16) as u32, ttl: random.below(6) as u32 };
            let priority = PRIORITIES[random.below(4)];
            let envelope = Envelope { priority, ..Envelope::new(item, 0) };
            let sent = actors[actor].send_envelope(envelope).is_ok();
            assert_eq!(sent, model.send(actor, item, priority), "seed {seed}");
        }
        let actor = random.below(count);
        match random.below(8) {
            0 if actors[actor].suspend().is_ok() => model.change(actor, ActorState::Suspended),
            1 if actors[actor].resume().is_ok() => model.change(actor, ActorState::Active),
            2 if random.below(3) == 0 => {
                actors[actor].terminate().unwrap();
                model.terminate(actor);
            }
            3 if actors[actor].state() == ActorState::Failed => {
                actors[actor].activate().unwrap();
                model.change(actor, ActorState::Active);
            }
            4 => {
                ring.checkpoint().unwrap();
                model.members.iter_mut().for_each(|member| member.saved = member.sum);
            }
            _ => {}
        }
        let ticks = [1, 2, 64][random.below(3)];
        let outcome = ring.run(ticks as u64);
        model.run(ticks, most);
        match (outcome, &model.cycle) {
            (Err(RingError::Cycle(names)), _) => {
                found.cycles += 1;
                check_cycle(&model, &names, seed);
            }
            (Ok(run), None) => {
                let stalled = model.members.iter().filter(|member| member.stalled).count();
                assert_eq!(run.stalled, stalled, "seed {seed}");
                found.restarts += run.faults.len();
            }
            (outcome, cycle) => panic!("seed {seed}: {outcome:?}, and {cycle:?} is expected"),
        }
        for (actor, handle) in actors.iter().enumerate() {
            for _ in 0..random.below(8) {
                let letter = handle.core.lock().take(handle.id(), Wanted::Any).unwrap();
                let expected = model.take(actor);
                let found = letter.map(|letter| {
                    let header = letter.header;
                    let item = letter.open::<Item>().message;
                    Mail {
                        item,
                        source: header.source,
                        sequence: header.sequence,
                        target: header.target,
                        priority: PRIORITIES[(header.flags & 3) as usize],
                        clock: header.clock,
                        hops: header.hops,
                        dead: false,
                    }
                });
                assert_eq!(found, expected, "seed {seed}, actor {actor}");
            }
            let (member, stat) = (&model.members[actor], handle.stat());
            assert_eq!(
                (stat.state, stat.faults, stat.restarts),
                (member.state, member.faults, member.restarts),
                "seed {seed}, actor {actor}"
            );
            if stat.state != ActorState::Terminated {
                let sum = handle.read_state().unwrap();
                assert_eq!(sum, member.sum, "seed {seed}, actor {actor}");
            }
        }
        assert_eq!(ring.stat().handled, model.handled, "seed {seed}");
    }
    let mut letters: Vec<Dead> = ring.take_dead_letters().iter().map(dead).collect();
    letters.sort_unstable();
    model.dead.sort_unstable();
    assert_eq!(letters, model.dead, "seed {seed}");
    found.dead += letters.len();
    actors.iter().for_each(|actor| actor.terminate().unwrap());
    ring.take_dead_letters();
}

#[test]
fn random_rings_equal_a_sequential_model() {
    let (gpu, mut found) = (Gpu::open().unwrap(), Found::default());
    // Many cases in each ring, one after the other, so that handlers are not compiled again.
    for group in 0..scaled(15) as u64 {
        let ticks = [1, 64, 3][group as usize % 3];
        let ring = Ring::with(&gpu, RingOptions { ticks, ..RingOptions::default() }).unwrap();
        for seed in group * 20..group * 20 + 20 {
            random_case(&ring, seed, &mut found);
        }
    }
    assert!(found.cycles > 0 && found.restarts > 0 && found.dead > 0, "{found:?}");
}
