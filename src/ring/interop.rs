//! The layouts of `ringkernel-core` 0.4 and of its Metal back end, read and written: for programs that exchange bytes with it.
//!
//! Numbers are little-endian. Reserved bytes are written as zero and ignored when they are read.

use super::clock::Hlc;
use super::error::RingError;
use super::id::{ActorId, ActorState};
use super::message::{Message, bytes_of, value_of};
use super::options::Priority;
use super::post::{Envelope, MessageId};
use super::stat::ActorStat;

/// A field of a layout: a number, or several.
trait Part: Copy {
    fn put(self, out: &mut [u8]);
    fn get(from: &[u8]) -> Self;
}

macro_rules! parts {
    ($($number:ty),+) => {$(
        impl Part for $number {
            fn put(self, out: &mut [u8]) {
                out[..size_of::<Self>()].copy_from_slice(&self.to_le_bytes());
            }
            fn get(from: &[u8]) -> Self {
                Self::from_le_bytes(from[..size_of::<Self>()].try_into().expect("the slice has the size of the number"))
            }
        }
    )+};
}

parts!(u8, u32, u64);

/// Three numbers of 64 bits.
impl Part for Hlc {
    fn put(self, out: &mut [u8]) {
        self.physical.put(out);
        u64::from(self.logical).put(&mut out[8..]);
        u64::from(self.node).put(&mut out[16..]);
    }

    fn get(from: &[u8]) -> Self {
        let narrow = |at: usize| u32::try_from(u64::get(&from[at..])).unwrap_or(u32::MAX);
        Self { physical: u64::get(from), logical: narrow(8), node: narrow(16) }
    }
}

