//! Memory whose hazards the program tracks itself: only fences, events and other memory order the encoders that use it.

use super::queues::{READS, WRITES};
use super::{checked, reports_of};
use crate::gpu::Rig;
use aruminium::{
    ArgumentTableDescriptor, Buffer, Checks, Commands, DispatchType, Encoder, Fence, NSRange,
    Pipeline, PixelFormat, Report, ReportKind, ResidencySetDescriptor, ResourceOptions,
    SharedEvent, Stages, Texture, TextureDescriptor, TextureUsage,
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
        self.encode_in(encoder, pipeline, data, fences);
    }

    fn encode_in(
        &self,
        encoder: Encoder,
        pipeline: &Pipeline,
        data: [&Buffer; 2],
        fences: Fences<'_>,
    ) {
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

/// A texture orders two encoders if one of them may write to it.
#[test]
fn textures_that_are_only_read_order_no_encoders() {
    let all = Encoders::new();
    let kernel = |access: &str, statement: &str| {
        let source = format!(
            "kernel void k(device uint *data [[buffer(0)]], texture2d<uint, access::{access}> image [[texture(0)]],
                           uint i [[thread_position_in_grid]]) {{ {statement} }}"
        );
        checked(&all.rig.gpu, &source, Checks::RACES)
    };
    let [one, two] = ["1", "2"]
        .map(|plus| kernel("read", &format!("data[i] = image.read(uint2(0)).x + {plus};")));
    let writes = kernel("write", "data[i] = 3; image.write(uint4(i), uint2(0));");
    let descriptor = TextureDescriptor::new_2d(PixelFormat::R32Uint, 4, 4);
    descriptor.set_usage(TextureUsage::SHADER_READ | TextureUsage::SHADER_WRITE);
    let texture = || all.rig.gpu.texture_with(&descriptor).unwrap();
    let (image, other) = (&texture(), &texture());
    let cases: [([(&Pipeline, &Texture); 2], usize); 4] = [
        ([(&one, image), (&two, image)], 1),
        ([(&writes, image), (&one, image)], 0),
        ([(&one, image), (&writes, image)], 0),
        ([(&writes, image), (&one, other)], 1),
    ];
    for (number, (pair, races)) in cases.into_iter().enumerate() {
        for count in [1, 2] {
            let gated = Gated::new(&all, count);
            for (commands, (pipeline, texture)) in [0, count - 1].into_iter().zip(pair) {
                let encoder = gated.commands[commands].encoder().unwrap();
                encoder.bind_texture(texture, 0);
                all.encode_in(encoder, pipeline, [&all.untracked; 2], NONE);
            }
            assert_eq!(gated.run(), races, "case {number}, {count} command buffers");
        }
    }
}

/// Fences of a command buffer in which a kernel fails are known, also of encoders after that.
#[test]
fn fences_of_a_command_buffer_that_fails_order() {
    let all = Encoders::new();
    let fails = all.rig.kernel("kernel void fails(device uint *data) { data[1 << 20] = 1; }");
    let room = all.rig.gpu.buffer(1024).unwrap();
    for is_ordered in [true, false] {
        let [one, two, other, unused] = [(); 4].map(|()| all.fence());
        let gated = Gated::new(&all, 2);
        let [first, second] = &gated.commands[..] else { unreachable!() };
        all.encode(first, &all.writes, [&all.untracked; 2], (&[], &[&one]));
        all.encode(first, &fails, [&all.tracked; 2], (&[&one], &[&two]));
        all.encode(first, &all.writes, [&all.tracked; 2], (&[&two], &[&other]));
        let wait = if is_ordered { &one } else { &unused };
        all.encode(second, &all.reads, [&all.untracked, &room], (&[wait], &[]));
        gated.commands.iter().for_each(|commands| commands.submit());
        gated.gate.set_signaled_value(1);
        assert!(first.finish().is_err());
        let found = first.reports().unwrap().len() + reports_of(second).len();
        assert_eq!(found, usize::from(!is_ordered), "{is_ordered}");
    }
}

