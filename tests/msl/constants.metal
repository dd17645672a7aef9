// Constants (MSL 4.3; C++14 7.1.5, 5.19): tables, constexpr, auto, static_assert.
#include <metal_stdlib>
using namespace metal;

constant int answer = 42;
constant float table[5] = {1.5f, -2, 3e2f, 0x1p-3f};
constant int grid[2][3] = {{1, 2, 3}, {4, 5, 6}};
constant uchar bytes[] = {1, 2, 250, 255};
constant half halves[2] = {0.5h, 2};
constant float4 vectors[] = {float4(1, 2, 3, 4), float4(5)};
constant constexpr int count = 3 * 4 + (1 << 3);
constant int derived = count * 2 + answer;
struct Entry { int key; float weight; uchar tags[2]; };
constant Entry entries[3] = {{1, 0.5f, {1, 2}}, {2, 1.5f}, {.key = 3}};
constant float3x3 turned = float3x3(float3(0, 1, 0), float3(-1, 0, 0), float3(0, 0, 1));

kernel void tables(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    constant Entry& e = entries[i % 3];
    float sum = table[i % 5] + grid[i % 2][i % 3] * 10 + bytes[i % 4] * 100 + halves[i & 1];
    out[i] = sum + vectors[i & 1].w + derived + e.key + e.weight * 4 + e.tags[1] + (turned * float3(1, 2, 3)).y;
}

constexpr int power(int base, int n) {
    int product = 1;
    for (int k = 0; k < n; ++k) product *= base;
    return product;
}
constexpr int fibonacci(int n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
constexpr uint hash(uint x) { return (x ^ 61u) * 9u >> 4; }
static_assert(power(3, 4) == 81 && fibonacci(10) == 55, "constant evaluation");
static_assert(sizeof(int[power(2, 3)]) == 32);
struct Sizes {
    static constexpr constant int rows = 4;
    static constant constexpr int columns = rows * 2;
    int cells[rows * columns];
};
kernel void constant_expressions(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    constexpr int n = power(2, 3) + fibonacci(6);
    const int m = 2 + 3;
    int a[n - 10] = {}, b[m] = {1, 2};
    constexpr uint h = hash(12345);
    out[i] = sizeof(a) + sizeof(b) * 100 + power(i % 3, 3) * 10000 + int(h) + Sizes::columns + sizeof(Sizes) + hash(i);
}

constexpr float half_of(float x) { return x * 0.5f; }
kernel void constant_floats(device float* out [[buffer(0)]]) {
    constexpr float a = half_of(3.0f);
    const float b = M_PI_F, c = 1.0f / 3.0f;
    constexpr bool small = a < 2;
    out[0] = a + small;
    out[1] = b;
    out[2] = c;
    out[3] = int(7.9f) + float(7 / 2) + 7 / 2.0f;
    out[4] = FLT_MAX;
    out[5] = FLT_EPSILON;
    out[6] = INFINITY;
    out[7] = -HUGE_VALF;
    out[8] = MAXFLOAT;
    out[9] = HALF_MAX;
}

kernel void deduced(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    auto a = i;
    auto b = 1.5f * a;
    auto p = out + a;
    auto v = float2(b, 1) * 2;
    const auto c = half(2);
    thread auto& r = b;
    r += 1;
    auto s = uchar(200) + uchar(100);
    auto t = -a;
    *p = int(b) + int(v.x) * 10 + int(c) * 1000 + s * 10000 + (t > 5u) + sizeof(c);
}

auto deduced_result(int x) { return x * 0.25f; }
kernel void deduced_results(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    auto add = deduced_result(i);
    decltype(add) b = add * 2;
    out[i] = add + b;
}

kernel void limits(device int* out [[buffer(0)]]) {
    out[0] = numeric_limits<int>::max();
    out[1] = numeric_limits<short>::lowest();
    out[2] = numeric_limits<uchar>::max() + numeric_limits<char>::min();
    out[3] = numeric_limits<float>::infinity() > FLT_MAX;
    out[4] = numeric_limits<half>::max() == HALF_MAX;
    out[5] = numeric_limits<uint>::max() == UINT_MAX;
    out[6] = numeric_limits<float>::lowest() == -FLT_MAX;
    out[7] = numeric_limits<float>::epsilon() == FLT_EPSILON;
}

// A constant needs memory when a reference binds to it.
constant constexpr const int nothing = 0;
int through_reference(const constant int& x, const constant float4* v) { return x + int(v->z); }
kernel void referred_to(device int* out [[buffer(0)]]) {
    constant int* p = &answer;
    out[0] = through_reference(nothing, &vectors[0]);
    out[1] = through_reference(answer, vectors + 1) + *p;
    out[2] = *&derived;
}

// A program's own type, under the name that <metal_limits> specialises.
template <typename T> struct ranked { uint rank; T value; };
template <typename T> struct _numeric_limits_impl<ranked<T>> {
    static constexpr METAL_FUNC ranked<T> lowest() { return ranked<T>{3, numeric_limits<T>::lowest()}; }
};
kernel void own_limits(device int* out [[buffer(0)]]) {
    out[0] = numeric_limits<ranked<short>>::lowest().value;
    out[1] = metal::numeric_limits<ranked<int>>::lowest().rank;
}
