//! A seed for the order of threadgroups, SIMD-groups and lanes.

use crate::child::in_child;
use crate::gpu::Rig;
use aruminium::Buffer;

/// The order in which the threadgroups and SIMD-groups of a launch ran.
fn order_of_groups() -> [Vec<u32>; 2] {
    let rig = Rig::new();
    let pipeline = rig.kernel(
        "kernel void k(device atomic_uint *next, device uint *groups, device uint *simdgroups, threadgroup uint *tile,
            uint group [[threadgroup_position_in_grid]], uint t [[thread_index_in_threadgroup]],
            uint simdgroup [[simdgroup_index_in_threadgroup]]) {
        tile[t] = t;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (t == 0) groups[atomic_fetch_add_explicit(next, 1, memory_order_relaxed)] = group;
        if (t % 32 == 0 && group == 3)
            simdgroups[atomic_fetch_add_explicit(next + 1, 1, memory_order_relaxed)] = simdgroup;
        tile[t] += tile[t ^ 1];
    }",
    );
    let [next, groups, simdgroups] = [(); 3].map(|()| rig.gpu.buffer(1024).unwrap());
    next.write(|bytes| bytes.fill(0));
    rig.run(|encoder| {
        encoder.bind(&pipeline);
        for (index, buffer) in [&next, &groups, &simdgroups].into_iter().enumerate() {
            encoder.bind_buffer(buffer, 0, index);
        }
        encoder.threadgroup_memory(4096, 0);
        encoder.launch((64 * 256, 1, 1), (256, 1, 1));
    })
    .unwrap();
    let list = |buffer: &Buffer, length| buffer.read_as::<u32, _>(|all| all[..length].to_vec());
    [list(&groups, 64), list(&simdgroups, 8)]
}

#[test]
fn a_seed_orders_threadgroups_and_simdgroups() {
    let test = "a_seed_orders_threadgroups_and_simdgroups";
    let run = |seed, jit| seeded(test, seed, jit, || format!("{:?}", order_of_groups()));
    let Some(first) = run("order=1", "on") else { return };
    assert_eq!(run("order=1", "on").unwrap(), first);
    assert_eq!(run("order=1", "always").unwrap(), first);
    assert_ne!(run("order=2", "on").unwrap(), first);
    let numbers = |text: &str| -> Vec<u32> {
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|one| one.parse().ok()).collect()
    };
    let all = numbers(&first);
    for (order, length) in [(&all[..64], 64), (&all[64..], 8)] {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..length).collect::<Vec<_>>());
        assert_ne!(order, sorted);
    }
}

/// Runs a body in a child with a seed for the order, and returns what it printed after `found: `.
fn seeded(test: &str, seed: &str, jit: &str, body: impl FnOnce() -> String) -> Option<String> {
    // The hardware of a GPU has its own order.
    let variables = [
        ("ARUMINIUM_SOFT_SANITIZE", seed),
        ("ARUMINIUM_SOFT_JIT", jit),
        ("ARUMINIUM_SOFT_DEVICE", "cpu"),
    ];
    let output = in_child(&format!("order::{test}"), &variables, || println!("found: {}", body()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let (_, found) = text.split_once("found: ").expect("the child prints it");
    Some(found.lines().next().unwrap_or_default().to_owned())
}

/// The slots that the lanes of a SIMD-group took, and the lanes whose stores to one address and to their pairs' remained.
fn order_of_lanes() -> String {
    let rig = Rig::new();
    let pipeline = rig.kernel(
        "kernel void k(device atomic_uint *next, device uint *slots, device uint *last, uint t [[thread_index_in_threadgroup]]) {
            slots[t] = atomic_fetch_add_explicit(next, 1, memory_order_relaxed);
            for (uint n = 0; n < 16; n++) last[n] = t;
            last[16 + t / 2] = t;
        }",
    );
    let [next, slots, last] = [(); 3].map(|()| rig.gpu.buffer(1024).unwrap());
    next.write(|bytes| bytes.fill(0));
    rig.run(|encoder| {
        encoder.bind(&pipeline);
        for (index, buffer) in [&next, &slots, &last].into_iter().enumerate() {
            encoder.bind_buffer(buffer, 0, index);
        }
        encoder.launch((32, 1, 1), (32, 1, 1));
    })
    .unwrap();
    let list = |buffer: &Buffer| buffer.read_as::<u32, _>(|all| all[..32].to_vec());
    let (slots, last) = (list(&slots), list(&last));
    let mut sorted = slots.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..32).collect::<Vec<_>>());
    assert_ne!(slots, sorted);
    assert!(last[..16].iter().any(|lane| *lane != last[0]), "{last:?}");
    let pairs = &last[16..];
    assert!(pairs.iter().zip(0..).all(|(lane, pair)| lane / 2 == pair), "{pairs:?}");
    assert!(pairs.iter().any(|lane| lane % 2 == 0) && pairs.iter().any(|lane| lane % 2 == 1));
    format!("{slots:?} {last:?}")
}

