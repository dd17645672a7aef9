//! Copies and fills.

use super::*;

fn copy(blit: Id, from: Id, from_offset: usize, to: Id, to_offset: usize, length: usize) {
    send!(
        blit, "copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:", from => Id,
        from_offset => usize, to => Id, to_offset => usize, length => usize; ()
    );
}

#[test]
fn private_memory_is_reached_by_copies() {
    let numbers: Vec<u32> = (0..1000).collect();
    let (from, to) = (buffer_of(&numbers), buffer(4000));
    let private = Own::new(send!(
        *device(), "newBufferWithLength:options:", 4000 => usize, 0x20 => usize; Id
    ));
    let commands = commands(*queue());
    let first = blit(*commands);
    copy(*first, *from, 0, *private, 0, 4000);
    end(*first);
    let second = blit(*commands);
    copy(*second, *private, 400, *to, 0, 3600);
    send!(
        *second, "fillBuffer:range:value:", *to => Id,
        NSRange { location: 3600, length: 400 } => NSRange, 0x11 => u8; ()
    );
    end(*second);
    assert_eq!(finish(*commands), Ok(()));
    let result = contents::<u32>(*to);
    assert_eq!(result[..900], numbers[100..]);
    assert!(result[900..].iter().all(|number| *number == 0x1111_1111));
}

#[test]
fn a_copy_within_a_buffer_may_overlap() {
    let buffer = buffer_of(&[1u8, 2, 3, 4, 5, 6, 7, 8]);
    let commands = commands(*queue());
    let blit = blit(*commands);
    copy(*blit, *buffer, 0, *buffer, 2, 6);
    end(*blit);
    assert_eq!(finish(*commands), Ok(()));
    assert_eq!(contents::<u8>(*buffer), [1, 2, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn copies_out_of_range_are_errors() {
    let (from, to) = (buffer_of(&[7u8; 100]), buffer(100));
    let refused = |what: &str, record: &dyn Fn(Id)| {
        let commands = commands(*queue());
        let blit = blit(*commands);
        copy(*blit, *from, 0, *to, 0, 100);
        record(*blit);
        end(*blit);
        let error = finish(*commands).unwrap_err();
        assert!(error.contains(what), "{error}");
    };
    refused("source: 10 bytes at offset 91 of a buffer of 100 bytes", &|blit| {
        copy(blit, *from, 91, *to, 0, 10)
    });
    refused("destination: 1 bytes at offset 100", &|blit| copy(blit, *from, 0, *to, 100, 1));
    refused("source: 2 bytes", &|blit| copy(blit, *from, usize::MAX, *to, 0, 2));
    refused("nil was passed for the source buffer", &|blit| copy(blit, Id::NIL, 0, *to, 0, 1));
    refused("fillBuffer:range:value:]: range: 101 bytes", &|blit| {
        let range = NSRange { location: 0, length: 101 };
        send!(blit, "fillBuffer:range:value:", *to => Id, range => NSRange, 1 => u8; ());
    });
    assert!(contents::<u8>(*to).iter().all(|byte| *byte == 0), "nothing of it was carried out");
}
