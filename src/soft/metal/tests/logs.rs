//! Messages of `os_log`, and log states.

use super::*;
use std::sync::Mutex;

const LOGS: &str = "
#include <metal_stdlib>
using namespace metal;
constant os_log mine(\"org.example\", \"tests\");
kernel void logs(uint i [[thread_position_in_grid]]) {
    mine.log_debug(\"debug %u\", i);
    if (i == 1) mine.log_fault(\"fault %u\", i);
}";

/// The arguments that handlers were called with: subsystem, category, level, text.
static CALLS: Mutex<Vec<(String, String, isize, String)>> = Mutex::new(Vec::new());

unsafe extern "C" fn note(_: *const Block, subsystem: Id, category: Id, level: isize, message: Id) {
    CALLS.lock().unwrap().push((text(subsystem), text(category), level, text(message)));
}

/// A block that notes its calls.
fn noting() -> Id {
    let plain = block(|_, _| ());
    type Plain = unsafe extern "C" fn(*const Block, *mut c_void, *mut c_void);
    type Note = unsafe extern "C" fn(*const Block, Id, Id, isize, Id);
    // SAFETY: the block was made just now, and is called with what a log handler takes.
    unsafe {
        (*plain.as_ptr().cast::<Block>()).invoke = std::mem::transmute::<Note, Plain>(note);
    }
    plain
}

fn log_state(level: isize, bytes: isize) -> Result<Own, String> {
    pool(|| {
        let descriptor = new("MTLLogStateDescriptor");
        send!(*descriptor, "setLevel:", level => isize; ());
        send!(*descriptor, "setBufferSize:", bytes => isize; ());
        let mut error = Id::NIL;
        let state = send!(
            *device(), "newLogStateWithDescriptor:error:", *descriptor => Id,
            &raw mut error => *mut Id; Id
        );
        if state.is_nil() { Err(error_text(error)) } else { Ok(Own::new(state)) }
    })
}

/// Runs the kernel on three threads.
fn run(commands: Id) {
    let encoder = encoder(commands);
    bind(*encoder, *pipeline(LOGS, "logs"));
    launch(*encoder, 3, 3);
    end(*encoder);
    assert_eq!(finish(commands), Ok(()));
}

/// The texts of `logs`.
fn texts(commands: Id) -> Vec<String> {
    pool(|| {
        let logs = send!(commands, "logs"; Id);
        let log = |index| send!(logs, "objectAtIndex:", index => usize; Id);
        let all = 0..send!(logs, "count"; usize);
        all.map(|index| text(send!(log(index), "description"; Id))).collect()
    })
}

/// The one test that has handlers.
#[test]
fn handlers_of_a_log_state_get_the_messages_of_its_level() {
    let state = log_state(5, 0).unwrap();
    send!(*state, "addLogHandler:", noting() => Id; ());
    let (queue, own) = (new("MTLCommandQueueDescriptor"), new("MTLCommandBufferDescriptor"));
    send!(*queue, "setLogState:", *state => Id; ());
    let queue = Own::new(send!(*device(), "newCommandQueueWithDescriptor:", *queue => Id; Id));
    let buffer = commands(*queue);
    run(*buffer);
    assert_eq!(texts(*buffer), ["kernel 'logs', fault: [org.example:tests] fault 1"]);
    let fault = ("org.example".to_owned(), "tests".to_owned(), 5, "fault 1".to_owned());
    assert_eq!(*CALLS.lock().unwrap(), [fault]);
    // A command buffer's own state goes before the queue's.
    CALLS.lock().unwrap().clear();
    let all = log_state(0, 4096).unwrap();
    send!(*own, "setLogState:", *all => Id; ());
    send!(*all, "addLogHandler:", noting() => Id; ());
    let buffer =
        pool(|| Own::retain(send!(*queue, "commandBufferWithDescriptor:", *own => Id; Id)));
    run(*buffer);
    let calls = std::mem::take(&mut *CALLS.lock().unwrap());
    let calls: Vec<_> = calls.iter().map(|call| (call.2, call.3.as_str())).collect();
    assert_eq!(calls, [(1, "debug 0"), (1, "debug 1"), (5, "fault 1"), (1, "debug 2")]);
    // Metal 4's command buffers have one for each time that they are begun: two of three commits have it.
    for _ in 0..2 {
        commit_three(*state);
        let calls = std::mem::take(&mut *CALLS.lock().unwrap());
        let calls: Vec<_> = calls.iter().map(|call| (call.2, call.3.as_str())).collect();
        assert_eq!(calls, [(5, "fault 1"), (5, "fault 1")]);
    }
}

/// Runs the kernel in three command buffers of Metal 4, the first and the last with a log state.
fn commit_three(log_state: Id) {
    let (device, pipeline) = (device(), pipeline(LOGS, "logs"));
    let queue = Own::new(send!(*device, "newMTL4CommandQueue"; Id));
    let options = new("MTL4CommandBufferOptions");
    send!(*options, "setLogState:", log_state => Id; ());
    let made = [true, false, true].map(|logs| {
        let allocator = Own::new(send!(*device, "newCommandAllocator"; Id));
        let commands = Own::new(send!(*device, "newCommandBuffer"; Id));
        match logs {
            true => send!(
                *commands, "beginCommandBufferWithAllocator:options:", *allocator => Id,
                *options => Id; ()
            ),
            false => send!(*commands, "beginCommandBufferWithAllocator:", *allocator => Id; ()),
        }
        let encoder = pool(|| Own::retain(send!(*commands, "computeCommandEncoder"; Id)));
        bind(*encoder, *pipeline);
        launch(*encoder, 3, 3);
        end(*encoder);
        send!(*commands, "endCommandBuffer"; ());
        (commands, allocator)
    });
    let all = made.each_ref().map(|(commands, _)| **commands);
    let (sender, receiver) = std::sync::mpsc::channel();
    let feedback = move |feedback: *mut c_void, _: *mut c_void| {
        let error = send!(Id::from_ptr(feedback), "error"; Id);
        _ = sender.send(if error.is_nil() { String::new() } else { error_text(error) });
    };
    let commit = new("MTL4CommitOptions");
    send!(*commit, "addFeedbackHandler:", block(feedback) => Id; ());
    send!(
        *queue, "commit:count:options:", all.as_ptr() => *const Id, 3 => usize, *commit => Id; ()
    );
    assert_eq!(receiver.recv_timeout(std::time::Duration::from_secs(60)), Ok(String::new()));
}

#[test]
fn a_log_state_is_refused_without_a_possible_size() {
    for bytes in [-1, 1023, (1 << 30) + 1] {
        let error = log_state(0, bytes).err().unwrap();
        assert!(error.contains(&bytes.to_string()) && error.contains("1 KiB to 1 GiB"), "{error}");
    }
    let mut error = Id::NIL;
    let selector = "newLogStateWithDescriptor:error:";
    pool(|| {
        let state = send!(*device(), selector, Id::NIL => Id, &raw mut error => *mut Id; Id);
        assert!(state.is_nil() && error_text(error).contains("nil"), "{}", error_text(error));
    });
}

/// The hidden buffer takes no index of the program's, and reflection does not show it.
#[test]
fn a_kernel_that_logs_has_the_arguments_of_its_source() {
    pool(|| {
        let function = function(*library(LOGS), "logs");
        let (mut reflection, mut error) = (Id::NIL, Id::NIL);
        let state = send!(
            *device(), "newComputePipelineStateWithFunction:options:reflection:error:",
            *function => Id, 1 => usize, &raw mut reflection => *mut Id, &raw mut error => *mut Id; Id
        );
        drop(Own::new(state));
        assert_eq!(send!(send!(reflection, "arguments"; Id), "count"; usize), 0);
    });
}
