// The kernel of a tick; `specs/ring.md` describes it. The handler is declared before this text.

#if RING_IN_PLACE
// The states of an actor, one a side. Each is in a buffer of its own, which bounds what the handler may access.
struct RingStates {
    device RING_S *side[2];
};
#define RING_STATES device const RingStates
#else
#define RING_STATES device RING_S
#endif

// How much mail an actor has in its lanes, by the side that the tick reads.
static uint ring_mail(RingSeat seat, device const RingLane *lanes, device const uint *edges, uint old) {
    uint mail = 0u;
    for (uint i = 0u; i < seat.in_count; i++) {
        device const RingLane *lane = lanes + edges[seat.ins + i];
        mail += lane->tail[old] - lane->head[old];
    }
    return mail;
}

kernel void RING_TICK(
    device atomic_uint *head [[buffer(0)]],
    device const RingSeat *seats [[buffer(1)]],
    device RingRecord *records [[buffer(2)]],
    device RingLane *lanes [[buffer(3)]],
    device const uint *edges [[buffer(4)]],
    device uchar *slots [[buffer(5)]],
    RING_STATES *states [[buffer(6)]],
    constant RingStep &step [[buffer(7)]],
#if RING_IN_PLACE
    uint group [[threadgroup_position_in_grid]],
    uint thread_of_group [[thread_position_in_threadgroup]],
#else
    uint position [[thread_position_in_grid]],
#endif
    uint lane_of_simdgroup [[thread_index_in_simdgroup]])
{
#if RING_IN_PLACE
    // No group has threads of two actors, so that the state is at one address for all of its threads.
    uint place = group / RING_GROUPS;
    uint index = group % RING_GROUPS * (RING_THREADS / RING_GROUPS) + thread_of_group;
#else
    uint place = position;
    uint index = 0u;
#endif
    if (place >= step.members) {
        return;
    }
    uint stop = atomic_load_explicit(&head[RING_HEAD_STOP], memory_order_relaxed);
    if (stop != 0u && stop <= step.index) {
        return;
    }
    if (lane_of_simdgroup == 0u) {
        // Before anything that may fail: the host finds the tick of a fault by it.
        atomic_store_explicit(&head[RING_HEAD_BEGAN], step.index + 1u, memory_order_relaxed);
    }
    uint actor = edges[step.first + place];
    uint old = uint(step.version) & 1u;
    uint side = old ^ 1u;
    RingSeat seat = seats[actor];
    RingRecord record = records[actor * 2u + old];

    uint take = seat.run != 0u ? min(ring_mail(seat, lanes, edges, old), seat.budget) : 0u;
    uint blocked = 0u;
    for (uint i = 0u; i <= seat.out_count; i++) {
        uint lane = i < seat.out_count ? edges[seat.outs + i] : seat.reply;
        if (lane == RING_NO_LANE) {
            continue;
        }
        device RingLane *out = lanes + lane;
        uint room = (out->mask + 1u - (out->tail[old] - out->head[old])) / seat.emits;
        if (room < take) {
            take = room;
            blocked = lane + 1u;
        }
        if (index == 0u) {
            out->tail[side] = out->tail[old];
            out->burst[0] = 0u;
        }
    }

    uint cursor[RING_INS];
    for (uint i = 0u; i < seat.in_count; i++) {
        cursor[i] = lanes[edges[seat.ins + i]].head[old];
    }

    Outbox<RING_O> out;
    out.index = index;
    out.count = RING_THREADS;
    out.actor = actor + 1u;
    out.tick = uint(step.version);
    out.clock = record.clock;
    out.ring_seat = seat;
    out.ring_lanes = lanes;
    out.ring_edges = edges;
    out.ring_slots = slots;
    out.ring_head = head;
    out.ring_side = side;
    out.ring_sent = 0u;
    out.ring_sequence = uint(record.sent);
    out.ring_error = 0u;
    out.ring_code = 0u;
    out.ring_stop = false;

    ulong latency = 0ul;
    if (take != 0u) {
#if RING_IN_PLACE
        device RING_S &state = *states[seat.member].side[record.side ^ 1u];
#else
        RING_S state = states[seat.member * 2u + record.side];
#endif
        for (uint ordinal = 1u; ordinal <= take; ordinal++) {
            uint best = 0u;
#if RING_INS > 1
            bool any = false;
            uint best_priority = 0u;
            uint best_source = 0u;
            ulong best_clock = 0ul;
            for (uint i = 0u; i < seat.in_count; i++) {
                device const RingLane *lane = lanes + edges[seat.ins + i];
                if (cursor[i] == lane->tail[old]) {
                    continue;
                }
                device const RingHeader *header = (device const RingHeader *)(
                    slots + ulong(lane->offset) * 16ul + ulong(cursor[i] & lane->mask) * ulong(lane->stride));
                uint priority = header->flags & 255u;
                ulong clock = header->clock;
                uint source = header->source;
                if (!any || priority > best_priority || (priority == best_priority
                        && (clock < best_clock || (clock == best_clock && source < best_source)))) {
                    any = true;
                    best = i;
                    best_priority = priority;
                    best_clock = clock;
                    best_source = source;
                }
            }
#endif
            device const RingLane *lane = lanes + edges[seat.ins + best];
            device const uchar *slot =
                slots + ulong(lane->offset) * 16ul + ulong(cursor[best] & lane->mask) * ulong(lane->stride);
            cursor[best] += 1u;
            device const RingHeader *header = (device const RingHeader *)slot;
            RING_I message = *(device const RING_I *)(slot + 64);
            out.source = header->source;
            out.correlation = uint2(header->correlation[0], header->correlation[1]);
            out.clock = max(out.clock, header->clock) + 1ul;
            out.ring_hops = header->hops + 1u;
            out.ring_call = header->flags & RING_CALL;
            out.ring_ordinal = ordinal;
            uint waited = out.tick - header->tick;
            latency += ulong(waited);
            record.latency_min = min(record.latency_min, waited);
            record.latency_max = max(record.latency_max, waited);
            handle(message, state, out);
            if (out.ring_error != 0u) {
                break;
            }
        }
#if !RING_IN_PLACE
        states[seat.member * 2u + (record.side ^ 1u)] = state;
#endif
    }

    if (out.ring_error != 0u) {
        atomic_store_explicit(&head[step.errors + actor * 2u], out.ring_error, memory_order_relaxed);
        atomic_store_explicit(&head[step.errors + actor * 2u + 1u], out.ring_code, memory_order_relaxed);
        out.ring_stop = true;
    }
    if (out.ring_stop) {
        atomic_store_explicit(&head[RING_HEAD_STOP], step.index + 1u, memory_order_relaxed);
    }
    if (index != 0u) {
        return;
    }
    for (uint i = 0u; i < seat.in_count; i++) {
        lanes[edges[seat.ins + i]].head[side] = cursor[i];
    }
    record.version = step.version + 1ul;
    record.clock = out.clock;
    record.handled += ulong(take);
    record.latency += latency;
    record.sent += ulong(out.ring_sent);
    record.now = take;
    record.blocked = blocked;
    record.stalls += blocked != 0u ? 1ul : 0ul;
    record.side = take != 0u ? record.side ^ 1u : record.side;
    records[actor * 2u + side] = record;
    if (place == 0u) {
        atomic_store_explicit(&head[RING_HEAD_RAN], step.index + 1u, memory_order_relaxed);
    }
    if (blocked != 0u) {
        atomic_store_explicit(&head[RING_HEAD_STALLED], step.index + 1u, memory_order_relaxed);
    }
    if (take == 0u) {
        return;
    }
    atomic_store_explicit(&head[RING_HEAD_ACTIVE], step.index + 1u, memory_order_relaxed);
    if (step.more != 0u) {
        for (uint i = 0u; i < step.launches; i++) {
            uint grid = step.grids + ((step.index + 1u) * step.launches + i) * 3u;
            atomic_store_explicit(&head[grid], edges[step.counts + i], memory_order_relaxed);
        }
    }
}