#[test]
fn a_seed_orders_lanes() {
    let run = |seed, jit| seeded("a_seed_orders_lanes", seed, jit, order_of_lanes);
    let Some(first) = run("order=1", "on") else { return };
    assert_eq!(run("order=1", "always").unwrap(), first);
    assert_ne!(run("order=2", "on").unwrap(), first);
}

/// Whether SIMD-groups that exchange numbers through threadgroup memory get the right ones, with these flags of the barrier.
fn exchanges(rig: &Rig, flags: &str) -> bool {
    let pipeline = rig.kernel(&format!(
        "kernel void k(device uint *data, threadgroup uint *given, uint i [[thread_position_in_grid]],
                uint t [[thread_index_in_threadgroup]]) {{
            threadgroup uint tile[128];
            threadgroup uchar bytes[128];
            tile[t] = i;
            bytes[t] = uchar(i);
            given[t] = i + 1;
            threadgroup_barrier({flags});
            data[i] = tile[127 - t] + bytes[127 - t] + given[t ^ 64];
            threadgroup_barrier({flags});
            tile[127 - t] = 7;
            threadgroup_barrier({flags});
            data[i] += tile[t];
        }}"
    ));
    let data = rig.gpu.buffer(512 * 4).unwrap();
    rig.run(|encoder| {
        encoder.bind(&pipeline);
        encoder.bind_buffer(&data, 0, 0);
        encoder.threadgroup_memory(512, 0);
        encoder.launch((512, 1, 1), (128, 1, 1));
    })
    .unwrap();
    let right = |(value, i): (&u32, u32)| {
        let (group, t) = (i / 128 * 128, i % 128);
        let from = group + 127 - t;
        *value == from + from % 256 + (group + (t ^ 64) + 1) + 7
    };
    data.read_as::<u32, _>(|all| all.iter().zip(0..).all(right))
}

/// With a seed, memory that the flags of a barrier do not name is not what other SIMD-groups wrote.
#[test]
fn with_a_seed_barriers_order_only_what_their_flags_say() {
    let test = "with_a_seed_barriers_order_only_what_their_flags_say";
    let flags = [
        "mem_flags::mem_none",
        "mem_flags::mem_device",
        "mem_flags::mem_threadgroup",
        "mem_flags::mem_threadgroup | mem_flags::mem_device",
    ];
    let body = || {
        let rig = Rig::new();
        format!("{:?}", flags.map(|flags| exchanges(&rig, flags)))
    };
    for seed in ["order=1", "order=2"] {
        let Some(found) = seeded(test, seed, "always", body) else { return };
        assert_eq!(found, "[false, false, true, true]", "{seed}");
    }
    assert!(flags.map(|flags| exchanges(&Rig::new(), flags)).iter().all(|right| *right));
}
