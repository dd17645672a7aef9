//! Random rings beside a sequential model of them: the same sends lead to the same mail, states and counters.

use crate::Gpu;
use crate::ring::post::Wanted;
use crate::ring::{Actor, ActorState, Launch, Ring, RingError, RingOptions, Supervision, Topology};
use crate::test_random::Random;
use crate::test_scale::scaled;
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

/// A message: what it says, who sent it, when, and through how many actors it came.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Mail {
    item: Item,
    source: u32,
    clock: u64,
    hops: u32,
    dead: bool,
}

#[derive(Clone, Debug)]
struct Lane {
    mail: VecDeque<Mail>,
    capacity: usize,
    /// The actor that empties it; `None` is the host.
    to: Option<usize>,
}

#[derive(Clone, Debug)]
struct Member {
    state: ActorState,
    sum: Sum,
    clock: u64,
    ins: Vec<usize>,
    outs: Vec<usize>,
    reply: usize,
    budget: usize,
}

#[derive(Clone, Debug, Default)]
struct Model {
    members: Vec<Member>,
    lanes: Vec<Lane>,
    clock: u64,
    dead: Vec<Mail>,
    handled: u64,
    /// The number of the first actor.
    first: u32,
}

impl Model {
    fn lane(&mut self, to: Option<usize>, capacity: u32) -> usize {
        let capacity = capacity.next_power_of_two() as usize;
        self.lanes.push(Lane { mail: VecDeque::new(), capacity, to });
        self.lanes.len() - 1
    }

    fn send(&mut self, actor: usize, item: Item) -> bool {
        let (state, lane) = (self.members[actor].state, self.members[actor].ins[0]);
        let full = self.lanes[lane].mail.len() == self.lanes[lane].capacity;
        if full || matches!(state, ActorState::Failed | ActorState::Terminated) {
            return false;
        }
        self.clock += 1;
        let clock = self.clock;
        self.lanes[lane].mail.push_back(Mail { item, source: 0, clock, hops: 0, dead: false });
        true
    }

    fn take(&mut self, actor: usize) -> Option<Mail> {
        let mail = self.lanes[self.members[actor].reply].mail.pop_front()?;
        self.clock = self.clock.max(mail.clock) + 1;
        Some(mail)
    }

    /// One tick by all actors; the actor that fails, if one does. `next` has what the tick leads to.
    fn tick(&self, next: &mut Self) -> Result<u64, usize> {
        let mut handled = 0;
        for (index, before) in self.members.iter().enumerate() {
            if before.state != ActorState::Active {
                continue;
            }
            let mail: usize = before.ins.iter().map(|&lane| self.lanes[lane].mail.len()).sum();
            let room = before.outs.iter().chain([&before.reply]).map(|&lane| {
                (self.lanes[lane].capacity - self.lanes[lane].mail.len()) / EMITS as usize
            });
            let take = mail.min(before.budget).min(room.min().unwrap());
            let mut heads: Vec<VecDeque<Mail>> =
                before.ins.iter().map(|&lane| self.lanes[lane].mail.clone()).collect();
            for _ in 0..take {
                let oldest = (0..heads.len()).filter(|&lane| !heads[lane].is_empty());
                let lane = oldest
                    .min_by_key(|&lane| (heads[lane][0].clock, heads[lane][0].source))
                    .unwrap();
                let mail = heads[lane].pop_front().unwrap();
                next.lanes[before.ins[lane]].mail.pop_front();
                next.handle(index, mail)?;
                handled += 1;
            }
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
            sends.push((member.outs[value as usize % edges], next, ttl - 1, false));
            if value & 8 != 0 {
                sends.push((
                    member.outs[(value / 3) as usize % edges],
                    next.wrapping_add(7),
                    ttl - 1,
                    false,
                ));
            }
        }
        if value & 1 != 0 && mail.source != 0 {
            let target = Some((mail.source - self.first) as usize);
            let back = member.outs.iter().copied().find(|&lane| self.lanes[lane].to == target);
            sends.push((back.unwrap_or(member.reply), value, ttl, back.is_none()));
        } else if value & 3 != 0 {
            sends.push((member.reply, value, ttl, false));
        }
        for (lane, value, ttl, dead) in sends {
            member.clock += 1;
            let (source, clock, hops) = (index as u32 + self.first, member.clock, mail.hops + 1);
            self.lanes[lane].mail.push_back(Mail {
                item: Item { value, ttl },
                source,
                clock,
                hops,
                dead,
            });
        }
        Ok(())
    }

    /// Up to `ticks` ticks, in submissions of at most `most`.
    fn run(&mut self, ticks: usize, most: usize) {
        let mut left = ticks;
        while left > 0 {
            let (mut idle, mut failed) = (false, None);
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
            let dead = self.dead.len();
            self.end_submission();
            idle &= self.dead.len() == dead;
            if let Some(actor) = failed {
                self.members[actor].state = ActorState::Failed;
            } else if idle {
                break;
            }
        }
    }

