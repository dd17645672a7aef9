// Arrays in thread memory: constant and dynamic indices, several dimensions, of structs and vectors.
#include <metal_stdlib>
using namespace metal;

kernel void filled_and_summed(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int a[10];
    for (int j = 0; j < 10; ++j) a[j] = j * int(i);
    int sum = 0;
    for (int j = 9; j >= 0; j -= 2) sum = sum * 3 + a[j];
    out[i] = sum + a[i % 10];
}

kernel void initialised(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int a[5] = {1, 2};
    int b[] = {int(i), 5, 6};
    char c[4] = {'a', 'b'};
    float d[2][2] = {{1}, {3, 4}};
    int e[2][3] = {1, 2, 3, 4};  // Braces may be left out (C++14 8.5.1).
    out[i] = a[1] + a[4] * 10 + b[i % 3] + c[1] * 100 + int(d[0][1] + d[1][0]) + e[1][0] * 10000 + e[1][2] + sizeof(b);
}

kernel void two_dimensions(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int m[4][5];
    for (uint r = 0; r < 4; ++r)
        for (uint c = 0; c < 5; ++c) m[r][c] = r * 10 + c + i;
    thread int* row = m[i % 4];
    row[2] += 1000;
    int sum = 0;
    for (uint r = 0; r < 4; ++r) sum = sum * 2 + m[r][(r + i) % 5] + m[r][2];
    out[i] = sum;
}

kernel void insertion_sort(device int* out [[buffer(0)]], device const int* in [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    int a[8];
    for (int j = 0; j < 8; ++j) a[j] = in[8 * i + j];
    for (int j = 1; j < 8; ++j) {
        int v = a[j], k = j;
        while (k > 0 && a[k - 1] > v) {
            a[k] = a[k - 1];
            --k;
        }
        a[k] = v;
    }
    for (int j = 0; j < 8; ++j) out[8 * i + j] = a[j];
}

struct Pixel { uchar r, g, b; float depth; };
kernel void of_structs(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    Pixel p[3] = {{1, 2, 3, 0.5f}, {4, 5, 6}};
    p[i % 3].g += 250;
    p[2] = p[(i + 1) % 3];
    out[i] = p[2].g + p[0].g * 1000 + int(p[2].depth * 2) * 1000000;
}

kernel void of_vectors(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    float4 v[4] = {float4(1), float4(2, 3, 4, 5)};
    v[2].xz = v[1].yw;
    v[i % 4][i % 3] += 100;
    v[3] = v[0] + v[2];
    out[i] = dot(v[3], float4(1, 10, 100, 1000)) + v[i % 4].y;
}

kernel void ranges(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int a[4] = {1, 2, 3, int(i)};
    int sum = 0;
    for (int x : a) sum += x;
    for (thread int& x : a) x *= 2;
    for (auto x : a) sum = sum * 2 + x;
    out[i] = sum;
}

kernel void large(device uint* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    uchar seen[256] = {};
    uint x = i, steps = 0;
    while (!seen[x]) {
        seen[x] = 1;
        x = (x * 5 + 3) % 256;
        ++steps;
        if (steps > 20 + i % 5) break;
    }
    uint count = 0;
    for (uint j = 0; j < 256; ++j) count += seen[j];
    out[i] = count * 1000 + x;
}

// clang's range designators, with which kernels initialise accumulators.
template <int N> struct Sizes { enum { last = N - 1 }; };
kernel void designated(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    float filled[6] = {[0 ... Sizes<6>::last] = -1.5h};
    int some[5] = {[3] = 7, 8, [1] = int(i)};
    int unsized[] = {1, [4 ... 5] = 9};
    __extension__ int sum = 0;
    for (int j = 0; j < 5; ++j) sum = sum * 10 + some[j];
    for (int j = 0; j < 6; ++j) sum += int(filled[j] * 2) + unsized[j] * 100000;
    out[i] = sum + sizeof(unsized);
}

// Range-for over types with begin and end, members or free functions (C++14 [stmt.ranged]; MSL 2.12).
struct Countdown {
    int from;
    struct At {
        int value;
        int operator*() const thread { return value; }
        thread At& operator++() thread { --value; return *this; }
        bool operator!=(thread const At& other) const thread { return value != other.value; }
    };
    At begin() const { return {from}; }
    At end() const { return {0}; }
};
struct Pair { int items[2]; };
thread int* begin(thread Pair& pair) { return pair.items; }
thread int* end(thread Pair& pair) { return pair.items + 2; }
kernel void ranges_of_classes(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    array<int, 3> a = {1, 2, int(i)};
    for (thread int& x : a) x *= 3;
    int sum = 0;
    for (auto x : a) sum = sum * 7 + x;
    for (const auto x : Countdown{int(i % 4)}) {
        if (x == 2) continue;
        sum += x * 1000;
    }
    Pair pair = {int(i), 5};
    for (int x : pair) sum += x * 100000;
    out[i] = sum;
}
// A part of an array whose length is known at run time (MSL 2.12.1.3).
int total(array_ref<int> list) {
    int sum = 0;
    for (int value : list) sum += value;
    return sum * 10 + int(list.size());
}
kernel void array_refs(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int list[4] = {1, 2, 3, int(i)};
    out[i] = total(make_array_ref(list)) * 1000 + total(make_array_ref(list + 1, 2));
}
