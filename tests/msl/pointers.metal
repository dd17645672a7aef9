// Pointers and references (MSL 4): the four address spaces, arithmetic, casts, swaps.
#include <metal_stdlib>
using namespace metal;

void swap_values(thread int& a, thread int& b) {
    int t = a;
    a = b;
    b = t;
}
thread int& larger(thread int& a, thread int& b) { return a > b ? a : b; }

kernel void references(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int a = i, b = 20;
    thread int& r = a;
    r += 2;
    swap_values(a, b);
    larger(a, b) = 1000;
    const thread int& c = b;
    device int& o = out[i];
    o = a;
    o += c * 10 + r;
}

void advance(device const int* thread& p, int by) { p += by; }

kernel void arithmetic(device int* out [[buffer(0)]], device const int* in [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    device const int* p = in + i;
    device const int* q = &in[10];
    int sum = *p++ + p[1] - p[-1] + *(q - 2) + int(q - p) * 100;
    sum += (p < q) * 1000 + (p == q) * 2000 + (p != in) * 4000;
    advance(p, 1);
    p -= 1;
    sum += *--p * 10000;
    out[i] = sum;
}

kernel void to_locals(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int values[4] = {1, 2, 3, 4};
    thread int* p = values + i % 4;
    *p = 50;
    thread int* q = &values[(i + 1) % 4];
    *q += *p;
    int2 v = int2(7, 8);
    thread int2* w = &v;
    w->x += 1;
    (*w).y = w->x;
    int sum = v.x * 1000 + v.y * 10000;
    for (thread int* at = values; at != values + 4; ++at) sum += *at;
    out[i] = sum;
}

struct Node { int value; int next; };
kernel void to_structs(device int* out [[buffer(0)]], device Node* nodes [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    device Node* n = nodes + i;
    int sum = 0;
    for (int steps = 0; steps < 5; ++steps) {
        sum = sum * 2 + n->value;
        n = &nodes[(*n).next];
    }
    out[i] = sum;
}

kernel void pointer_to_pointer(device int* out [[buffer(0)]], device int* a [[buffer(1)]], device int* b [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    device int* both[2] = {a, b};
    device int* p = both[i & 1];
    device int* thread* q = &both[(i >> 1) & 1];
    (*q)++;
    out[i] = p[i] + (*q)[i] + both[0][i];
}

// A pointer's target may differ from thread to thread.
kernel void varying_targets(device int* out [[buffer(0)]], device int* a [[buffer(1)]], device int* b [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    device int* p = i % 3 == 0 ? a : i % 3 == 1 ? b : b + 1;
    p += i;
    out[i] = *p + 5 + p[1];
}

kernel void casts(device int* out [[buffer(0)]], device const uchar* bytes [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    device const uint* words = (device const uint*)bytes;
    device const ushort2* halves = reinterpret_cast<device const ushort2*>(words);
    device const packed_uchar3* triples = (device const packed_uchar3*)(bytes + 1);
    out[i] = words[i] % 1000 + halves[i].y % 100 * 1000 + triples[i].z * 100000;
}

kernel void casts_of_locals(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    float f[2] = {float(i), -1.5f};
    thread uint* u = (thread uint*)f;
    thread const uchar* b = (thread const uchar*)(f + 1);
    u[0] ^= 0x80000000u;
    out[i] = as_type<uint>(f[0]) + b[3];
}

kernel void in_the_constant_space(device int* out [[buffer(0)]], constant int* table [[buffer(1)]], constant int& one [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    constant int* p = table + i % 4;
    constant int& r = table[0];
    out[i] = *p * 100 + r + one + *&one;
}

kernel void in_threadgroup_memory(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
    threadgroup int shared[64];
    threadgroup int* own = shared + t;
    *own = i * 3;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    threadgroup int* other = &shared[63 - t];
    threadgroup int& reference = shared[t ^ 1];
    out[i] = *other * 1000 + reference;
}

kernel void null_pointers(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    device int* p = nullptr;
    thread int* q = 0;
    int sum = (p == nullptr) + 2 * !q + 4 * (p ? 1 : 0);
    if (i & 1) p = out;
    out[i] = sum + (p != nullptr) * 8;
}

int second(thread const int (&a)[3]) { return a[1]; }
int total(thread const int* a, uint n) {
    int sum = 0;
    while (n--) sum += *a++;
    return sum;
}
kernel void arrays_as_arguments(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int a[3] = {int(i), int(i) * 2, 5};
    out[i] = second(a) * 100 + total(a, 3) + total(&a[1], 2);
}

kernel void reads_out_of_bounds(device int* out [[buffer(0)]], device const int* in [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = in[i + 1];
}
kernel void writes_out_of_bounds(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    out[int(i) - 3] = 1;
}
kernel void follows_null(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    device int* p = nullptr;
    if (i == 7) p[i] = 1;
}
kernel void leaves_a_local_array(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int a[4] = {};
    for (uint j = 0; j <= i; ++j) a[j] = j;
    out[i] = a[i / 2];
}

// Whether two pointers are equal is not known before the kernel runs.
struct Ends { device int* first; device int* last; };
kernel void compared(device int* out [[buffer(0)]], device int* a [[buffer(1)]], device int* b [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    int sum = 0;
    if (a != b) sum += 1; else sum += 2;
    if (a == b) sum += 4;
    sum += a == b ? 8 : 16;
    if (a != b && out != a) sum += 32;
    Ends ends = {a, b};
    if (ends.first == ends.last) sum += 64;
    ends.last = a;
    if (ends.first == ends.last) sum += 128;
    int x = 1, y = 2;
    if (&x == &y) sum += 256;
    if (a == a + i) sum += 512;
    out[i] = sum + x + y;
}
// The buffer itself is no constant: casting the `const` of a parameter away allows writes (C++14 dcl.type.cv/4).
kernel void cast_of_const(device const char* out [[buffer(0)]], device const int* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    device int* row = (device int*)((device char*)out + 4 * i);
    row[0] = x[i] + 1;
}
