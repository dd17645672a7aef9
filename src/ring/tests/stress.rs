//! Many threads that do everything at once, with small mailboxes: no mail is lost or doubled, and nothing hangs.

use super::{block_on, ring_of};
use crate::ring::{Actor, Launch, Recording, Ring, RingError, RingOptions, Supervision, Topology};
use crate::test_random::Random;
use crate::test_scale::scaled;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

crate::message! {
    struct Item { id: u32, left: u32 }
    struct Few { values: [u32; 4], count: u32 }
}

/// Passes each message on until its steps are over, then posts it. Some fail, in two ways.
const HANDLER: &str = "void handle(thread const Item &m, thread Few &s, thread Outbox<Item> &out) {
    s.count += 1;
    if (m.id % 211 == 5) { out.fail(m.id); }
    if (m.id % 307 == 9) { s.values[m.id + 4] = 1; }
    Item next;
    next.id = m.id;
    next.left = m.left - 1;
    if (m.left > 0 && out.edges() > 0) { out.send(m.id / 7 % out.edges(), next); } else { out.post(m); }
}";

const ACTORS: usize = 5;

fn build(options: RingOptions) -> (Ring, Vec<Actor<Item, Item, Few>>) {
    let ring = ring_of(options);
    let actors: Vec<_> = (0..ACTORS)
        .map(|i| {
            let launch = Launch::new()
                .capacities(4, 4)
                .emits(1 + i as u32 % 2)
                .supervision(Supervision::Restart { limit: u32::MAX });
            let few = Few { values: [0; 4], count: 0 };
            ring.spawn(&format!("{i}"), HANDLER, few, launch).unwrap()
        })
        .collect();
    let ids: Vec<_> = actors.iter().map(Actor::id).collect();
    // Without circles, so that full lanes are emptied in the end.
    let edges = (0..ACTORS).flat_map(|from| (from + 1..ACTORS).map(move |to| (from, to)));
    ring.topology(&ids, &Topology::Edges(edges.collect())).unwrap();
    (ring, actors)
}

struct Totals {
    next: AtomicU32,
    sent: Mutex<Vec<u32>>,
    found: Mutex<Vec<u32>>,
    calls: AtomicUsize,
    replies: AtomicUsize,
}

impl Totals {
    fn item(&self, random: &mut Random, steps: usize) -> Item {
        let left = random.below(steps) as u32;
        Item { id: self.next.fetch_add(1, Ordering::Relaxed), left }
    }

    fn sent(&self, item: Item) {
        self.sent.lock().unwrap().push(item.id);
    }

    fn found(&self, item: Item) {
        self.found.lock().unwrap().push(item.id);
    }
}

