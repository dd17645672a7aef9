// Functions that call themselves, directly or through others (MSL 1.5.4).
#include <metal_stdlib>
using namespace metal;

uint fibonacci(uint n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
bool is_odd(int n);
bool is_even(int n) { return n == 0 || is_odd(n - 1); }
bool is_odd(int n) { return n != 0 && is_even(n - 1); }
struct Range { int low, high; };
Range extremes(const device int* list, int from, int to) {
    if (to - from == 1) { return {list[from], list[from]}; }
    const int middle = (from + to) / 2;
    const Range a = extremes(list, from, middle), b = extremes(list, middle, to);
    return {min(a.low, b.low), max(a.high, b.high)};
}
float3 halved(float3 x, int times) {
    x.y += 1;
    return times == 0 ? x : halved(x * float3(0.5f, 1, 2), times - 1);
}
void counted(thread int& sum, int n) {
    if (n > 0) {
        sum += n;
        counted(sum, n - 1);
        sum = 2 * sum + 1;
    }
}
struct Tree {
    int nodes;
    Tree(int depth, int2 leaves) : nodes(1) {
        if (depth == 0) { nodes = leaves.x; } else { nodes += Tree(depth - 1, leaves.yx).nodes * 2; }
    }
    int deep(int n) const { return n <= 0 ? nodes : deep(n - 3) + 1; }
};
template <typename T> T power(T x, int n) { return n == 0 ? T(1) : n % 2 ? x * power(x, n - 1) : power(x * x, n / 2); }
half chosen(half (*f)(half, int), half x, int n);
half twice(half x, int n) { return n == 0 ? x : chosen(twice, x * 2, n - 1); }
half chosen(half (*f)(half, int), half x, int n) { return n == 0 ? x : f(x, 0) + 1; }

kernel void recursion(device int* out [[buffer(0)]], const device int* list [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    const Range both = extremes(list, 0, int(i) + 1);
    int sum = 0;
    counted(sum, int(i % 7));
    const float3 x = halved(float3(1024, i, 1), int(i % 6));
    device int* own = out + 7 * i;
    own[0] = fibonacci(i % 13);
    own[1] = is_even(int(i)) + 10 * is_odd(int(i) + 24);
    own[2] = 1000 * both.low + both.high;
    own[3] = int(x.x + 10 * x.y + 1000 * x.z);
    own[4] = sum;
    own[5] = Tree(int(i % 4), int2(1, 5)).deep(int(i));
    own[6] = power(3, int(i % 9)) + int(power(2.0f, int(i % 9)));
}

kernel void recursion_and_pointers(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    out[i] = twice(half(i), int(i % 3));
}
