//! Kernels with races, and the same without. The lines of the two accesses end in `// <-`.

use super::Case;

/// One kernel, its argument or variable with the race, and what to replace to correct it.
const fn case(
    name: &'static str,
    argument: &'static str,
    source: &'static str,
    mend: (&'static str, &'static str),
) -> Case {
    Case { name, argument, source, mend }
}

/// The correction of a missing barrier: `MEND` is a comment in the source.
const BARRIER: (&str, &str) = ("/*MEND*/", "threadgroup_barrier(mem_flags::mem_threadgroup);");

/// The kernels. They run with `data` of 1024 words and `other` of as many, on 128 threads in threadgroups of 64.
pub(super) const RACES: &[Case] = &[
    case(
        "lanes of one SIMD-group on two sides of a branch",
        "tile",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            threadgroup uint tile[64];
            if (t == 0) tile[0] = 5; // <-
            /*MEND*/
            if (t == 1) data[i] = tile[0]; // <-
        }",
        BARRIER,
    ),
    case(
        "a lane has left the loop in which another writes",
        "tile",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            threadgroup uint tile[64];
            for (uint k = 0; k < t % 2; k++) tile[t] = k; // <-
            /*MEND*/
            data[i] = tile[t ^ 1]; // <-
        }",
        BARRIER,
    ),
    case(
        "a thread writes two values, and another the first of them",
        "data",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            if (i == 0) {
                data[0] = 7;
                data[0] = 8; // <-
            }
            if (i == 64) data[0] = 7; // <-
        }",
        ("data[0] = 8", "data[0] = 7"),
    ),
    case(
        "a tile is read without a barrier",
        "tile",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            threadgroup uint tile[64];
            tile[t] = data[i]; // <-
            /*MEND*/
            data[i] = tile[63 - t]; // <-
        }",
        BARRIER,
    ),
    case(
        "a tile is filled again while others read it",
        "tile",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            threadgroup uint tile[64];
            uint sum = 0;
            for (uint step = 0; step < 4; step++) {
                tile[t] = data[128 * step + i]; // <-
                threadgroup_barrier(mem_flags::mem_threadgroup);
                sum += tile[63 - t]; // <-
                /*MEND*/
            }
            data[512 + i] = sum;
        }",
        BARRIER,
    ),
    case(
        "a barrier orders device memory, the tile is not",
        "tile",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            threadgroup uint tile[64];
            tile[t] = data[i]; // <-
            threadgroup_barrier(mem_flags::mem_device);
            data[i] = tile[63 - t]; // <-
        }",
        ("mem_device", "mem_threadgroup"),
    ),
    case(
        "a barrier orders no memory",
        "tile",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            threadgroup uint tile[64];
            tile[t] = data[i]; // <-
            threadgroup_barrier(mem_flags::mem_none);
            data[i] = tile[63 - t]; // <-
        }",
        ("mem_none", "mem_device | mem_flags::mem_threadgroup"),
    ),
    case(
        "a barrier orders threadgroup memory, the buffer is not",
        "data",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            data[i] = t; // <-
            threadgroup_barrier(mem_flags::mem_threadgroup);
            data[512 + i] = data[i - t + 63 - t]; // <-
        }",
        ("mem_threadgroup", "mem_device"),
    ),
    case(
        "a barrier of the SIMD-group does not order two of them",
        "tile",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            threadgroup uint tile[64];
            tile[t] = data[i]; // <-
            simdgroup_barrier(mem_flags::mem_threadgroup);
            data[i] = tile[t ^ 32]; // <-
        }",
        ("simdgroup_barrier", "threadgroup_barrier"),
    ),
    case(
        "a tree of sums without a barrier between its levels",
        "sums",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            threadgroup uint sums[64];
            sums[t] = data[i];
            threadgroup_barrier(mem_flags::mem_threadgroup);
            for (uint half_of = 32; half_of > 0; half_of /= 2) {
                if (t % 2 == 0) { data[i + 128] = sums[t / half_of]; } // <-
                if (t < half_of) sums[t * 2 % 64] += 1; // <-
                /*MEND*/
            }
        }",
        ("sums[t * 2 % 64] += 1", "data[256 + i] += 1"),
    ),
    case(
        "the result of a sum is read before all have added",
        "total",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            threadgroup atomic_uint total;
            if (t == 0) atomic_store_explicit(&total, 0, memory_order_relaxed);
            threadgroup_barrier(mem_flags::mem_threadgroup);
            atomic_fetch_add_explicit(&total, data[i], memory_order_relaxed); // <-
            /*MEND*/
            if (t == 0) data[512 + i] = *(threadgroup uint *)&total; // <-
        }",
        BARRIER,
    ),
    case(
        "a histogram is cleared without a barrier",
        "counts",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            threadgroup uint counts[16];
            if (t < 16) counts[t] = 0; // <-
            /*MEND*/
            atomic_fetch_add_explicit((threadgroup atomic_uint *)&counts[i % 16], 1, memory_order_relaxed); // <-
        }",
        BARRIER,
    ),
    case(
        "all threads count in one word",
        "data",
        "kernel void k(device uint *data [[buffer(0)]]) {
            data[0] += 1; // <-
        }",
        (
            "data[0] += 1",
            "atomic_fetch_add_explicit((device atomic_uint *)data, 1, memory_order_relaxed)",
        ),
    ),
    case(
        "a counter is atomic for writers only",
        "data",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            atomic_fetch_add_explicit((device atomic_uint *)data, 1, memory_order_relaxed); // <-
            data[1 + i] = data[0]; // <-
        }",
        (
            "= data[0]",
            "= atomic_load_explicit((device atomic_uint *)data, memory_order_relaxed)",
        ),
    ),
    case(
        "an atomic store meets a plain one",
        "data",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            if (i == 100) data[5] = 7; // <-
            if (i == 3) atomic_store_explicit((device atomic_uint *)&data[5], 8, memory_order_relaxed); // <-
        }",
        ("data[5] = 7", "data[6] = 7"),
    ),
    case(
        "a stencil in place",
        "data",
        "kernel void k(device int *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            int right = data[i + 1]; // <-
            data[i] = right - 1; // <-
        }",
        ("data[i] =", "data[512 + i] ="),
    ),
    case(
        "two threads have one word",
        "data",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            data[i / 2] = i; // <-
        }",
        ("i / 2", "i"),
    ),
    case(
        "lanes of one instruction write different values",
        "tile",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            threadgroup uint tile[2];
            tile[t / 32] = i; // <-
            threadgroup_barrier(mem_flags::mem_threadgroup);
            data[i] = tile[0];
        }",
        ("tile[t / 32] = i;", "if (t % 32 == 0) tile[t / 32] = i;"),
    ),
    case(
        "two arguments are one buffer",
        "data",
        "kernel void k(device const uint *in [[buffer(2)]], device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            uint other = in[(i + 32) % 128]; // <-
            data[i] = other + i; // <-
        }",
        ("data[i] =", "data[512 + i] ="),
    ),
    case(
        "bytes overlap",
        "data",
        "kernel void k(device uchar *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            *(device ushort *)(data + i) = ushort(i * 7); // <-
        }",
        ("data + i", "data + 2 * i"),
    ),
    case(
        "components of a vector overlap",
        "data",
        "kernel void k(device float4 *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            data[i / 4][i % 3] = i; // <-
        }",
        ("i % 3", "i % 4"),
    ),
    case(
        "a helper writes",
        "data",
        "void put(device uint *to, uint value) {
            *to = value; // <-
        }
        kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            put(data + i % 64, i);
        }",
        ("i % 64", "i"),
    ),
    case(
        "a struct is copied by all",
        "data",
        "struct Particle { float4 place; uint number; };
        kernel void k(device Particle *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            Particle mine;
            mine.place = float4(i);
            mine.number = i;
            data[i % 8] = mine; // <-
        }",
        ("data[i % 8] = mine;", "if (i < 8) data[i % 8] = mine;"),
    ),
    case(
        "a scan in place without the first barrier",
        "tile",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            threadgroup uint tile[64];
            tile[t] = data[i];
            threadgroup_barrier(mem_flags::mem_threadgroup);
            for (uint step = 1; step < 64; step *= 2) {
                uint before = t >= step ? tile[t - step] : 0; // <-
                /*MEND*/
                tile[t] += before; // <-
                threadgroup_barrier(mem_flags::mem_threadgroup);
            }
            data[i] = tile[t];
        }",
        BARRIER,
    ),
    case(
        "two buffers that are exchanged one step too late",
        "both",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            threadgroup uint both[2][64];
            uint sum = 0;
            for (uint step = 0; step < 4; step++) {
                both[step / 2 % 2][t] = data[step * 128 + i]; // <-
                threadgroup_barrier(mem_flags::mem_threadgroup);
                sum += both[step / 2 % 2][63 - t]; // <-
            }
            data[512 + i] = sum;
        }",
