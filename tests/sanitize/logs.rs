//! Messages that kernels log.

use super::gpu::Rig;
use super::{Checks, checked};
use aruminium::{Commands, DispatchType, LogLevel, LogMessage, Pipeline, autorelease_pool};

/// The messages that a kernel logs in a number of launches on this many threads, in threadgroups of 64.
fn logs(rig: &Rig, pipeline: &Pipeline, threads: usize, launches: usize) -> Vec<LogMessage> {
    logs_of(rig, pipeline, threads, launches, |_| ())
}

fn logs_of(
    rig: &Rig,
    pipeline: &Pipeline,
    threads: usize,
    launches: usize,
    before: impl FnOnce(&Commands),
) -> Vec<LogMessage> {
    let data = rig.gpu.buffer(4096).unwrap();
    data.write(|bytes| bytes.fill(0));
    autorelease_pool(|| {
        let commands = rig.queue.commands().unwrap();
        before(&commands);
        let encoder = commands.encoder_with(DispatchType::Concurrent).unwrap();
        for _ in 0..launches {
            encoder.bind(pipeline);
            encoder.bind_buffer(&data, 0, 0);
            encoder.launch((threads, 1, 1), (threads.min(64), 1, 1));
        }
        encoder.finish();
        commands.submit();
        commands.finish().unwrap();
        assert!(commands.reports().unwrap().is_empty());
        commands.logs().unwrap()
    })
}

fn texts(logs: &[LogMessage]) -> Vec<&str> {
    logs.iter().map(|message| message.text.as_str()).collect()
}

/// Each argument as the language passes it, whatever runs the kernel.
#[test]
fn arguments_of_all_types_are_logged() {
    let source = "kernel void all(device int *data, uint i [[thread_position_in_grid]]) {
        os_log_default.log(\"%d %u %x %c %hd %ld %lu|\", -5, 7u, 255, 'A', short(-3), -1L << 40, 1UL << 63);
        os_log_default.log(\"%f %.2f %g %e\", 1.5f, half(0.25), bfloat(2), -1e10f);
        os_log_default.log(\"%v4f %v2hlf %v3d %v4hhu\", float4(1, 2, 3, 4), half2(0.5, -1), int3(-1, 0, 1), uchar4(1, 2, 3, 255));
        os_log_default.log(\"%d%% %s\", data[i] + (i == 0), 1);
        os_log local(\"a\", \"b\");
        local.log_info(\"no arguments\");
        local.log_with_type(os_log_type::log_type_error, \"%d %d\", true, 1 ? 2 : 3);
    }";
    let expected = [
        "-5 7 ff A -3 -1099511627776 9223372036854775808|",
        "1.500000 0.25 2 -1.000000e+10",
        "1.000000,2.000000,3.000000,4.000000 0.500000,-1.000000 -1,0,1 1,2,3,255",
        "1% %s",
        "no arguments",
        "1 2",
    ];
    let rig = Rig::new();
    let checks =
        [Checks::default(), Checks::RACES | Checks::INIT | Checks::UNDEFINED, Checks::PROFILE];
    for checks in checks {
        let pipeline = checked(&rig.gpu, source, checks);
        let logs = logs(&rig, &pipeline, 1, 1);
        assert_eq!(texts(&logs), expected);
        let levels = [3, 3, 3, 3, 2, 4]
            .map(|n| [LogLevel::Debug, LogLevel::Info, LogLevel::Notice, LogLevel::Error][n - 1]);
        assert!(logs.iter().map(|one| one.level).eq(levels), "{logs:?}");
        assert!(
            logs[4].subsystem == "a" && logs[4].category == "b" && logs[0].subsystem.is_empty()
        );
    }
}

const EACH: &str = "kernel void each(device int *data, uint i [[thread_position_in_grid]]) {
    for (uint k = 0; k <= i % 2; ++k) os_log_default.log(\"%u.%u\", i, k);
}";

/// Messages are in the order of threads, also if these run in another one, on several workers or in random orders.
#[test]
fn messages_are_in_the_order_of_threads() {
    let rig = Rig::new();
    let pipeline = rig.kernel(EACH);
    let of_launch: Vec<String> =
        (0..2048).flat_map(|i| (0..=i % 2).map(move |k| format!("{i}.{k}"))).collect();
    let expected = [&of_launch[..], &of_launch].concat();
    assert_eq!(texts(&logs(&rig, &pipeline, 2048, 2)), expected);
    let shuffled = logs_of(&rig, &pipeline, 2048, 2, |commands| commands.set_order(7).unwrap());
    assert_eq!(texts(&shuffled), expected);
    assert!(shuffled.iter().all(|one| one.text.starts_with(&format!("{}.", one.thread[0]))));
}

/// The log is limited; how much did not fit is said.
#[test]
fn what_has_no_room_is_counted() {
    let rig = Rig::new();
    let logs = logs(&rig, &rig.kernel(EACH), 32768, 1);
    let [kept @ .., last] = &logs[..] else { panic!() };
    assert_eq!((last.level, last.subsystem.as_str()), (LogLevel::Error, "aruminium"));
    let all = 3 * 32768 / 2;
    assert!(last.text.starts_with(&format!("{} more messages", all - kept.len())), "{last}");
    assert!(kept.len() > 10000, "{}", kept.len());
    assert!(kept.is_sorted_by_key(|one| one.thread[0]));
}

/// The messages that a kernel logged before a fault are there.
#[test]
fn messages_before_a_fault_are_kept() {
    let rig = Rig::new();
    let pipeline = rig.kernel(
        "kernel void bad(device int *data, uint i [[thread_position_in_grid]]) {
            os_log_default.log(\"before\");
            data[1 << 20] = 1;
        }",
    );
    let data = rig.gpu.buffer(4096).unwrap();
    autorelease_pool(|| {
        let commands = rig.queue.commands().unwrap();
        let encoder = commands.encoder().unwrap();
        encoder.bind(&pipeline);
        encoder.bind_buffer(&data, 0, 0);
        encoder.launch((1, 1, 1), (1, 1, 1));
        encoder.finish();
        commands.submit();
        assert!(commands.finish().is_err());
        assert_eq!(texts(&commands.logs().unwrap()), ["before"]);
    });
}

#[test]
fn an_uninitialised_value_leaves_the_kernel_in_a_message() {
    let rig = Rig::new();
    let source = "kernel void leaves(device int *data) { int x; os_log_default.log(\"%d\", x); }";
    let reports = super::run(&rig, source, Checks::INIT);
    assert!(
        reports.iter().any(|one| one.kind == aruminium::ReportKind::UninitialisedStore),
        "{reports:?}"
    );
}
