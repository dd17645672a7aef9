#include <metal_stdlib>
using namespace metal;
struct S { int x; };
void by_pointer(device int* p);
void by_reference(thread float& x);
kernel void k(device int* out, constant float* c, device const int* in, uint i [[thread_position_in_grid]]) {
    S s;
    int a = s;
    float2 v = float3(1);
    by_pointer(c);
    by_pointer(in);
    thread int* t = out;
    int4 q = int4(1, 2);
    float4 r = float4(float3(1), float2(1));
    by_reference(1.0f);
    uint u = as_type<uint>(half(1));
    threadgroup float* g = (threadgroup float*)out;
    int n = {1, 2};
    int arr[2] = {1, 2, 3};
    S z = {1, 2};
    bool b = v;
    if (float4(1)) {}
    out = nullptr;
    device int& d = s.x;
}