    /// The host empties lanes of actors that ended, and takes dead letters out of its own.
    fn end_submission(&mut self) {
        for lane in &mut self.lanes {
            if lane.to.is_some_and(|to| self.members[to].state == ActorState::Terminated) {
                self.dead.extend(lane.mail.drain(..));
            }
        }
        for member in &self.members {
            let lane = &mut self.lanes[member.reply];
            let (dead, mail): (VecDeque<Mail>, VecDeque<Mail>) =
                lane.mail.drain(..).partition(|mail| mail.dead);
            self.dead.extend(dead);
            lane.mail = mail;
        }
    }
}

fn random_case(ring: &Ring, seed: u64) {
    let random = &mut Random::new(seed);
    let (first, clock, handled) = {
        let state = ring.core.lock();
        (state.seats.len() as u32 + 1, state.clock, state.figures.handled)
    };
    let most = ring.core.lock().options.ticks;
    let mut model = Model { first, clock, handled, ..Model::default() };
    let mut actors = Vec::<Actor<Item, Item, Sum>>::new();
    let count = 1 + random.below(6);
    let mut inputs = Vec::new();
    for actor in 0..count {
        let (input, output) = (1 + random.below(8) as u32, 3 + random.below(10) as u32);
        let budget = if random.below(3) == 0 { 1 + random.below(4) as u32 } else { u32::MAX };
        let launch = Launch::new().capacities(input, output).emits(EMITS).budget(budget);
        let start = Sum { sum: actor as u32, count: 0 };
        let launch = launch.supervision(Supervision::Stop);
        actors.push(ring.spawn(&format!("{seed}: {actor}"), HANDLER, start, launch).unwrap());
        let (inbox, reply) = (model.lane(Some(actor), input), model.lane(None, output));
        inputs.push(input);
        model.members.push(Member {
            state: ActorState::Active,
            sum: start,
            clock: 0,
            ins: vec![inbox],
            outs: Vec::new(),
            reply,
            budget: budget as usize,
        });
    }
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
            assert_eq!(actors[actor].send(item).is_ok(), model.send(actor, item), "seed {seed}");
        }
        let actor = random.below(count);
        match random.below(8) {
            0 if actors[actor].suspend().is_ok() => {
                model.members[actor].state = ActorState::Suspended
            }
            1 if actors[actor].resume().is_ok() => model.members[actor].state = ActorState::Active,
            2 if random.below(3) == 0 => {
                actors[actor].terminate().unwrap();
                let member = &mut model.members[actor];
                member.state = ActorState::Terminated;
                for lane in member.ins.clone() {
                    let mail = std::mem::take(&mut model.lanes[lane].mail);
                    model.dead.extend(mail);
                }
            }
            3 if actors[actor].state() == ActorState::Failed => {
                actors[actor].activate().unwrap();
                model.members[actor].state = ActorState::Active;
            }
            _ => {}
        }
        let ticks = [1, 2, 64][random.below(3)];
        match ring.run(ticks as u64) {
            Ok(_) | Err(RingError::Cycle(_)) => {}
            Err(error) => panic!("seed {seed}: {error}"),
        }
        model.run(ticks, most);
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
                        clock: header.clock,
                        hops: header.hops,
                        dead: false,
                    }
                });
                assert_eq!(found, expected, "seed {seed}, actor {actor}");
            }
            assert_eq!(handle.state(), model.members[actor].state, "seed {seed}, actor {actor}");
            if handle.state() != ActorState::Terminated {
                assert_eq!(
                    handle.read_state().unwrap(),
                    model.members[actor].sum,
                    "seed {seed}, actor {actor}"
                );
            }
        }
        assert_eq!(ring.stat().handled, model.handled, "seed {seed}");
    }
    let mut dead: Vec<u32> = ring
        .take_dead_letters()
        .iter()
        .map(|letter| letter.message::<Item>().unwrap().value)
        .collect();
    let mut expected: Vec<u32> = model.dead.iter().map(|mail| mail.item.value).collect();
    dead.sort_unstable();
    expected.sort_unstable();
    assert_eq!(dead, expected, "seed {seed}");
    actors.iter().for_each(|actor| actor.terminate().unwrap());
    ring.take_dead_letters();
}

#[test]
fn random_rings_equal_a_sequential_model() {
    let gpu = Gpu::open().unwrap();
    // Many cases in each ring, one after the other, so that handlers are not compiled again.
    for group in 0..scaled(15) as u64 {
        let ticks = [1, 64, 3][group as usize % 3];
        let ring = Ring::with(&gpu, RingOptions { ticks, ..RingOptions::default() }).unwrap();
        for seed in group * 20..group * 20 + 20 {
            random_case(&ring, seed);
        }
    }
}
