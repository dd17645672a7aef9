// The outbox of a handler. The structures `Ring…` are declared before this text.

#define RING_NO_LANE 0xffffffffu

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
        device RingHeader *header = (device RingHeader *)slot;
        header->sequence = ring_sequence + ring_sent;
        header->source = actor;
        header->correlation[0] = correlation.x;
        header->correlation[1] = correlation.y;
        header->target = target;
        header->kind = ring_seat.kind;
        header->length = uint(sizeof(O));
        header->flags = ring_seat.priority | flags | ring_call;
        header->clock = clock;
        header->tick = tick;
        header->hops = ring_hops;
        *(device O *)(slot + 64) = message;
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
