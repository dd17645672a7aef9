#include <metal_stdlib>
using namespace metal;
int program_scope = 1;
double d;
kernel int returns(device int* a) { return 1; }
kernel void thread_pointer(thread int* a) {}
kernel void no_attribute(device int* a, uint i) {}
kernel void wrong_type(device int* a, float i [[thread_position_in_grid]]) {}
kernel void clash(device int* a [[buffer(1)]], device int* b [[buffer(1)]]) {}
kernel void range(device int* a [[buffer(31)]]) {}
void device_local(device int* p) { device int x = 1; }
void unsized() { int a[]; int b[-1]; int n = 2; int c[n]; void v; }
static_assert(sizeof(int) == 8, "int has eight bytes");
struct Incomplete;
struct Twice { int a; float a; };
struct Twice { int b; };
struct Hole { Incomplete i; };
enum E { A, A };
constant float uninitialised;
