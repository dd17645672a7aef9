#include <metal_stdlib>
using namespace metal;
struct S { int x; int f(int); static constant constexpr int z = 1; };
namespace n { int g(int a); }
kernel void k(device int* out) {
    out[0] = foo + 1;
    out[0] = bar(1);
    out[0] = n::h(1);
    S s;
    out[0] = s.y;
    out[0] = s.f(1, 2);
    out[0] = s->x;
    thread S* p = &s;
    out[0] = p.x;
    int out = 1;
    int twice = 1;
    int twice = 2;
    mem_flags f = mem_flags::nothing;
    out = S;
    out = this->x;
}
struct Members { int f(); };
int Members::g() { return 1; }
void nothing(void x, int y);
kernel void constants(device int* out) { constexpr int y; const int z; out[0] = y + z; }
struct Base { bool b; };
struct Outer : Base { int x; int f() { struct Inner { int y; int g() { return b ? x : y; } } inner; return inner.g(); } };
kernel void nested(device int* out) { threadgroup auto deduced{1}; Outer outer; out[0] = outer.f(); }
