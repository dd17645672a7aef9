// The outbox of a handler. The structures `Ring…` are declared before this text.

#define RING_NO_LANE 0xffffffffu

// A message as words.
template <typename T>
union RingWords {
    T message;
    packed_uint4 words[(sizeof(T) + 15u) / 16u];
};

// Stores a message, 16 bytes at a time if it has whole ones: the bounds of a store are checked once, whatever its size.
template <typename T>
static void ring_store(device uchar *slot, thread const T &message) {
    if (sizeof(T) % 16u != 0u) {
        *(device T *)slot = message;
        return;
    }
    RingWords<T> all;
    all.message = message;
    for (uint i = 0u; i < sizeof(T) / 16u; i++) {
        ((device uint4 *)slot)[i] = uint4(all.words[i]);
    }
}

template <typename O>
struct Outbox {
    // This thread among those of the actor, and their number.
    uint index;
    uint count;
    // The actor, and the sender of the message: 0 is the host.
    uint actor;
    uint source;
    // The number of the tick (its low 32 bits), the actor's clock, the correlation of a call.
    uint tick;
    ulong clock;
    uint2 correlation;

    RingSeat ring_seat;
    device RingLane *ring_lanes;
    device const uint *ring_edges;
    device uchar *ring_slots;
    device atomic_uint *ring_head;
    uint ring_side;
    uint ring_ordinal;
    uint ring_hops;
    uint ring_call;
    uint ring_sent;
    uint ring_sequence;
    uint ring_error;
    uint ring_code;
    bool ring_stop;

    uint edges() const { return ring_seat.out_count; }

    bool has(uint edge) const {
        return edge < ring_seat.out_count && ring_edges[ring_seat.outs + edge] != RING_NO_LANE;
    }

    void ring_fail(uint error, uint code) {
        if (ring_error == 0u) {
            ring_error = error;
            ring_code = code;
        }
    }

    void ring_put(uint lane, uint target, uint flags, thread const O &message) {
        if (ring_error != 0u) {
            return;
        }
        if (index != 0u) {
            ring_fail(RING_ERROR_THREAD, index);
            return;
        }
        device RingLane *at = ring_lanes + lane;
        uint burst = at->burst[0] == ring_ordinal ? at->burst[1] : 0u;
        if (burst >= ring_seat.emits) {
            ring_fail(RING_ERROR_EMITS, lane);
            return;
        }
        at->burst[0] = ring_ordinal;
        at->burst[1] = burst + 1u;
        uint tail = at->tail[ring_side];
        device uchar *slot = ring_slots + ulong(at->offset) * 16ul + ulong(tail & at->mask) * ulong(at->stride);
        clock += 1ul;
        ring_sent += 1u;
        // A `RingHeader`, whose spare words stay 0.
        device uint4 *header = (device uint4 *)slot;
        header[0] = uint4(ring_sequence + ring_sent, actor, correlation);
        header[1] = uint4(target, ring_seat.kind, uint(sizeof(O)), ring_seat.priority | flags | ring_call);
        header[2] = uint4(as_type<uint2>(clock), tick, ring_hops);
        ring_store(slot + 64, message);
        at->tail[ring_side] = tail + 1u;
    }

    void post(thread const O &message) { ring_put(ring_seat.reply, 0u, 0u, message); }

    void send(uint edge, thread const O &message) {
        if (!has(edge)) {
            ring_fail(RING_ERROR_EDGE, edge);
            return;
        }
        uint lane = ring_edges[ring_seat.outs + edge];
        ring_put(lane, ring_lanes[lane].to, 0u, message);
    }

    void reply(thread const O &message) {
        if (source == 0u) {
            post(message);
            return;
        }
        for (uint edge = 0u; edge < ring_seat.out_count; edge++) {
            if (has(edge) && ring_lanes[ring_edges[ring_seat.outs + edge]].to == source) {
                send(edge, message);
                return;
            }
        }
        ring_put(ring_seat.reply, source, RING_DEAD, message);
        atomic_store_explicit(&ring_head[RING_HEAD_DEAD], 1u, memory_order_relaxed);
    }

    void fail(uint code) { ring_fail(RING_ERROR_FAILED, code); }

    void stop() { ring_stop = true; }
};
