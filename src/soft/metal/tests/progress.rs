//! The states of encoders in the error of a command buffer.

use super::*;

/// A command buffer, with an error that lists its encoders or one that does not.
fn described(options: usize) -> Own {
    let descriptor = new("MTLCommandBufferDescriptor");
    send!(*descriptor, "setErrorOptions:", options => usize; ());
    pool(|| {
        let commands = send!(*queue(), "commandBufferWithDescriptor:", *descriptor => Id; Id);
        assert_eq!(send!(commands, "errorOptions"; usize), options);
        Own::retain(commands)
    })
}

/// Encodes a kernel that adds to numbers, of a buffer that has 4.
fn count_up(commands: Id, label: &str, threads: usize) {
    let encoder = encoder(commands);
    if !label.is_empty() {
        send!(*encoder, "setLabel:", *string(label) => Id; ());
    }
    send!(*encoder, "insertDebugSignpost:", *string("begins") => Id; ());
    bind(*encoder, *pipeline(SAXPY, "count_up"));
    bind_buffer(*encoder, *buffer(16), 0, 0);
    launch(*encoder, threads, 1);
    end(*encoder);
}

/// Label, signposts and `MTLCommandEncoderErrorState` of each encoder.
fn encoders(commands: Id) -> Option<Vec<(String, Vec<String>, isize)>> {
    pool(|| {
        let error = send!(commands, "error"; Id);
        let info = send!(error, "userInfo"; Id);
        let key = string("MTLCommandBufferEncoderInfoErrorKey");
        let list = send!(info, "objectForKey:", *key => Id; Id);
        let items = |list: Id| {
            let item = move |nth: usize| send!(list, "objectAtIndex:", nth => usize; Id);
            (0..send!(list, "count"; usize)).map(item)
        };
        let encoder = |one: Id| {
            let signposts = items(send!(one, "debugSignposts"; Id)).map(text).collect();
            (text(send!(one, "label"; Id)), signposts, send!(one, "errorState"; isize))
        };
        (!list.is_nil()).then(|| items(list).map(encoder).collect())
    })
}

/// The expected entry of an encoder with one signpost.
fn listed(label: &str, state: isize) -> (String, Vec<String>, isize) {
    (label.to_owned(), vec!["begins".to_owned()], state)
}

#[test]
fn an_error_lists_the_encoders_if_that_is_wanted() {
    for (options, wanted) in [(1, true), (0, false)] {
        let commands = described(options);
        for (label, threads) in [("good", 4), ("bad", 5), ("", 4)] {
            count_up(*commands, label, threads);
        }
        assert!(finish(*commands).unwrap_err().contains("count_up"));
        // Completed, faulted, pending.
        let expected = [listed("good", 1), listed("bad", 4), listed("", 3)];
        assert_eq!(encoders(*commands), wanted.then_some(expected.to_vec()));
    }
}

/// A command buffer with a message that cannot be carried out does not begin.
#[test]
fn encoders_are_pending_where_nothing_ran() {
    let commands = described(1);
    count_up(*commands, "good", 4);
    signal(*commands, Id::NIL, 1);
    finish(*commands).unwrap_err();
    assert_eq!(encoders(*commands), Some(vec![listed("good", 3)]));
}

/// Encoders that ran before a wait for an event have completed.
#[test]
fn encoders_before_an_event_have_completed() {
    let commands = described(1);
    let event = shared_event();
    count_up(*commands, "before", 4);
    wait_for(*commands, *event, 1);
    count_up(*commands, "bad", 5);
    count_up(*commands, "after", 4);
    commit(*commands);
    send!(*event, "setSignaledValue:", 1 => u64; ());
    wait(*commands);
    let expected = vec![listed("before", 1), listed("bad", 4), listed("after", 3)];
    assert_eq!(encoders(*commands), Some(expected));
}
