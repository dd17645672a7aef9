#include <metal_stdlib>
using namespace metal;
int odd(int n);
int even(int n) { return n == 0 ? 1 : odd(n - 1); }
int odd(int n) { return n == 0 ? 0 : even(n - 1); }
int missing(int n);
int declared_only(int n);
constant int c [[function_constant(0)]];
kernel void recursive(device int* out) { out[0] = even(out[1]); }
kernel void undefined(device int* out) { out[0] = missing(1); }
kernel void unset(device int* out) { out[0] = c; }
kernel void table(device int* out) { constant int t[2] = {1, 2}; out[0] = t[out[0]]; }
