#include <metal_stdlib>
using namespace metal;
struct S { int x; };
constant int table[2] = {1, 2};
kernel void k(device int* out, device const int* in) {
    S s, t;
    out[0] = s + t;
    out[0] = 1.5f % 2;
    out[0] = ~1.0f;
    out[0] = -s;
    int2 a = int2(1) + int3(1);
    1 = 2;
    in[0] = 3;
    table[0] = 1;
    const int c = 1;
    c += 2;
    a.xx = int2(1);
    out[0] = a.q;
    out[0] = a.z;
    out[0] = *1;
    out[0] = out[1.5f];
    out[0] = s[0];
    thread int* p = &a.x;
    out[0] = s();
    out[0] = true ? s : 1;
    int2(1) ? float3(1) : 2;
    p && int2(1);
    int b[2];
    b = out;
    threadgroup int shared = 5;
}