/// Declares structures with the size of their bytes, and the offset of each field.
macro_rules! wire {
    ($($(#[$attribute:meta])* $name:ident, $size:literal: {
        $($offset:literal $(#[$field_attribute:meta])* $field:ident: $type:ty,)+
    })+) => {$(
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name { $($(#[$field_attribute])* pub $field: $type),+ }

        impl $name {
            /// The size in bytes.
            ///
            /// ```
            #[doc = concat!("assert_eq!(aruminium::ring::interop::", stringify!($name), "::SIZE, ", $size, ");")]
            /// ```
            pub const SIZE: usize = $size;

            /// The bytes.
            ///
            /// ```
            #[doc = concat!("use aruminium::ring::interop::", stringify!($name), ";")]
            #[doc = concat!("assert_eq!(", stringify!($name), "::default().to_bytes().len(), ", $size, ");")]
            /// ```
            pub fn to_bytes(&self) -> [u8; $size] {
                let mut bytes = [0; $size];
                $(self.$field.put(&mut bytes[$offset..]);)+
                bytes
            }

            /// Reads what [`to_bytes`](Self::to_bytes) wrote, or the other crate.
            ///
            /// # Errors
            ///
            /// [`RingError::Format`] if there are fewer bytes.
            ///
            /// ```
            #[doc = concat!("use aruminium::ring::interop::", stringify!($name), ";")]
            #[doc = concat!("let value = ", stringify!($name), "::default();")]
            #[doc = concat!("assert_eq!(", stringify!($name), "::parse(&value.to_bytes())?, value);")]
            #[doc = concat!("assert!(", stringify!($name), "::parse(&[0; ", $size, " - 1]).is_err());")]
            /// # Ok::<(), aruminium::ring::RingError>(())
            /// ```
            pub fn parse(bytes: &[u8]) -> Result<Self, RingError> {
                if bytes.len() < $size {
                    return Err(RingError::Format(format!(
                        "`{}` has {} bytes, and {} are there", stringify!($name), $size, bytes.len()
                    )));
                }
                Ok(Self { $($field: Part::get(&bytes[$offset..])),+ })
            }
        }
    )+};
}

wire! {
    /// `MessageHeader` of core, without its payload.
    ///
    /// ```
    /// use aruminium::ring::interop::{MAGIC, MessageHeader};
    /// assert_eq!(MessageHeader { magic: MAGIC, ..Default::default() }.to_bytes()[..8], *b"NREKGNIR");
    /// ```
    MessageHeader, 256: {
        0 /// [`MAGIC`].
        magic: u64,
        8 /// 1.
        version: u32,
        12 /// Not interpreted.
        flags: u32,
        16 /// The message's id.
        message_id: u64,
        24 /// The correlation; 0 outside a call.
        correlation_id: u64,
        32 /// The sender; 0 is the host.
        source_kernel: u64,
        40 /// The receiver; 0 is the host.
        dest_kernel: u64,
        48 /// The number of the message's type.
        message_type: u64,
        56 /// From 0, low, to 3, critical.
        priority: u8,
        64 /// The size of the payload in bytes.
        payload_size: u64,
        72 /// Not computed by the other crate.
        checksum: u32,
        80 /// When it was sent.
        timestamp: Hlc,
        104 /// Until when it is wanted; zero is always.
        deadline: Hlc,
    }

    /// `ControlBlock` of core. Heads are the producers'.
    ///
    /// ```
    /// # use aruminium::ring::interop::ControlBlock;
    /// let block = ControlBlock { input_head: 5, input_tail: 2, ..ControlBlock::default() };
    /// assert_eq!(block.input_head - block.input_tail, 3);
    /// ```
    ControlBlock, 128: {
        0 /// 1 if it handles messages.
        is_active: u32,
        4 /// 1 if it is to end.
        should_terminate: u32,
        8 /// 1 if it has ended.
        has_terminated: u32,
        16 /// Messages that were handled.
        messages_processed: u64,
        24 /// Messages that are being handled.
        messages_in_flight: u64,
        32 /// Messages that were put into the input queue.
        input_head: u64,
        40 /// Messages that were taken from it.
        input_tail: u64,
        48 /// Messages that were put into the output queue.
        output_head: u64,
        56 /// Messages that were taken from it.
        output_tail: u64,
        64 /// How many messages the input queue holds.
        input_capacity: u32,
        68 /// How many messages the output queue holds.
        output_capacity: u32,
        72 /// The capacity less one.
        input_mask: u32,
        76 /// The capacity less one.
        output_mask: u32,
        80 /// Physical time of its clock.
        hlc_physical: u64,
        88 /// Counter of its clock.
        hlc_logical: u64,
        96 /// 0 none, 1 input overflow, 2 output overflow, 3 invalid message, 4 allocation, 5 serialization, 6 timeout, 7 internal.
        last_error: u32,
        100 /// How many errors there were.
        error_count: u32,
    }

    /// `TelemetryBuffer` of core.
    ///
    /// ```
    /// # use aruminium::ring::interop::TelemetryBuffer;
    /// assert_eq!(TelemetryBuffer { messages_dropped: 0, ..Default::default() }.to_bytes()[8..16], [0; 8]);
    /// ```
    TelemetryBuffer, 64: {
        0 /// Messages that were handled.
        messages_processed: u64,
        8 /// Messages that were lost.
        messages_dropped: u64,
        16 /// The sum of all latencies, in microseconds.
        total_latency_us: u64,
        24 /// The shortest one; the largest number before the first.
        min_latency_us: u64,
        32 /// The longest one.
        max_latency_us: u64,
        40 /// Messages that wait for it.
        input_queue_depth: u32,
        44 /// Messages from it that wait.
        output_queue_depth: u32,
        48 /// As in [`ControlBlock`].
        last_error: u32,
    }

    /// `MetalK2KInboxHeader`.
    ///
    /// ```
    /// # use aruminium::ring::interop::InboxHeader;
    /// assert_eq!(InboxHeader { max_messages: 16, ..Default::default() }.to_bytes()[4], 16);
    /// ```
    InboxHeader, 64: {
        0 /// Messages in the inbox.
        message_count: u32,
        4 /// How many it holds.
        max_messages: u32,
        8 /// The next message to take.
        head: u32,
        12 /// The next one to put.
        tail: u32,
        16 /// The sender of the last one.
        last_source: u32,
        20 /// 1 while it is locked; lanes have no locks.
        lock: u32,
        24 /// Counts messages.
        sequence: u32,
    }

    /// `MetalK2KRouteEntry`.
    ///
    /// ```
    /// # use aruminium::ring::interop::RouteEntry;
    /// assert_eq!(RouteEntry { dest_threadgroup: 3, is_active: 1, hops: 1, ..Default::default() }.to_bytes()[0], 3);
    /// ```
    RouteEntry, 32: {
        0 /// The neighbour.
        dest_threadgroup: u32,
        4 /// Where its inbox is.
        inbox_offset: u32,
        8 /// 1 if the route leads anywhere.
        is_active: u32,
        12 /// 1.
        hops: u32,
        16 /// 16.
        bandwidth_hint: u32,
        20 /// 0.
        priority: u32,
    }

    /// The start of a `MetalK2KRoutingTable`, before its 26 [`RouteEntry`]s.
    ///
    /// ```
    /// # use aruminium::ring::interop::{RouteEntry, RoutingTableHeader};
    /// assert_eq!(RoutingTableHeader::SIZE + 26 * RouteEntry::SIZE, 864);
    /// ```
    RoutingTableHeader, 32: {
        0 /// The actor whose table it is.
        self_id: u32,
        4 /// How many entries are used.
        route_count: u32,
        8 /// The grid's size along x.
        grid_x: u32,
        12 /// The grid's size along y.
        grid_y: u32,
        16 /// The grid's size along z.
        grid_z: u32,
    }

    /// `MetalHaloMessage`.
    ///
    /// ```
    /// # use aruminium::ring::interop::HaloMessage;
    /// let message = HaloMessage { width: 64, height: 1, depth: 1, element_size: 4, ..Default::default() };
    /// assert_eq!(message.width * message.height * message.depth * message.element_size, 256);
    /// ```
    HaloMessage, 32: {
        0 /// The tile that sent it.
        source: u32,
        4 /// 0 north, 1 south, 2 west, 3 east, 4 up, 5 down.
        direction: u32,
        8 /// Cells along x.
        width: u32,
        12 /// Cells along y.
        height: u32,
        16 /// Cells along z.
        depth: u32,
        20 /// Bytes of a cell.
        element_size: u32,
        24 /// Counts exchanges.
        sequence: u32,
        28 /// Not interpreted.
        flags: u32,
    }
}

/// The magic number of a [`MessageHeader`].
///
/// ```
/// assert_eq!(aruminium::ring::interop::MAGIC.to_be_bytes(), *b"RINGKERN");
/// ```
pub const MAGIC: u64 = u64::from_be_bytes(*b"RINGKERN");

/// The header and payload of a message, as the other crate lays them out.
///
/// ```
/// use aruminium::ring::{Envelope, interop};
/// let bytes = interop::write_message(&Envelope::new(7u32, 3), None);
/// assert_eq!(bytes.len(), 256 + 4);
/// let envelope = interop::read_message::<u32>(&bytes)?;
/// assert_eq!((envelope.message, envelope.correlation), (7, 3));
/// # Ok::<(), aruminium::ring::RingError>(())
/// ```
pub fn write_message<M: Message>(envelope: &Envelope<M>, target: Option<ActorId>) -> Vec<u8> {
    let actor = |id: Option<ActorId>| id.map_or(0, |id| u64::from(id.0));
    let header = MessageHeader {
        magic: MAGIC,
        version: 1,
        message_id: envelope.id.map_or(0, |id| id.number),
        correlation_id: envelope.correlation,
        source_kernel: actor(envelope.source),
        dest_kernel: actor(target),
        message_type: M::TYPE.into(),
        priority: envelope.priority as u8,
        payload_size: size_of::<M>() as u64,
        timestamp: envelope.clock,
        ..MessageHeader::default()
    };
    [&header.to_bytes()[..], bytes_of(&envelope.message)].concat()
}

/// Reads what [`write_message`] wrote, or the other crate.
///
/// The bytes do not say how often the ring was restored: the id is that of a message of a ring that was never restored. In a restored
/// ring [`Actor::receipt`](super::Actor::receipt) finds no message with it.
///
/// # Errors
///
/// [`RingError::Format`] if the bytes are no message, or one of another type.
///
/// ```
/// use aruminium::ring::{Envelope, interop};
/// let bytes = interop::write_message(&Envelope::new(7u32, 0), None);
/// assert!(interop::read_message::<f32>(&bytes).unwrap_err().to_string().contains("type"));
/// ```
pub fn read_message<M: Message>(bytes: &[u8]) -> Result<Envelope<M>, RingError> {
    let header = MessageHeader::parse(bytes)?;
    let payload = &bytes[MessageHeader::SIZE..];
    let wrong = |why: String| Err(RingError::Format(format!("the message: {why}")));
    if (header.magic, header.version) != (MAGIC, 1) {
        return wrong("it does not begin with the magic number and version 1".into());
    }
    if header.message_type != u64::from(M::TYPE) {
        return wrong(format!("its type is {}, and {} is expected", header.message_type, M::TYPE));
    }
    if header.payload_size != size_of::<M>() as u64 || payload.len() < size_of::<M>() {
        return wrong(format!("{} bytes of payload are expected", size_of::<M>()));
    }
    let actor = |kernel: u64| u32::try_from(kernel).unwrap_or(u32::MAX);
    let (source, target) = (actor(header.source_kernel), actor(header.dest_kernel));
    Ok(Envelope {
        id: (header.message_id != 0).then_some(MessageId {
            number: header.message_id,
            target,
            restores: 0,
        }),
        correlation: header.correlation_id,
        source: (source != 0).then_some(ActorId(source)),
        clock: header.timestamp,
        tick: 0,
        hops: 0,
        priority: match header.priority {
            0 => Priority::Low,
            1 => Priority::Normal,
            2 => Priority::High,
            _ => Priority::Critical,
        },
        message: value_of(payload),
    })
}

impl ControlBlock {
    /// An actor's statistics, as a control block.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.reply(m); }";
    /// # let actor = ring.spawn::<u32, u32, u32>("echo", code, 0, Default::default())?;
    /// use aruminium::ring::interop::ControlBlock;
    /// actor.send(1)?;
    /// let block = ControlBlock::of(&actor.stat());
    /// assert_eq!((block.is_active, block.input_head - block.input_tail), (1, 1));
    /// assert_eq!((block.input_capacity, block.output_mask), (1024, 1023));
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn of(stat: &ActorStat) -> Self {
        let ended = stat.state == ActorState::Terminated;
        let capacity = |messages: u64| u32::try_from(messages).unwrap_or(u32::MAX);
        // Lanes together may hold another number than a power of two, and a mask must tell their messages apart.
        let mask =
            |capacity: u32| capacity.checked_next_power_of_two().map_or(u32::MAX, |all| all - 1);
        let (input, output) = (capacity(stat.input_capacity), capacity(stat.output_capacity));
        Self {
            is_active: (stat.state == ActorState::Active).into(),
            should_terminate: ended.into(),
            has_terminated: ended.into(),
            messages_processed: stat.processed,
            input_head: stat.processed + stat.input_depth,
            input_tail: stat.processed,
            output_head: stat.sent,
            output_tail: stat.sent - stat.output_depth.min(stat.sent),
            input_capacity: input,
            output_capacity: output,
            input_mask: mask(input),
            output_mask: mask(output),
            hlc_physical: stat.clock.physical,
            hlc_logical: stat.clock.logical.into(),
            last_error: if stat.faults > 0 { 7 } else { 0 },
            error_count: stat.faults,
            ..Self::default()
        }
    }

    /// The bytes of `MetalControlBlock`: the same fields in 120 bytes (it was documented as 128), and its heads are the
    /// consumers'.
    ///
    /// ```
    /// # use aruminium::ring::interop::ControlBlock;
    /// let block = ControlBlock { input_head: 5, input_tail: 2, ..ControlBlock::default() };
    /// let bytes = block.to_metal_bytes();
    /// assert_eq!((bytes[32], bytes[40]), (2, 5));
    /// assert_eq!(ControlBlock::parse_metal(&bytes)?, block);
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn to_metal_bytes(&self) -> [u8; 120] {
        let (bytes, mut metal) = (self.exchanged().to_bytes(), [0; 120]);
        metal.copy_from_slice(&bytes[..120]);
        metal
    }

    /// Reads a `MetalControlBlock`.
    ///
    /// # Errors
    ///
    /// [`RingError::Format`] if there are fewer than 120 bytes.
    ///
    /// ```
    /// assert!(aruminium::ring::interop::ControlBlock::parse_metal(&[0; 119]).is_err());
    /// ```
    pub fn parse_metal(bytes: &[u8]) -> Result<Self, RingError> {
        let Some(bytes) = bytes.get(..120) else {
            let found = bytes.len();
            return Err(RingError::Format(format!(
                "`MetalControlBlock` has 120 bytes, and {found} are there"
            )));
        };
        let mut whole = [0; Self::SIZE];
        whole[..120].copy_from_slice(bytes);
        Ok(Self::parse(&whole)?.exchanged())
    }

    /// With heads and tails exchanged.
    fn exchanged(self) -> Self {
        Self {
            input_head: self.input_tail,
            input_tail: self.input_head,
            output_head: self.output_tail,
            output_tail: self.output_head,
            ..self
        }
    }
}

impl TelemetryBuffer {
    /// An actor's statistics, with the length of a tick in microseconds.
    ///
    /// ```
    /// # let ring = aruminium::ring::Ring::open(&aruminium::Gpu::open()?)?;
    /// # let code = "void handle(thread const uint &m, thread uint &s, thread Outbox<uint> &out) { out.reply(m); }";
    /// # let actor = ring.spawn::<u32, u32, u32>("echo", code, 0, Default::default())?;
    /// use aruminium::ring::interop::TelemetryBuffer;
    /// assert_eq!(TelemetryBuffer::of(&actor.stat(), 10.0).min_latency_us, u64::MAX);
    /// # Ok::<(), aruminium::ring::RingError>(())
    /// ```
    pub fn of(stat: &ActorStat, tick_us: f64) -> Self {
        let time = |ticks: f64| (ticks * tick_us) as u64;
        Self {
            messages_processed: stat.processed,
            messages_dropped: stat.dropped,
            total_latency_us: time(stat.latency_mean * stat.processed as f64),
            min_latency_us: stat.latency_min.map_or(u64::MAX, |min| time(min.into())),
            max_latency_us: time(stat.latency_max.into()),
            input_queue_depth: stat.input_depth as u32,
            output_queue_depth: stat.output_depth as u32,
            last_error: if stat.faults > 0 { 7 } else { 0 },
        }
    }
}
