// Bit-fields (C++14 class.bit), in structures as C compilers for arm64 and x86-64 lay them out.
#include <metal_stdlib>
using namespace metal;

enum class Kind : uint { none, some, all };
struct Flags {
    uint low : 3;
    int middle : 5;
    uint high : 20;
    ushort other;
    bool yes : 1, no : 1;
    Kind kind : 2;
    uint : 0;
    uchar last : 4;
};
static_assert(sizeof(Flags) == 12, "");
union Word { uint bits; struct { uint sign_ : 1; uint rest : 31; } parts; };
constant Flags table[] = {{5, -3, 1000, 7, true, false, Kind::all, 9}, {8 + 1, 15, 1, 2}};
constexpr int sum_of(int a) {
    Flags f = {};
    f.low = a;
    f.middle = -a;
    return f.low * 100 + f.middle;
}
static_assert(sum_of(9) == 1 * 100 - 9, "");

kernel void read(device int* out [[buffer(0)]], device const Flags& in [[buffer(1)]]) {
    out[0] = in.low; out[1] = in.middle; out[2] = in.high; out[3] = in.other;
    out[4] = in.yes + 2 * in.no; out[5] = int(in.kind); out[6] = in.last;
    out[7] = table[0].middle + int(table[0].high); out[8] = table[1].low; out[9] = int(table[0].kind) + table[0].last;
}
// An operand that fits in an int is one ([conv.prom]/5); a copy has the declared type.
kernel void promoted(device int* out [[buffer(0)]], device const Flags& in [[buffer(1)]]) {
    out[0] = (in.low - 7 < 0) + 2 * (-in.low < 0) + 4 * (~in.low < 0);
    out[1] = (in.low > -1) + 2 * ((out[0] ? in.low : -1) > -1);
    Flags f = in;
    f.high /= -1;
    out[2] = f.high;
    auto copy = in.low;
    out[3] = (copy - 7 > 0) + 2 * is_same_v<decltype(in.low + 1), int> + 4 * is_same_v<decltype(in.low), uint>;
    switch (in.low) { case -1: out[4] = 1; break; case 6: out[4] = 2; break; default: out[4] = 3; }
}
kernel void write(device Flags* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    Flags f = {i, int(i) - 4, 1u << i, ushort(i)};
    f.yes = i & 1;
    f.kind = Kind(i % 3);
    f.last += 10 + i;
    out[i] = f;
    out[i].high++;
    const thread int& copy = f.middle;
    Word w = {};
    w.bits = 7;
    w.parts.rest = i;
    out[i].last ^= uchar(copy == int(i) - 4) + uchar(w.bits == (1 | i << 1)) * 2;
}
