//! Checked kernels compute what they do without checks, and are not reported.

/// Statements. `i` is the number of the thread in the grid, `t` that in the threadgroup, `x` a number that differs for each, `data` and
/// `tile` arguments with room for all threads.
pub(super) const RESULTS: &[&str] = &[
    // Bytes of a variable.
    "thread const uchar *bytes = (thread const uchar *)&x;
    for (int n = 0; n < 4; n++) out = out * 3 + bytes[n];",
    // An array with an index that differs for each lane, before and after a barrier.
    "uint all[20];
    for (uint n = 0; n < 20; n++) all[n] = x ^ n;
    tile[t] = all[x % 20];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint n = 0; n < 5; n++) all[(x + n) % 20] += tile[63 - t];
    for (uint n = 0; n < 20; n++) out = out * 5 + all[n];",
    // A struct that is chosen, and copied through threadgroup memory.
    "struct Pair { uint a; ushort b; uchar c; };
    threadgroup Pair pairs[64];
    Pair one = {x, ushort(x >> 3), uchar(t)};
    Pair other = {t, 7, 9};
    pairs[t] = x % 3 ? one : other;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    Pair got = pairs[t ^ 33];
    out = got.a * 31 + got.b * 7 + got.c;",
    // Sums of lanes, with a loop that diverges.
    "uint sum = 0;
    for (uint n = 0; n < x % 7; n++) sum += simd_sum(n + t % 3 < 4 ? 1u : 0u);
    out = sum + simd_shuffle_down(x, 3) % 5;",
];