("step / 2 % 2", "step % 2"),
    ),
    case(
        "a threadgroup reads what another publishes without a fence",
        "data",
        "kernel void k(device uint *data [[buffer(0)]], device atomic_uint *ready [[buffer(1)]], uint i [[thread_position_in_grid]]) {
            if (i == 0) {
                data[0] = 42; // <-
                atomic_store_explicit(ready, 1, memory_order_relaxed);
            }
            if (i == 64 && atomic_load_explicit(ready, memory_order_relaxed) == 1)
                data[1] = data[0]; // <-
        }",
        ("data[1] = data[0]", "data[1] = 42"),
    ),
    case(
        "the last threadgroup sums without a fence",
        "partial",
        "kernel void k(device uint *data [[buffer(0)]], device uint *partial [[buffer(1)]], uint t [[thread_index_in_threadgroup]], uint g [[threadgroup_position_in_grid]]) {
            threadgroup uint order;
            if (t == 0) {
                partial[g] = g + 1; // <-
                order = atomic_fetch_add_explicit((device atomic_uint *)data, 1, memory_order_relaxed);
            }
            threadgroup_barrier(mem_flags::mem_device | mem_flags::mem_threadgroup);
            if (order == 1 && t == 0) data[1] = partial[0] + partial[1]; // <-
        }",
        ("data[1] = partial[0] + partial[1]", "data[1] = partial[g]"),
    ),
    case(
        "a matrix is loaded before all have stored",
        "tile",
        "kernel void k(device float *data [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            threadgroup float tile[64];
            tile[t] = data[i]; // <-
            /*MEND*/
            simdgroup_float8x8 m;
            simdgroup_load(m, tile, 8); // <-
            if (t < 32) simdgroup_store(m, data + 128 + (i - t), 8);
        }",
        BARRIER,
    ),
    case(
        "two SIMD-groups store one matrix",
        "data",
        "kernel void k(device float *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            simdgroup_float8x8 m = make_filled_simdgroup_matrix<float, 8>(float(i / 32));
            simdgroup_store(m, data, 8); // <-
        }",
        ("simdgroup_store(m, data, 8)", "simdgroup_store(m, data + i / 32 * 64, 8)"),
    ),
    case(
        "an argument in threadgroup memory is read by neighbours",
        "tile",
        "kernel void k(device half *data [[buffer(0)]], threadgroup half *tile [[threadgroup(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            tile[t + 1] = data[i]; // <-
            /*MEND*/
            data[i] = tile[(t + 33) % 64 + 1]; // <-
        }",
        BARRIER,
    ),
    case(
        "one thread writes what all read",
        "limit",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            threadgroup uint limit;
            if (t == 0) {
                limit = data[0]; // <-
            }
            /*MEND*/
            if (i < limit) data[512 + i] = 1; // <-
        }",
        BARRIER,
    ),
    case(
        "a queue whose slots are taken without an atomic",
        "data",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            uint slot = data[0]; // <-
            data[0] = slot + 1; // <-
            data[1 + i] = slot;
        }",
        (
            "uint slot = data[0]; // <-\n            data[0] = slot + 1;",
            "uint slot = atomic_fetch_add_explicit((device atomic_uint *)data, 1, memory_order_relaxed);\n",
        ),
    ),
    case(
        "a loop writes past its part",
        "data",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
            for (uint n = 0; n <= 4; n++)
                data[4 * i + n] = i; // <-
        }",
        ("n <= 4", "n < 4"),
    ),
    case(
        "an exchange of two words within a threadgroup",
        "data",
        "kernel void k(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
            uint mine = data[i ^ 32]; // <-
            /*MEND*/
            data[i] = mine + t; // <-
        }",
        ("/*MEND*/", "threadgroup_barrier(mem_flags::mem_device);"),
    ),
];
