// Unions, enumerations and typedefs (C++14 7.1.3, 7.2, 9.5).
#include <metal_stdlib>
using namespace metal;

union Bits {
    float f;
    uint u;
    uchar bytes[4];
    struct { ushort low, high; } halves;
};
kernel void punning(device uint* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    Bits b;
    b.f = x[i];
    b.bytes[0] ^= 0xff;
    b.halves.high += 1;
    out[i] = b.u;
}

struct Variant {
    int kind;
    union {
        int whole;
        float real;
        short2 pair;
    };
};
kernel void anonymous(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    Variant v;
    v.kind = i % 3;
    if (v.kind == 0) v.whole = i;
    else if (v.kind == 1) v.real = i;
    else v.pair = short2(i, -1);
    Variant w = v;
    out[2 * i] = w.kind;
    out[2 * i + 1] = w.whole;
}

union Block { uint4 vector; uint words[4]; ulong longs[2]; };
kernel void in_buffers(device Block* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    out[i].vector = uint4(i, 1, 2, 3);
    out[i].words[i % 4] = 77;
    out[i].longs[1] += 1ul << 32;
}

enum Plain { first, second, fifth = 5, sixth, negative = -1, again = sixth };
enum Wide : uchar { small = 3, large = 250 };
enum class Scoped : short { red = 1, green, blue = red + 10 };
kernel void enumerations(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    Plain p = i & 1 ? sixth : second;
    Scoped s = Scoped(i);
    Wide w = large;
    int sum = p * 10 + again + negative + sizeof(w) + w;
    switch (s) {
        case Scoped::red: sum += 1000; break;
        case Scoped::green: sum += 2000; break;
        case Scoped::blue: sum += 3000; break;
    }
    if (s > Scoped::green) sum += 10000;
    out[i] = sum + static_cast<int>(Scoped::blue);
}

typedef int Integer;
typedef Integer Four[4];
typedef struct { Integer a; Four b; } Pair;
typedef device Integer* Output;
using Real = float;
struct Traits {
    typedef ushort Small;
    using Result = uint;
    enum { count = 3 };
};
kernel void aliases(Output out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    Four f = {1, 2, 3, Integer(i)};
    Pair p = {5, {6, 7, 8, 9}};
    Real r = 2.5f;
    Traits::Small s = 65535;
    s++;
    Traits::Result u = -1;
    typedef Four Grid[Traits::count];
    Grid g = {{1}, {2}, {3, 4}};
    out[i] = f[3] + p.a * p.b[3] + int(r * 2) + s + (u >> 28) + g[2][1] * 100 + sizeof(Grid) / sizeof(Four);
}
