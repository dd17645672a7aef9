//! Kernels of two queues that access the same memory, with and without something that orders them.

use super::{checked, reports_of};
use crate::child::in_child;
use crate::gpu::Rig;
use aruminium::{
    Buffer, Checks, Commands, Pipeline, Queue, Report, ReportKind, SharedEvent, autorelease_pool,
};
use std::time::Duration;

pub(crate) const WRITES: &str =
    "kernel void writes(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    data[i] = i;
}";
pub(crate) const READS: &str =
    "kernel void reads(device const uint *from [[buffer(0)]], device uint *to [[buffer(1)]],
                  uint i [[thread_position_in_grid]]) {
    to[i] = from[i];
}";

/// Two queues, and a gate at which both wait until everything is committed.
pub(crate) struct Two {
    rig: Rig,
    queues: [Queue; 2],
    gate: SharedEvent,
    data: Buffer,
    other: Buffer,
    writes: Pipeline,
    reads: Pipeline,
}

impl Two {
    pub(crate) fn new() -> Self {
        let rig = Rig::new();
        let queues = [(); 2].map(|()| rig.gpu.new_command_queue().unwrap());
        let gate = rig.gpu.shared_event().unwrap();
        let [data, other] = [(); 2].map(|()| rig.gpu.buffer(1024).unwrap());
        let [writes, reads] =
            [WRITES, READS].map(|source| checked(&rig.gpu, source, Checks::RACES));
        Self { rig, queues, gate, data, other, writes, reads }
    }

    fn launch(&self, commands: &Commands, pipeline: &Pipeline, data: &Buffer) {
        let encoder = commands.encoder().unwrap();
        encoder.bind(pipeline);
        encoder.bind_buffer(data, 0, 0);
        encoder.bind_buffer(&self.other, 0, 1);
        encoder.launch((64, 1, 1), (32, 1, 1));
        encoder.finish();
    }

    fn commands(&self, queue: usize) -> Commands {
        let commands = self.queues[queue].commands().unwrap();
        commands.wait_for(&self.gate, 1);
        commands
    }

    /// Commits both, lets them run, and returns what is reported.
    fn run(&self, first: &Commands, second: &Commands) -> Vec<Report> {
        first.submit();
        second.submit();
        self.gate.set_signaled_value(1);
        [first, second].into_iter().flat_map(reports_of).collect()
    }
}

#[test]
fn a_race_of_two_queues_is_found() {
    let two = Two::new();
    let (first, second) = (two.commands(0), two.commands(1));
    two.launch(&first, &two.writes, &two.data);
    two.launch(&second, &two.reads, &two.data);
    let found = two.run(&first, &second);
    let [race] = &found[..] else { panic!("{found:#?}") };
    assert_eq!((race.kind, race.count, race.bytes), (ReportKind::Race, 64, 4));
    let mut kernels: Vec<&str> = race.accesses.iter().map(|one| one.kernel.as_str()).collect();
    kernels.sort_unstable();
    assert_eq!(kernels, ["reads", "writes"]);
    assert!(matches!(race.argument.as_deref(), Some("data" | "from")), "{race}");
    assert!(race.remedy.contains("signal an event after the first"), "{race}");
    for access in &race.accesses {
        assert_eq!(access.line, Some(if access.kernel == "reads" { 5 } else { 4 }), "{race}");
        assert_eq!(u64::from(access.thread[0]) * 4, race.offset as u64, "{race}");
    }
}

#[test]
fn events_order_queues() {
    let two = Two::new();
    let event = two.rig.gpu.event().unwrap();
    let (first, second) = (two.commands(0), two.commands(1));
    two.launch(&first, &two.writes, &two.data);
    first.signal(&event, 1);
    second.wait_for(&event, 1);
    two.launch(&second, &two.reads, &two.data);
    assert_eq!(two.run(&first, &second), []);
}

#[test]
fn an_event_orders_what_is_before_its_signal_only() {
    let two = Two::new();
    let event = two.rig.gpu.event().unwrap();
    let (first, second) = (two.commands(0), two.commands(1));
    first.signal(&event, 1);
    two.launch(&first, &two.writes, &two.data);
    second.wait_for(&event, 1);
    two.launch(&second, &two.reads, &two.data);
    assert_eq!(two.run(&first, &second).len(), 1);
}

#[test]
fn order_passes_through_a_third_queue() {
    let two = Two::new();
    let (event, third) = (two.rig.gpu.event().unwrap(), two.rig.gpu.new_command_queue().unwrap());
    let between = third.commands().unwrap();
    between.wait_for(&event, 1);
    between.signal(&event, 2);
    between.submit();
    let (first, second) = (two.commands(0), two.commands(1));
    two.launch(&first, &two.writes, &two.data);
    first.signal(&event, 1);
    second.wait_for(&event, 2);
    two.launch(&second, &two.reads, &two.data);
    assert_eq!(two.run(&first, &second), []);
}

