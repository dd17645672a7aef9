// MSL 4: address spaces and qualifiers of pointers and references.
#include <metal_stdlib>
using namespace metal;

struct Node { int value; device Node* next; Node* previous; };
int read(int* p) { return *p; }
int seen(const int& x) { return x; }
typedef float* floats;
template <typename T> T first(T* p) { return p[0]; }

kernel void k(device int* out [[buffer(0)]], device float* in [[buffer(1)]]) {
    int* p = 0;
    thread int local = 3;
    thread int* own = &local;
    out[0] = read((int*)own) + seen(local);
    out[1] = int(first(in)) + *reinterpret_cast<device int*>(in);
}
