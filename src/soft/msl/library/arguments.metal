// Pointers and textures in memory, for back ends that have no code of their own for it: the same as cpu/addresses.rs. The
// tables are those of one launch; ptx/tables.rs writes them.

using namespace metal;

// A range of addresses, by start.
struct Range {
    ulong start;
    ulong end;
    // The highest end of this range and of those before it.
    ulong reach;
    ulong region;
};

// The ID of a texture and its number, by ID.
struct Known {
    ulong id;
    ulong number;
};

struct Addresses {
    const device Range *ranges;
    // For each region its address; 0 if it has none.
    const device ulong *starts;
    const device Known *textures;
    // For each texture its ID.
    const device ulong *ids;
    // For each known texture and each kind of texture that the kernel expects, whether it is not of that kind.
    const device uchar *misfits;
    ulong range_count;
    ulong start_count;
    ulong texture_count;
    ulong id_count;
    ulong kinds;
};

using Tables = const device Addresses *;

constant uint offset_bits = 48;
// The region of a pointer that memory has in the form of registers to memory that has an address.
constant ulong foreign = 0xffff;
// Set in the number of a texture that the launch may not use, and of one that is of another kind than expected.
constant ulong missing = 1ul << 63;
constant ulong misfit = 1ul << 62;

ulong region_of(ulong pointer) { return (pointer + (1ul << (offset_bits - 1))) >> offset_bits; }
ulong offset_of(ulong pointer) { return as_type<ulong>(as_type<long>(pointer << (64 - offset_bits)) >> (64 - offset_bits)); }

// A pointer, from its form in memory. One that is in no resident stays an address.
ulong pointer_from_memory(Tables tables, ulong bits) {
    ulong region = region_of(bits);
    if (region != 0) {
        if (region < tables->start_count && tables->starts[region] == 0) return bits;
        return foreign << offset_bits | (offset_of(bits) & ((1ul << (offset_bits - 1)) - 1));
    }
    const device Range *ranges = tables->ranges;
    // Ranges before `low` start at the address or before it.
    ulong low = 0, high = tables->range_count;
    while (low < high) {
        ulong middle = (low + high) / 2;
        if (ranges[middle].start <= bits) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    while (low != 0 && ranges[low - 1].reach >= bits) {
        if (ranges[low - 1].end >= bits) {
            return (ranges[low - 1].region << offset_bits) + (bits - ranges[low - 1].start);
        }
        low -= 1;
    }
    return bits;
}

// The form in memory of a pointer. If its region has no address, it is the same.
ulong pointer_to_memory(Tables tables, ulong pointer) {
    ulong region = region_of(pointer);
    ulong start = region < tables->start_count ? tables->starts[region] : 0;
    return start != 0 ? start + offset_of(pointer) : pointer;
}

// The number of a texture, from its ID; `kind` is the number of what the kernel expects, and `expected` says it.
ulong texture_from_memory(Tables tables, ulong id, ulong kind, ulong expected) {
    if (id == 0) return 0;
    ulong low = 0, high = tables->texture_count;
    while (low < high) {
        ulong middle = (low + high) / 2;
        if (tables->textures[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == tables->texture_count || tables->textures[low].id != id) return missing | id;
    ulong number = tables->textures[low].number;
    if (tables->misfits[low * tables->kinds + kind] == 0) return number;
    return missing | misfit | expected << 32 | number;
}

// The ID of a texture by its number; of one that does not exist, what memory had.
ulong texture_to_memory(Tables tables, ulong number) {
    if ((number & (missing | misfit)) == missing) return number & ~missing;
    ulong index = (number & 0xffffffff) - 1;
    return index < tables->id_count ? tables->ids[index] : 0;
}
