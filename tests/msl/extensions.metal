// GNU's extensions that clang accepts, members without an object, and parts with names in loops.
#include <metal_stdlib>
using namespace metal;

struct Part {
    char tag;
    float4 b;
    struct { short lo; short hi[3]; } in;
};
_Static_assert(__builtin_offsetof(Part, b) == 16, "aligned");
int counted(thread int& n) { return ++n; }
int twice(int x) __asm("twice_of");
int twice(int x) { return 2 * x; }
constant int chosen = 0 ?: 4;
kernel void extensions(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int n = 0, kind = 0;
    switch (int(i) - 1) {
        case -1: kind = 1; break;
        case 0 ... 2: kind = 2; break;
        case 3 ... 3: kind = 3;
        case -9 ... -5: kind += 10; break;
        default: kind = 4;
    }
    int either = (int(i) - 2) ?: 77;
    int once = counted(n) ?: 50;
    typeof(out[0]) copy = twice(3);
    __typeof__(float) quarter = 0.25f;
    __typeof(copy + 1L) wide = 1;
    Part part = {tag: 3, b: float4(1)};
    out[i * 4] = kind;
    out[i * 4 + 1] = either;
    out[i * 4 + 2] = once + n * 10 + chosen * 100;
    out[i * 4 + 3] = copy + int(quarter * 4) + int(sizeof(wide)) * 100 + part.tag * 1000 + int(part.b.y) * 10000;
}

struct Counter {
    int n;
    float f;
    mutable int calls;
    auto get() const -> decltype(n) { ++calls; return n; }
    auto ratio() const -> decltype(this->f) { calls += 10; return f; }
};
int observed(const thread Counter& c) { return c.get() + int(c.ratio() * 2); }
kernel void without_objects(device int* out [[buffer(0)]]) {
    out[0] = int(__builtin_offsetof(Part, in.hi[2]));
    out[1] = int(sizeof(Part::b) + sizeof(Part::in));
    decltype(Part::b) z = float4(2);
    out[2] = int(z.x);
    Counter c = {3, 1.5f, 0};
    out[3] = observed(c) + c.calls * 100;
    const Counter fixed = {4, 0.0f, 5};
    out[4] = fixed.get() + fixed.calls * 100;
}

struct Pair { int a; int b; };
kernel void parts_in_loops(device int* out [[buffer(0)]]) {
    Pair list[3] = {{1, 2}, {3, 4}, {5, 6}};
    int sum = 0;
    for (const auto& [a, b] : list) sum += a * b;
    for (auto& [a, b] : list) {
        if (a == 3) continue;
        b += 10;
        a = 0;
    }
    for (auto [a, b] : list) {
        a += 1;
        sum += a * 100 + b;
    }
    for (auto&& [x, y] : list) x += y;
    out[0] = sum;
    out[1] = list[0].a * 10000 + list[1].a * 100 + list[2].b;
}
