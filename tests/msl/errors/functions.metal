#include <metal_stdlib>
using namespace metal;
int f(int a);
int f(float a);
int g(int a) { return; }
void h() { return 1; }
int twice() { return 1; }
int twice() { return 2; }
int never_defined(int a);
int deleted(int a) = delete;
auto late(int x) { return x > 0 ? late(x - 1) : 0; }
kernel void k(device int* out, uint i [[thread_position_in_grid]]) {
    out[0] = f(1u);
    out[0] = f();
    out[0] = max(1, 2u);
    out[0] = sqrt(out);
    out[0] = dot(float3(1), float4(1));
    out[0] = deleted(1);
    k(out, i);
    threadgroup_barrier(1);
    break;
    continue;
    case 1: ;
}
kernel void through_pointers(metal::visible_function_table<float(float, int)> table, device float* out) {
    out[0] = table[0](1.0f);
    out[1] = table[0](1.0f, 2, 3);
    out[2] = table[0](out, 2);
    out[3] = table(1.0f, 2);
}
