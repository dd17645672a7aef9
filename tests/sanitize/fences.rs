//! Memory whose hazards the program tracks itself: only fences, events and other memory order the encoders that use it.

use super::queues::{READS, WRITES};
use super::{checked, reports_of};
use crate::gpu::Rig;
use aruminium::{
    Buffer, Checks, Commands, Fence, NSRange, Pipeline, Report, ReportKind, ResourceOptions,
    SharedEvent,
};

struct Encoders {
    rig: Rig,
    untracked: Buffer,
    tracked: Buffer,
    writes: Pipeline,
    reads: Pipeline,
}

/// The fences that an encoder waits for, and those that it updates.
type Fences<'a> = (&'a [&'a Fence], &'a [&'a Fence]);

const NONE: Fences<'static> = (&[], &[]);

impl Encoders {
    fn new() -> Self {
        let rig = Rig::new();
        let options = ResourceOptions::STORAGE_SHARED | ResourceOptions::HAZARD_UNTRACKED;
        let untracked = rig.gpu.buffer_with_options(1024, options).unwrap();
        let tracked = rig.gpu.buffer(1024).unwrap();
        let [writes, reads] =
            [WRITES, READS].map(|source| checked(&rig.gpu, source, Checks::RACES));
        Self { rig, untracked, tracked, writes, reads }
    }

    fn commands(&self) -> Commands {
        self.rig.queue.commands().unwrap()
    }

    fn fence(&self) -> Fence {
        self.rig.gpu.fence().unwrap()
    }

    /// An encoder in which a kernel accesses a buffer; what it reads goes to the next one.
    fn encode(
        &self,
        commands: &Commands,
        pipeline: &Pipeline,
        data: [&Buffer; 2],
        fences: Fences<'_>,
    ) {
        let encoder = commands.encoder().unwrap();
        fences.0.iter().for_each(|fence| encoder.wait_for_fence(fence));
        encoder.bind(pipeline);
        encoder.bind_buffer(data[0], 0, 0);
        encoder.bind_buffer(data[1], 0, 1);
        encoder.launch((64, 1, 1), (32, 1, 1));
        fences.1.iter().for_each(|fence| encoder.update_fence(fence));
        encoder.finish();
    }

    /// One encoder writes, then another one reads.
    fn pair(&self, commands: [&Commands; 2], first: Fences<'_>, second: Fences<'_>) {
        let room = self.rig.gpu.buffer(1024).unwrap();
        self.encode(commands[0], &self.writes, [&self.untracked, &self.untracked], first);
        self.encode(commands[1], &self.reads, [&self.untracked, &room], second);
    }
}

/// The reports of command buffers that were not committed yet.
fn finish(commands: &[&Commands]) -> Vec<Report> {
    commands.iter().for_each(|commands| commands.submit());
    commands.iter().flat_map(|commands| reports_of(commands)).collect()
}

#[test]
fn a_missing_fence_is_found() {
    let all = Encoders::new();
    let commands = all.commands();
    all.pair([&commands; 2], NONE, NONE);
    let found = finish(&[&commands]);
    let [race] = &found[..] else { panic!("{found:#?}") };
    assert_eq!((race.kind, race.count), (ReportKind::Race, 64));
    assert!(race.remedy.contains("update a fence in the first"), "{race}");
    let mut kernels: Vec<&str> = race.accesses.iter().map(|one| one.kernel.as_str()).collect();
    kernels.sort_unstable();
    assert_eq!(kernels, ["reads", "writes"]);

    // A fence, also through an encoder between.
    let [fence, other] = [(); 2].map(|()| all.fence());
    let commands = all.commands();
    all.pair([&commands; 2], (&[], &[&fence]), (&[&fence], &[]));
    assert_eq!(finish(&[&commands]), []);
    let commands = all.commands();
    all.encode(&commands, &all.writes, [&all.untracked; 2], (&[], &[&fence]));
    all.encode(&commands, &all.writes, [&all.tracked; 2], (&[&fence], &[&other]));
    all.encode(&commands, &all.reads, [&all.untracked, &all.tracked], (&[&other], &[]));
    assert_eq!(finish(&[&commands]), []);
    // Another one, and one that is only updated.
    let [fence, other] = [(); 2].map(|()| all.fence());
    for (first, second) in [(&[&fence][..], &[&other][..]), (&[&fence], &[])] {
        let commands = all.commands();
        all.pair([&commands; 2], (&[], first), (second, &[]));
        assert_eq!(finish(&[&commands]).len(), 1);
    }
}

/// Memory that Metal tracks orders the encoders that share it.
#[test]
fn tracked_memory_orders_encoders() {
    let all = Encoders::new();
    let source =
        "kernel void both(device uint *data [[buffer(0)]], device const uint *other [[buffer(1)]],
            uint i [[thread_position_in_grid]]) {
        data[i] = other[i];
    }";
    let both = checked(&all.rig.gpu, source, Checks::RACES);
    for (shared, races) in [(true, 0), (false, 1)] {
        let (commands, room) = (all.commands(), all.rig.gpu.buffer(1024).unwrap());
        let second = if shared { &all.tracked } else { &room };
        all.encode(&commands, &both, [&all.untracked, &all.tracked], NONE);
        all.encode(&commands, &all.reads, [&all.untracked, second], NONE);
        assert_eq!(finish(&[&commands]).len(), races);
    }
}

#[test]
fn fences_and_events_order_command_buffers_of_a_queue() {
    let all = Encoders::new();
    // Both wait at a gate until both are committed, so that the program cannot see that the first is done.
    let both = || {
        let gate = all.rig.gpu.shared_event().unwrap();
        let both = [(); 2].map(|()| all.commands());
        both.iter().for_each(|commands| commands.wait_for(&gate, 1));
        (gate, both)
    };
    let run = |gate: &SharedEvent, both: &[Commands; 2]| {
        both.iter().for_each(|commands| commands.submit());
        gate.set_signaled_value(1);
        both.iter().flat_map(reports_of).collect::<Vec<Report>>()
    };
    let (gate, pair) = both();
    all.pair([&pair[0], &pair[1]], NONE, NONE);
    let found = run(&gate, &pair);
    assert_eq!(found.len(), 1, "{found:#?}");

    let (fence, (gate, pair)) = (all.fence(), both());
    all.pair([&pair[0], &pair[1]], (&[], &[&fence]), (&[&fence], &[]));
    assert_eq!(run(&gate, &pair), []);

    let (event, (gate, pair)) = (all.rig.gpu.event().unwrap(), both());
    all.encode(&pair[0], &all.writes, [&all.untracked; 2], NONE);
    pair[0].signal(&event, 1);
    pair[1].wait_for(&event, 1);
    all.encode(&pair[1], &all.reads, [&all.untracked, &all.tracked], NONE);
    assert_eq!(run(&gate, &pair), []);

    // The program waits in between.
    let [one, other] = [(); 2].map(|()| all.commands());
    all.encode(&one, &all.writes, [&all.untracked; 2], NONE);
    assert_eq!(finish(&[&one]), []);
    all.encode(&other, &all.reads, [&all.untracked, &all.tracked], NONE);
    assert_eq!(finish(&[&other]), []);
}

/// Command buffers of one queue that wait at a gate until all are committed, so that the program cannot see that one of them is done.
struct Gated {
    gate: SharedEvent,
    commands: Vec<Commands>,
}

impl Gated {
    fn new(all: &Encoders, count: usize) -> Self {
        let gate = all.rig.gpu.shared_event().unwrap();
        let commands: Vec<Commands> = (0..count).map(|_| all.commands()).collect();
        commands.iter().for_each(|commands| commands.wait_for(&gate, 1));
        Self { gate, commands }
    }

    /// How many reports there are.
    fn run(&self) -> usize {
        self.commands.iter().for_each(|commands| commands.submit());
        self.gate.set_signaled_value(1);
        self.commands.iter().map(|commands| reports_of(commands).len()).sum()
    }
}

/// The fences of command buffers that touch no such memory themselves, or have many encoders.
#[test]
fn fences_order_through_all_command_buffers() {
    let all = Encoders::new();
    for is_ordered in [true, false] {
        let wait = |fence| if is_ordered { vec![fence] } else { Vec::new() };
        let [one, two] = [(); 2].map(|()| all.fence());
        let gated = Gated::new(&all, 3);
        let [first, second, third] = &gated.commands[..] else { unreachable!() };
        all.encode(first, &all.writes, [&all.untracked; 2], (&[], &[&one]));
        all.encode(second, &all.writes, [&all.tracked; 2], (&wait(&one), &[&two]));
        let room = all.rig.gpu.buffer(1024).unwrap();
        all.encode(third, &all.reads, [&all.untracked, &room], (&[&two], &[]));
        assert_eq!(gated.run(), usize::from(!is_ordered), "tracked, {is_ordered}");

        let fence = all.fence();
        let gated = Gated::new(&all, 2);
        let [first, second] = &gated.commands[..] else { unreachable!() };
        for _ in 0..39 {
            all.encode(first, &all.writes, [&all.tracked; 2], NONE);
        }
        all.encode(first, &all.writes, [&all.untracked; 2], (&[], &[&fence]));
        all.encode(second, &all.reads, [&all.untracked, &room], (&wait(&fence), &[]));
        assert_eq!(gated.run(), usize::from(!is_ordered), "40 encoders, {is_ordered}");

        // An encoder that copies.
        let [one, two] = [(); 2].map(|()| all.fence());
        let commands = all.commands();
        all.encode(&commands, &all.writes, [&all.untracked; 2], (&[], &[&one]));
        let copier = commands.copier().unwrap();
        wait(&one).iter().for_each(|fence| copier.wait_for_fence(fence));
        copier.fill(&all.tracked, NSRange::from(0..4), 0);
        copier.update_fence(&two);
        copier.finish();
        all.encode(&commands, &all.reads, [&all.untracked, &room], (&[&two], &[]));
        assert_eq!(finish(&[&commands]).len(), usize::from(!is_ordered), "a copy, {is_ordered}");
    }
}

#[test]
fn a_wait_is_for_updates_that_were_recorded_before() {
    let all = Encoders::new();
    let (fence, room) = (all.fence(), all.rig.gpu.buffer(1024).unwrap());
    let commands = all.commands();
    all.encode(&commands, &all.reads, [&all.untracked, &room], (&[&fence], &[]));
    all.encode(&commands, &all.writes, [&all.untracked; 2], (&[], &[&fence]));
    assert_eq!(finish(&[&commands]).len(), 1);
}

/// Memory that Metal tracks orders two encoders if one of them writes to it, in one command buffer and in two.
#[test]
fn only_hazards_of_tracked_memory_order_encoders() {
    let all = Encoders::new();
    let source =
        "kernel void plus(device uint *data [[buffer(0)]], device const uint *other [[buffer(1)]],
            uint i [[thread_position_in_grid]]) {
        data[i] = other[i] + NUMBER;
    }";
    let [one, two] = ["1", "2"]
        .map(|number| checked(&all.rig.gpu, &source.replace("NUMBER", number), Checks::RACES));
    let room = all.rig.gpu.buffer(1024).unwrap();
    for count in [1, 2] {
        let run = |second: &dyn Fn(&Commands)| {
            let gated = Gated::new(&all, count);
            all.encode(&gated.commands[0], &one, [&all.untracked, &all.tracked], NONE);
            second(&gated.commands[count - 1]);
            gated.run()
        };
        // Both read the tracked memory; the second writes to it, or has nothing to do with it.
        let cases: [(&Pipeline, [&Buffer; 2], usize); 3] = [
            (&two, [&all.untracked, &all.tracked], 1),
            (&all.reads, [&all.untracked, &all.tracked], 0),
            (&all.reads, [&all.untracked, &room], 1),
        ];
        for (pipeline, data, races) in cases {
            let found = run(&|commands| all.encode(commands, pipeline, data, NONE));
            assert_eq!(found, races, "{count} command buffers");
        }
    }
}
