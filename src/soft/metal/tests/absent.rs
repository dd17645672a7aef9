//! Messages that Metal's headers declare and the classes here have no methods for.

use super::*;
use std::sync::mpsc;
use std::time::Duration;

const NEEDLE: &str = "soft Metal does not have this";

fn responds(object: Id, selector: &str) -> bool {
    send!(object, "respondsToSelector:", sel(selector) => Sel; Bool).get()
}

#[test]
fn the_result_is_nil_and_the_error_says_what_is_missing() {
    pool(|| {
        let mut error = Id::NIL;
        let mut reflection = Id::NIL;
        let name = "newRenderPipelineStateWithDescriptor:options:reflection:error:";
        let state = send!(
            *device(), "newRenderPipelineStateWithDescriptor:options:reflection:error:",
            Id::NIL => Id, 0 => usize, &raw mut reflection => *mut Id, &raw mut error => *mut Id; Id
        );
        assert!(state.is_nil() && reflection.is_nil());
        let text = error_text(error);
        assert!(text.contains(NEEDLE) && text.contains(name), "{text}");
        assert!(!responds(*device(), name));
        // An error that nobody wants, numbers, and structs in registers.
        let none: *mut Id = std::ptr::null_mut();
        send!(*device(), "newLogStateWithDescriptor:error:", Id::NIL => Id, none => *mut Id; Id);
        assert_eq!(send!(*device(), "sizeOfCounterHeapEntry:", 0 => isize; usize), 0);
        let sizes = send!(*device(), "tensorSizeAndAlignWithDescriptor:", Id::NIL => Id; NSRange);
        assert_eq!(sizes, NSRange { location: 0, length: 0 });
    });
}

#[test]
fn a_completion_handler_is_called_with_the_error() {
    let (sender, receiver) = mpsc::channel();
    let send_text = move |_: *mut c_void, error: *mut c_void| {
        let error = Id::from_ptr(error);
        let sent = if error.is_nil() { "without an error".to_owned() } else { error_text(error) };
        _ = sender.send(sent);
    };
    send!(
        *device(), "newRenderPipelineStateWithDescriptor:completionHandler:", Id::NIL => Id,
        block(send_text) => Id; ()
    );
    let text = receiver.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(text.contains(NEEDLE), "{text}");
}
