//! Damaged checkpoints and recordings with a correct checksum: an error, or exactly the state that the bytes describe.

use super::{ECHO, ring, ring_of, spawn};
use crate::ring::checkpoint::Checkpoint;
use crate::ring::layout::{DEAD, HEADER, RingHeader};
use crate::ring::message::{bytes_of, value_of};
use crate::ring::post::Wanted;
use crate::ring::{
    Actor, Launch, Priority, Recording, Ring, RingError, RingOptions, Supervision, TimeSource,
};
use crate::test_scale::scaled;

/// Fails for 7, replies, forwards, and replies to actors that it has no lane to.
const CODE: &str = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) {
    if (m == 7) { out.fail(1); }
    s += m;
    out.reply(m);
    if (m > 0 && m < 5 && out.has(0)) { out.send(0, m - 1); }
}";

fn build() -> (Ring, Vec<Actor<u32, u32, u32>>) {
    let ring = ring_of(RingOptions { ticks: 4, ..RingOptions::default() });
    let launch = Launch::new().capacities(8, 16).emits(2);
    let launch = launch.supervision(Supervision::Restart { limit: 3 });
    let actors: Vec<_> = ["first", "second", "third", "fourth", "ended"]
        .map(|name| spawn(&ring, name, CODE, launch.clone().priority(Priority::High)))
        .into();
    for (from, to) in [(0, 1), (1, 2), (2, 2), (4, 0)] {
        ring.connect(actors[from].id(), actors[to].id()).unwrap();
    }
    (ring, actors)
}

/// Mail in all kinds of lanes, mail put aside, calls, dead letters of each reason, and actors in all states but the first.
fn busy() -> (Ring, Vec<Actor<u32, u32, u32>>, Vec<u8>) {
    let (ring, actors) = build();
    actors[0].send_all(&[3, 9, 4]).unwrap();
    actors[1].send(7).unwrap();
    actors[4].send(8).unwrap();
    let call = actors[2].call(2);
    ring.run(2).unwrap();
    actors[4].terminate().unwrap();
    let nothing = actors[0].core.lock().take(actors[0].id(), Wanted::Reply(u64::MAX)).unwrap();
    assert!(nothing.is_none());
    actors[3].suspend().unwrap();
    actors[3].send_all(&[1, 2]).unwrap();
    actors[0].send_all(&[1, 4]).unwrap();
    actors[1].send_all(&[4, 7, 4]).unwrap();
    ring.run(1).unwrap();
    std::mem::forget((call, actors[2].call(3)));
    let contents = ring.checkpoint().unwrap().contents;
    let state = actors[0].core.lock();
    assert!(state.seats[1].restarts > 0 && state.seats[1].careful > 0);
    assert!(!state.seats[0].post.aside.is_empty() && !state.dead.is_empty());
    assert!(state.seats.iter().any(|seat| seat.buried > 0));
    drop(state);
    (ring, actors, contents)
}

#[test]
fn damaged_checkpoints_are_refused_or_restored_as_they_are() {
    let (ring, actors, contents) = busy();
    let restore = |contents: &[u8]| ring.restore(&Checkpoint { contents: contents.to_vec() });
    let bits = scaled(1).min(8);
    let (mut refused, mut restored) = (0, 0);
    for at in 0..contents.len() {
        for bit in 0..bits {
            let mut damaged = contents.clone();
            damaged[at] ^= 1 << ((at + bit) % 8);
            restore(&contents).unwrap();
            match restore(&damaged) {
                Ok(()) => {
                    assert_eq!(ring.checkpoint().unwrap().contents, damaged, "byte {at}");
                    restored += 1;
                }
                Err(RingError::Format(_)) => {
                    assert_eq!(ring.checkpoint().unwrap().contents, contents, "byte {at}");
                    refused += 1;
                    continue;
                }
                Err(error) => panic!("byte {at}: {error}"),
            }
            // The ring continues with that state, and loses nothing.
            match ring.run(2) {
                Ok(_) | Err(RingError::Cycle(_) | RingError::Fault(_)) => {}
                Err(error) => panic!("byte {at}: {error}"),
            }
            for actor in &actors {
                assert_eq!(actor.stat().dropped, 0, "byte {at}");
                while actor.try_receive().unwrap().is_some() {}
            }
            ring.take_dead_letters();
            assert!(!ring.stat().to_string().is_empty());
            actors[3].resume().unwrap_or(());
            let after = ring.checkpoint().unwrap().contents;
            restore(&after).unwrap_or_else(|error| panic!("byte {at}: {error}"));
        }
    }
    assert!(refused > 100 && restored > 100, "{refused} {restored}");
    // Cut, and longer.
    for end in 0..contents.len() {
        assert!(matches!(restore(&contents[..end]), Err(RingError::Format(_))), "{end} bytes");
    }
    assert!(restore(&[&contents[..], &[0]].concat()).is_err());
}

/// Where the number of messages of a lane is in a checkpoint, its tail; its letters follow.
fn tail_of_lane(ring: &Ring, contents: &[u8], number: usize) -> usize {
    let state = ring.core.lock();
    let (lane, side) = (state.lanes.get(number), state.side());
    let words = [lane.from, lane.to, lane.mask, lane.stride, lane.head[side], lane.tail[side]];
    let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    let at = contents.windows(bytes.len()).position(|window| window == bytes);
    at.expect("the checkpoint has the lane") + bytes.len() - 4
}