fn stress(seed: u64, rounds: usize) {
    let options = RingOptions { ticks: 4, checkpoint_every: 50, ..RingOptions::default() };
    let (ring, actors) = build(options.clone());
    ring.record();
    let totals = Totals {
        next: AtomicU32::new(1),
        sent: Mutex::default(),
        found: Mutex::default(),
        calls: AtomicUsize::new(0),
        replies: AtomicUsize::new(0),
    };
    let busy = AtomicBool::new(true);
    let (ring_, actors_, totals_, busy_) = (&ring, &actors, &totals, &busy);
    thread::scope(|scope| {
        let mut working = Vec::new();
        for thread in 0..2 {
            working.push(scope.spawn(move || {
                let random = &mut Random::new(seed * 100 + thread);
                for _ in 0..rounds {
                    let item = totals_.item(random, 4);
                    match actors_[random.below(ACTORS)].send(item) {
                        Ok(_) => totals_.sent(item),
                        Err(RingError::Full { .. }) => thread::yield_now(),
                        Err(RingError::State { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }));
        }
        for thread in 2..4 {
            working.push(scope.spawn(move || {
                let random = &mut Random::new(seed * 100 + thread);
                for _ in 0..rounds / 4 {
                    let item = totals_.item(random, 1);
                    let call = actors_[random.below(ACTORS)].call(item);
                    if let Some(error) = &call.error {
                        assert!(
                            matches!(error, RingError::Full { .. } | RingError::State { .. }),
                            "{error}"
                        );
                        continue;
                    }
                    totals_.sent(item);
                    totals_.calls.fetch_add(1, Ordering::Relaxed);
                    let time = Duration::from_micros(100 << random.below(8));
                    let outcome = match random.below(3) {
                        0 => block_on(call.within(time)),
                        1 => call.wait_timeout(time),
                        _ => continue,
                    };
                    match outcome {
                        Ok(reply) => {
                            assert_eq!(reply.id, item.id, "the reply to another call");
                            totals_.replies.fetch_add(1, Ordering::Relaxed);
                            totals_.found(reply);
                        }
                        // Too slow, dead, or queued after mail that was not taken in time.
                        Err(
                            RingError::Timeout
                            | RingError::Idle(_)
                            | RingError::Full { .. }
                            | RingError::State { .. },
                        ) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }));
        }
        let chaos = scope.spawn(move || {
            let random = &mut Random::new(seed * 100 + 50);
            while busy_.load(Ordering::Relaxed) {
                let actor = &actors_[random.below(ACTORS)];
                match random.below(9) {
                    0 | 1 => _ = actor.suspend(),
                    2..=4 => _ = actor.resume(),
                    5 => _ = actor.stat(),
                    6 => _ = ring_.checkpoint().unwrap(),
                    7 => _ = actor.read_state(),
                    // Once in a while, and never all of them.
                    _ if random.below(60) == 0 => {
                        actors_[seed as usize % ACTORS].terminate().unwrap()
                    }
                    _ => thread::sleep(Duration::from_micros(50)),
                }
            }
        });
        let ticks = scope.spawn(move || {
            let random = &mut Random::new(seed * 100 + 51);
            while busy_.load(Ordering::Relaxed) {
                match random.below(4) {
                    0 => {
                        let driver = ring_.start().unwrap();
                        thread::sleep(Duration::from_micros(300));
                        drop(driver);
                    }
                    1 => thread::sleep(Duration::from_micros(200)),
                    _ => _ = ring_.run(1 + random.below(9) as u64).unwrap(),
                }
            }
        });
        let receivers: Vec<_> = (0..2)
            .map(|thread| {
                scope.spawn(move || {
                    let random = &mut Random::new(seed * 100 + 60 + thread);
                    while busy_.load(Ordering::Relaxed) {
                        let actor = &actors_[random.below(ACTORS)];
                        let time = Duration::from_micros(50 << random.below(6));
                        let outcome = match random.below(3) {
                            0 => actor.try_receive(),
                            1 => actor.receive_timeout(time).map(Some),
                            _ => block_on(actor.receive().within(time)).map(Some),
                        };
                        match outcome {
                            Ok(mail) => mail.into_iter().for_each(|item| totals_.found(item)),
                            Err(RingError::Timeout | RingError::State { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
            })
            .collect();
        working.into_iter().for_each(|thread| thread.join().unwrap());
        busy.store(false, Ordering::Relaxed);
        chaos.join().unwrap();
        ticks.join().unwrap();
        receivers.into_iter().for_each(|thread| thread.join().unwrap());
    });

    // The remaining messages arrive, and nothing more.
    actors.iter().for_each(|actor| _ = actor.resume());
    loop {
        let mut more = !ring.run(1000).unwrap().idle;
        for actor in &actors {
            while let Some(item) = actor.try_receive().unwrap() {
                totals.found(item);
                more = true;
            }
        }
        if !more {
            break;
        }
    }
    let dead: Vec<u32> = ring
        .take_dead_letters()
        .iter()
        .map(|letter| letter.message::<Item>().unwrap().id)
        .collect();
    let (mut sent, mut found) =
        (totals.sent.into_inner().unwrap(), totals.found.into_inner().unwrap());
    found.extend(dead);
    sent.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, sent, "seed {seed}");
    let state = ring.core.lock();
    assert_eq!((state.tasks, state.drivers), (0, 0));
    assert!(state.seats.iter().all(|seat| seat.post.calls.is_empty() && seat.post.sent.is_empty()));
    drop(state);

    // The same, one thing after the other.
    let recording = ring.take_recording().unwrap();
    let (again, _) = build(options);
    again.replay(&Recording::parse(&recording.to_bytes()).unwrap()).unwrap();
    assert_eq!(again.checkpoint().unwrap(), ring.checkpoint().unwrap(), "seed {seed}");
}

#[test]
fn threads_that_do_everything_at_once_lose_nothing() {
    for seed in 0..scaled(4) as u64 {
        stress(seed, 400);
    }
}