#[test]
fn what_the_program_waited_for_is_before_what_it_commits_next() {
    type See = fn(&Two, &Commands);
    let ways: [See; 4] = [
        |_, commands| commands.finish().unwrap(),
        |_, commands| {
            while commands.status() < Commands::STATUS_COMPLETED {
                std::thread::yield_now();
            }
        },
        |two, _| assert!(two.gate.wait(2, Duration::from_secs(60))),
        |two, _| {
            while two.gate.signaled_value() < 2 {
                std::thread::yield_now();
            }
        },
    ];
    for see in ways {
        let two = Two::new();
        two.gate.set_signaled_value(1);
        let first = two.commands(0);
        two.launch(&first, &two.writes, &two.data);
        first.signal(&two.gate, 2);
        first.submit();
        see(&two, &first);
        let second = two.commands(1);
        two.launch(&second, &two.reads, &two.data);
        second.submit();
        assert_eq!(reports_of(&second), []);
    }
}

#[test]
fn queues_that_share_nothing_are_silent() {
    let two = Two::new();
    let (first, second) = (two.commands(0), two.commands(1));
    two.launch(&first, &two.writes, &two.data);
    two.launch(&second, &two.writes, &two.other);
    assert_eq!(two.run(&first, &second), []);
    // One queue orders its command buffers.
    let two = Two::new();
    let (first, second) = (two.commands(0), two.commands(0));
    two.launch(&first, &two.writes, &two.data);
    two.launch(&second, &two.reads, &two.data);
    assert_eq!(two.run(&first, &second), []);
}

/// What a command buffer did before it waited for an event that never came is part of its queue's work.
#[test]
fn a_command_buffer_that_fails_at_an_event_has_done_what_was_before() {
    let body = || {
        let two = Two::new();
        two.gate.set_signaled_value(1);
        let marks = two.rig.kernel("kernel void marks(device uint *to [[buffer(0)]]) { *to = 1; }");
        let [never, event] = [(); 2].map(|()| two.rig.gpu.event().unwrap());
        let mark = two.rig.gpu.buffer(4).unwrap();
        let (fails, next) = (two.commands(0), two.commands(0));
        two.launch(&fails, &two.writes, &two.data);
        fails.wait_for(&never, 1);
        two.launch(&next, &marks, &mark);
        next.signal(&event, 1);
        fails.submit();
        next.submit();
        // The program sees it, but not that the first has ended.
        let mark = mark.contents().cast::<u32>();
        // SAFETY: the buffer has the word.
        while unsafe { mark.read_volatile() } == 0 {
            std::thread::yield_now();
        }
        let reads = two.commands(1);
        reads.wait_for(&event, 1);
        two.launch(&reads, &two.reads, &two.data);
        reads.submit();
        assert_eq!(reports_of(&reads), []);
        assert!(fails.finish().is_err());
    };
    let name = "queues::a_command_buffer_that_fails_at_an_event_has_done_what_was_before";
    let watchdog = [("ARUMINIUM_SOFT_WATCHDOG_MS", "300")];
    let Some(output) = in_child(name, &watchdog, body) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_queue_that_was_dropped_still_races() {
    const HOLDS: &str = "kernel void holds(device atomic_uint *go [[buffer(0)]]) {
        while (atomic_load_explicit(go, memory_order_relaxed) == 0) {}
    }";
    let body = || {
        let rig = Rig::new();
        let [data, other, go] = [(); 3].map(|()| rig.gpu.buffer(1024).unwrap());
        let [writes, reads] =
            [WRITES, READS].map(|source| checked(&rig.gpu, source, Checks::RACES));
        let holds = rig.kernel(HOLDS);
        let launch = |commands: &Commands, pipeline: &Pipeline| {
            let encoder = commands.encoder().unwrap();
            encoder.bind(pipeline);
            encoder.bind_buffer(&data, 0, 0);
            encoder.bind_buffer(&other, 0, 1);
            encoder.launch((64, 1, 1), (32, 1, 1));
            encoder.finish();
        };
        // It is committed before the other queue's, and reads after that has ended.
        let second = rig.queue.commands().unwrap();
        let encoder = second.encoder().unwrap();
        encoder.bind(&holds);
        encoder.bind_buffer(&go, 0, 0);
        encoder.launch((1, 1, 1), (1, 1, 1));
        encoder.finish();
        launch(&second, &reads);
        second.submit();
        autorelease_pool(|| {
            let first = rig.gpu.new_command_queue().unwrap().commands().unwrap();
            launch(&first, &writes);
            first.submit();
        });
        let last = data.contents().wrapping_byte_add(63 * 4).cast::<u32>();
        // SAFETY: the buffer is longer.
        while unsafe { last.read_volatile() } != 63 {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(200));
        // The driver drops what it holds of uses that are over, the queue's last. The second use is under way.
        assert!(data.is_in_flight() && other.is_in_flight());
        // SAFETY: the buffer has the word.
        unsafe { go.contents().cast::<u32>().write_volatile(1) };
        let found = reports_of(&second);
        assert!(matches!(&found[..], [race] if race.kind == ReportKind::Race), "{found:#?}");
    };
    // In other tests of this process there are more queues.
    let Some(output) = in_child("queues::a_queue_that_was_dropped_still_races", &[], body) else {
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