#[test]
fn a_lane_has_at_most_as_much_mail_as_it_holds() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new().capacity(4));
    actor.send_all(&[1, 2, 3, 4]).unwrap();
    let mut contents = ring.checkpoint().unwrap().contents;
    ring.restore(&Checkpoint { contents: contents.clone() }).unwrap();
    let tail = tail_of_lane(&ring, &contents, 0);
    let first = tail + 4;
    // A header, the length of the message, and the message.
    let letter = contents[first..first + HEADER + 8 + 4].to_vec();
    contents.splice(first..first, letter);
    contents[tail] += 1;
    let error = ring.restore(&Checkpoint { contents }).unwrap_err().to_string();
    assert!(error.contains("more mail than it holds"), "{error}");
    assert_eq!(ring.run(2).unwrap().handled, 4);
}

/// A ring moves dead letters out of its lanes before a checkpoint can be made.
#[test]
fn a_dead_letter_in_a_lane_is_no_mail() {
    let ring = ring();
    let actor = spawn(&ring, "echo", ECHO, Launch::new());
    actor.send_all(&[1, 2]).unwrap();
    ring.run(2).unwrap();
    let mut contents = ring.checkpoint().unwrap().contents;
    let first = tail_of_lane(&ring, &contents, 1) + 4;
    let mut header: RingHeader = value_of(&contents[first..first + HEADER]);
    (header.flags, header.target) = (header.flags | DEAD, actor.id().0);
    contents[first..first + HEADER].copy_from_slice(bytes_of(&header));
    ring.restore(&Checkpoint { contents }).unwrap();
    assert_eq!([0; 2].map(|_| actor.try_receive().unwrap()), [Some(2), None]);
    let dead = ring.take_dead_letters();
    assert_eq!((dead.len(), dead[0].message::<u32>()), (1, Some(1)));
}

#[test]
fn a_checkpoint_neither_ends_actors_nor_begins_them_again() {
    let with = |ends: bool| {
        let ring = ring();
        let actor = spawn(&ring, "echo", ECHO, Launch::new());
        if ends {
            actor.terminate().unwrap();
        }
        ring
    };
    for ends in [false, true] {
        let (ring, other) = (with(ends), with(!ends));
        let error = other.restore(&ring.checkpoint().unwrap()).unwrap_err().to_string();
        assert!(error.contains("actor `echo` is ") && error.contains(" there, and "), "{error}");
        with(ends).restore(&ring.checkpoint().unwrap()).unwrap();
    }
}

#[test]
fn damaged_recordings_never_panic() {
    let (ring, actors) = build();
    let start = ring.checkpoint().unwrap();
    ring.record();
    actors[0].send_all(&[3, 4]).unwrap();
    let call = actors[1].call(2);
    ring.run(3).unwrap();
    call.wait().unwrap();
    actors[3].suspend().unwrap();
    actors[0].send(7).unwrap();
    ring.run(4).unwrap();
    actors[2].write_state(5).unwrap();
    actors[3].resume().unwrap();
    drop(actors[3].call(1));
    ring.take_dead_letters();
    while actors[0].try_receive().unwrap().is_some() {}
    let recording = ring.take_recording().unwrap();
    let end = ring.checkpoint().unwrap();
    let bytes = recording.to_bytes();
    // After the magic number, the version, the checksum and the length.
    const HEAD: usize = 24;
    let (mut refused, mut replayed) = (0, 0);
    for at in HEAD..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        let crc = crate::ring::bytes::crc32(&damaged[HEAD..]);
        damaged[12..16].copy_from_slice(&crc.to_le_bytes());
        ring.restore(&start).unwrap();
        let outcome = Recording::parse(&damaged).and_then(|recording| ring.replay(&recording));
        if outcome.is_ok() {
            replayed += 1
        } else {
            refused += 1
        }
        let after = ring.checkpoint().unwrap();
        ring.restore(&after).unwrap_or_else(|error| panic!("byte {at}: {error}"));
    }
    assert!(refused > 50 && replayed > 50, "{refused} {replayed}");
    ring.restore(&start).unwrap();
    ring.replay(&recording).unwrap();
    assert_eq!(ring.checkpoint().unwrap(), end);
}

/// Clocks of wall time are larger than any counter.
#[test]
fn rings_of_wall_time_are_restored_and_replayed() {
    let build = || {
        let ring = ring_of(RingOptions { time: TimeSource::Wall, ..RingOptions::default() });
        let actor = spawn(&ring, "echo", super::ECHO, Launch::new());
        (ring, actor)
    };
    let (ring, actor) = build();
    ring.record();
    actor.send_all(&[1, 2]).unwrap();
    let call = actor.call(3);
    ring.tick().unwrap();
    actor.send(4).unwrap();
    let checkpoint = ring.checkpoint().unwrap();
    let (other, same) = build();
    other.restore(&Checkpoint::parse(&checkpoint.to_bytes()).unwrap()).unwrap();
    assert_eq!(other.checkpoint().unwrap(), checkpoint);
    ring.run(5).unwrap();
    assert_eq!((call.wait().unwrap(), other.run(5).unwrap().handled), (3, 1));
    assert_eq!(same.read_state().unwrap(), actor.read_state().unwrap());
    let (again, _) = build();
    again.replay(&ring.take_recording().unwrap()).unwrap();
    assert_eq!(again.checkpoint().unwrap(), ring.checkpoint().unwrap());
}