#if RING_IN_PLACE
// Copies the states of actors that have mail to the side that the tick writes.
kernel void RING_SAVE(
    device atomic_uint *head [[buffer(0)]],
    device const RingSeat *seats [[buffer(1)]],
    device const RingRecord *records [[buffer(2)]],
    device const RingLane *lanes [[buffer(3)]],
    device const uint *edges [[buffer(4)]],
    RING_STATES *states [[buffer(6)]],
    constant RingStep &step [[buffer(7)]],
    uint position [[thread_position_in_grid]],
    uint lane_of_simdgroup [[thread_index_in_simdgroup]])
{
    uint place = position / RING_CHUNKS;
    if (place >= step.members) {
        return;
    }
    uint stop = atomic_load_explicit(&head[RING_HEAD_STOP], memory_order_relaxed);
    if (stop != 0u && stop <= step.index) {
        return;
    }
    if (lane_of_simdgroup == 0u) {
        // Before anything that may fail: the host finds the tick of a fault by it.
        atomic_store_explicit(&head[RING_HEAD_BEGAN], step.index + 1u, memory_order_relaxed);
    }
    uint actor = edges[step.first + place];
    RingSeat seat = seats[actor];
    uint old = uint(step.version) & 1u;
    if (seat.run == 0u || ring_mail(seat, lanes, edges, old) == 0u) {
        return;
    }
    uint side = records[actor * 2u + old].side;
    device const RING_WORD *from = (device const RING_WORD *)states[seat.member].side[side];
    device RING_WORD *to = (device RING_WORD *)states[seat.member].side[side ^ 1u];
    ulong words = sizeof(RING_S) / sizeof(RING_WORD);
    for (ulong i = position % RING_CHUNKS; i < words; i += RING_CHUNKS) {
        to[i] = from[i];
    }
}
#endif