/// Fences of a command buffer that is wrong, so that nothing of it runs, are known.
#[test]
fn fences_of_a_command_buffer_that_does_not_run_order() {
    let all = Encoders::new();
    let room = all.rig.gpu.buffer(1024).unwrap();
    for is_ordered in [true, false] {
        let [one, two, unused] = [(); 3].map(|()| all.fence());
        let gated = Gated::new(&all, 3);
        let [first, second, third] = &gated.commands[..] else { unreachable!() };
        all.encode(first, &all.writes, [&all.untracked; 2], (&[], &[&one]));
        let encoder = second.encoder().unwrap();
        encoder.wait_for_fence(&one);
        encoder.bind(&all.writes);
        encoder.bind_buffer(&all.tracked, 0, 0);
        // More threads than a threadgroup has.
        encoder.launch((2048, 1, 1), (2048, 1, 1));
        encoder.update_fence(&two);
        encoder.finish();
        let wait = if is_ordered { &two } else { &unused };
        all.encode(third, &all.reads, [&all.untracked, &room], (&[wait], &[]));
        gated.commands.iter().for_each(|commands| commands.submit());
        gated.gate.set_signaled_value(1);
        assert!(second.finish().is_err());
        let found = reports_of(first).len() + reports_of(third).len();
        assert_eq!(found, usize::from(!is_ordered), "{is_ordered}");
    }
}

/// Launches of a concurrent encoder run when it ends.
#[test]
fn a_fence_orders_a_concurrent_encoder() {
    let all = Encoders::new();
    let room = all.rig.gpu.buffer(1024).unwrap();
    for is_ordered in [true, false] {
        for concurrent in [[true, false], [false, true], [true, true]] {
            let fence = all.fence();
            let commands = all.commands();
            let wait = if is_ordered { &[&fence][..] } else { &[] };
            let encoder = |is_concurrent: bool| {
                let kinds = [DispatchType::Serial, DispatchType::Concurrent];
                commands.encoder_with(kinds[usize::from(is_concurrent)]).unwrap()
            };
            let first = [&all.untracked; 2];
            all.encode_in(encoder(concurrent[0]), &all.writes, first, (&[], &[&fence]));
            let second = [&all.untracked, &room];
            all.encode_in(encoder(concurrent[1]), &all.reads, second, (wait, &[]));
            let found = finish(&[&commands]).len();
            assert_eq!(found, usize::from(!is_ordered), "{is_ordered}, {concurrent:?}");
        }
    }
}

/// In Metal 4 barriers order launches, in all encoders of a command buffer, and fences are barriers here.
#[test]
fn barriers_and_fences_of_metal_4_order_launches() {
    let all = Encoders::new();
    let gpu = &all.rig.gpu;
    let (queue, allocator) = (gpu.queue4().unwrap(), gpu.command_allocator().unwrap());
    let [data, room] = [(); 2].map(|()| gpu.buffer(1024).unwrap());
    let resident = gpu.residency_set(&ResidencySetDescriptor::new()).unwrap();
    [&data, &room].into_iter().for_each(|buffer| resident.add(buffer));
    resident.commit();
    queue.add_residency_set(&resident);
    let descriptor = ArgumentTableDescriptor::new();
    descriptor.set_buffers(2);
    let table = gpu.argument_table(&descriptor).unwrap();
    table.set_address(data.gpu_address(), 0);
    table.set_address(room.gpu_address(), 1);
    for (order, races) in [("nothing", 1), ("a barrier", 0), ("a fence", 0)] {
        let (commands, fence) = (gpu.commands4().unwrap(), all.fence());
        commands.begin(&allocator);
        for pipeline in [&all.writes, &all.reads] {
            let encoder = commands.encoder().unwrap();
            match order {
                "a barrier" => encoder.barrier_after_queue(Stages::DISPATCH, Stages::DISPATCH),
                "a fence" => encoder.wait_for_fence(&fence, Stages::DISPATCH),
                _ => {}
            }
            encoder.bind(pipeline);
            encoder.bind_table(&table);
            encoder.launch((64, 1, 1), (32, 1, 1));
            if order == "a fence" {
                encoder.update_fence(&fence, Stages::DISPATCH);
            }
            encoder.finish();
        }
        commands.end();
        assert_eq!(commands.reports().unwrap(), [], "it is not committed");
        // SAFETY: all that it uses lives until it is done.
        unsafe { queue.run(&[&commands]) }.unwrap();
        let found = commands.reports().unwrap();
        assert_eq!(found.len(), races, "{order}: {found:?}");
    }
}
