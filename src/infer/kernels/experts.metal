// The rows of each expert, for products in tiles.

struct Lists {
    uint rows;
    uint experts;
};

// Makes a list of the rows of each expert in `lists`, and one of the rows without an expert. For each list, its start among the
// rows, and then the end of the last one; the same for tiles of 32 rows; then the rows. One threadgroup, a thread for each list.
kernel void list_rows(device const int *ids [[buffer(0)]], device int *lists [[buffer(1)]], constant Lists &p [[buffer(2)]],
                      uint list [[thread_index_in_threadgroup]]) {
    threadgroup uint counts[1024];
    uint count = 0;
    for (uint row = 0; row < p.rows; row++) count += min(uint(ids[row]), p.experts) == list;
    counts[list] = count;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    uint start = 0, tile = 0;
    for (uint i = 0; i < list; i++) {
        start += counts[i];
        tile += (counts[i] + 31) / 32;
    }
    device int *starts = lists, *tiles = lists + p.experts + 2, *order = tiles + p.experts + 2;
    starts[list] = int(start);
    tiles[list] = int(tile);
    if (list == p.experts) {
        starts[list + 1] = int(p.rows);
        tiles[list + 1] = int(tile + (count + 31) / 32);
    }
    for (uint row = 0; row < p.rows; row++) {
        if (min(uint(ids[row]), p.experts) == list) order[start++] = int(row);
    }
}
