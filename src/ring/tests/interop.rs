//! The bytes of the other crate's structures, compared with a list of their sizes and offsets.

use crate::ring::interop::{
    ControlBlock, HaloMessage, InboxHeader, MAGIC, MessageHeader, RouteEntry, RoutingTableHeader,
    TelemetryBuffer, read_message, write_message,
};
use crate::ring::{ActorStat, Envelope, Hlc, Launch, Priority, RingError};

crate::message! {
    struct Token { value: u32, left: u32 }
}

/// The bytes with each byte of a field set to a number of its own, by offsets and sizes; all others are `rest`.
fn filled(size: usize, fields: &[(usize, usize)], rest: u8) -> Vec<u8> {
    let mut bytes = vec![rest; size];
    for (number, &(offset, length)) in fields.iter().enumerate() {
        for (at, byte) in bytes[offset..offset + length].iter_mut().enumerate() {
            // Small, so that counters fit, and never 0.
            *byte = if at == 0 { 0x10 + number as u8 * 8 } else { 0 };
        }
    }
    bytes
}

/// A structure is exactly these fields: bytes of fields survive reading and writing, and all others are written as 0.
macro_rules! exact {
    ($($name:ident, $size:literal: [$(($offset:literal, $length:literal) $field:ident = $value:expr,)+])+) => {$({
        let fields = [$(($offset, $length)),+];
        assert_eq!($name::SIZE, $size);
        let (read, written) = (filled($size, &fields, 0xff), filled($size, &fields, 0));
        let value = $name::parse(&read).unwrap();
        assert_eq!(value.to_bytes()[..], written[..], stringify!($name));
        // The same from the values of the fields: each is where the list says, and nowhere else.
        let mut number = 0u8;
        $(
            let one = $name { $field: $value, ..Default::default() };
            let mut expected = [0; $size];
            expected[$offset..$offset + $length].copy_from_slice(&{
                let bytes = one.$field;
                Bytes::bytes(bytes)
            });
            assert_eq!(one.to_bytes(), expected, concat!(stringify!($name), "::", stringify!($field)));
            assert_eq!($name::parse(&expected).unwrap(), one);
            number += 1;
        )+
        assert_eq!(usize::from(number), fields.len());
        // No two fields overlap, and all fit.
        let mut ends: Vec<(usize, usize)> = fields.iter().map(|&(at, length)| (at, at + length)).collect();
        ends.sort_unstable();
        assert!(ends.windows(2).all(|pair| pair[0].1 <= pair[1].0) && ends.last().unwrap().1 <= $size);
        assert!(matches!($name::parse(&read[1..]), Err(RingError::Format(_))));
        assert_eq!($name::parse(&[&read[..], &[7; 9]].concat()).unwrap(), value);
    })+};
}

/// The little-endian bytes of a field.
trait Bytes {
    fn bytes(self) -> Vec<u8>;
}

macro_rules! bytes {
    ($($number:ty),+) => {$(
        impl Bytes for $number {
            fn bytes(self) -> Vec<u8> {
                self.to_le_bytes().into()
            }
        }
    )+};
}

bytes!(u8, u32, u64);

impl Bytes for Hlc {
    fn bytes(self) -> Vec<u8> {
        [self.physical, self.logical.into(), self.node.into()].map(u64::to_le_bytes).concat()
    }
}

const WIDE: u64 = 0x0807_0605_0403_0201;
const WORD: u32 = 0x1413_1211;

#[test]
fn every_field_is_where_the_other_crate_has_it() {
    let time = Hlc::new(WIDE, WORD, 0x2221);
    exact! {
        MessageHeader, 256: [
            (0, 8) magic = WIDE, (8, 4) version = WORD, (12, 4) flags = WORD, (16, 8) message_id = WIDE,
            (24, 8) correlation_id = WIDE, (32, 8) source_kernel = WIDE, (40, 8) dest_kernel = WIDE,
            (48, 8) message_type = WIDE, (56, 1) priority = 3, (64, 8) payload_size = WIDE, (72, 4) checksum = WORD,
            (80, 24) timestamp = time, (104, 24) deadline = time,
        ]
        ControlBlock, 128: [
            (0, 4) is_active = WORD, (4, 4) should_terminate = WORD, (8, 4) has_terminated = WORD,
            (16, 8) messages_processed = WIDE, (24, 8) messages_in_flight = WIDE, (32, 8) input_head = WIDE,
            (40, 8) input_tail = WIDE, (48, 8) output_head = WIDE, (56, 8) output_tail = WIDE,
            (64, 4) input_capacity = WORD, (68, 4) output_capacity = WORD, (72, 4) input_mask = WORD,
            (76, 4) output_mask = WORD, (80, 8) hlc_physical = WIDE, (88, 8) hlc_logical = WIDE,
            (96, 4) last_error = WORD, (100, 4) error_count = WORD,
        ]
        TelemetryBuffer, 64: [
            (0, 8) messages_processed = WIDE, (8, 8) messages_dropped = WIDE, (16, 8) total_latency_us = WIDE,
            (24, 8) min_latency_us = WIDE, (32, 8) max_latency_us = WIDE, (40, 4) input_queue_depth = WORD,
            (44, 4) output_queue_depth = WORD, (48, 4) last_error = WORD,
        ]
        InboxHeader, 64: [
            (0, 4) message_count = WORD, (4, 4) max_messages = WORD, (8, 4) head = WORD, (12, 4) tail = WORD,
            (16, 4) last_source = WORD, (20, 4) lock = WORD, (24, 4) sequence = WORD,
        ]
        RouteEntry, 32: [
            (0, 4) dest_threadgroup = WORD, (4, 4) inbox_offset = WORD, (8, 4) is_active = WORD, (12, 4) hops = WORD,
            (16, 4) bandwidth_hint = WORD, (20, 4) priority = WORD,
        ]
        RoutingTableHeader, 32: [
            (0, 4) self_id = WORD, (4, 4) route_count = WORD, (8, 4) grid_x = WORD, (12, 4) grid_y = WORD,
            (16, 4) grid_z = WORD,
        ]
        HaloMessage, 32: [
            (0, 4) source = WORD, (4, 4) direction = WORD, (8, 4) width = WORD, (12, 4) height = WORD,
            (16, 4) depth = WORD, (20, 4) element_size = WORD, (24, 4) sequence = WORD, (28, 4) flags = WORD,
        ]
    }
    assert_eq!(RoutingTableHeader::SIZE + 26 * RouteEntry::SIZE, 864);
    assert_eq!(MAGIC.to_be_bytes(), *b"RINGKERN");
}

/// `MetalControlBlock` is the same without the last eight bytes, and its heads are the consumers'.
#[test]
fn the_control_block_of_the_metal_back_end_has_its_heads_and_tails_exchanged() {
    let block = ControlBlock {
        input_head: 1,
        input_tail: 2,
        output_head: 3,
        output_tail: 4,
        error_count: WORD,
        hlc_logical: WIDE,
        ..ControlBlock::default()
    };
    let (bytes, metal) = (block.to_bytes(), block.to_metal_bytes());
    for (at, (&byte, &other)) in bytes.iter().zip(&metal).enumerate() {
        let from = match at {
            32 => bytes[40],
            40 => bytes[32],
            48 => bytes[56],
            56 => bytes[48],
            _ => byte,
        };
        assert_eq!(other, from, "byte {at}");
    }
    assert_eq!((metal.len(), ControlBlock::parse_metal(&metal).unwrap()), (120, block));
}

/// Three lanes of 64 messages hold 192 together, which is no power of two.
#[test]
fn a_mask_tells_the_messages_of_all_lanes_apart() {
    let ring = super::ring();
    let from = super::spawn(&ring, "from", super::ECHO, Launch::new());
    let to = super::spawn(&ring, "to", super::ECHO, Launch::new().capacities(64, 64));
    for (lanes, capacity, mask) in [(0, 64, 63), (1, 128, 127), (2, 192, 255)] {
        let block = ControlBlock::of(&to.stat());
        assert_eq!((block.input_capacity, block.input_mask), (capacity, mask), "{lanes}");
        assert_eq!((block.output_capacity, block.output_mask), (64, 63));
        ring.connect(from.id(), to.id()).unwrap();
    }
    let large = ActorStat { input_capacity: 1 << 40, ..to.stat() };
    assert_eq!(ControlBlock::of(&large).input_mask, u32::MAX);
}

#[test]
fn messages_survive_both_ways_and_others_are_refused() {
    let token = Token { value: 5, left: 6 };
    for priority in [Priority::Low, Priority::Normal, Priority::High, Priority::Critical] {
        let envelope = Envelope { priority, ..Envelope::new(token, WIDE) };
        let bytes = write_message(&envelope, None);
        assert_eq!((bytes.len(), bytes[56]), (256 + 8, priority as u8));
        assert_eq!(bytes[256..], [5, 0, 0, 0, 6, 0, 0, 0]);
        assert_eq!(read_message::<Token>(&bytes).unwrap(), envelope);
    }
    let bytes = write_message(&Envelope::new(token, 1), None);
    // The magic number, the version, the type, and the payload's size.
    for at in [0, 7, 8, 48, 55, 64] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(matches!(read_message::<Token>(&damaged), Err(RingError::Format(_))), "byte {at}");
    }
    for end in [0, 255, 256, 263] {
        assert!(matches!(read_message::<Token>(&bytes[..end]), Err(RingError::Format(_))));
    }
}
