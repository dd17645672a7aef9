// initializer_list (C++14 dcl.init.list): parameters, constructors, auto, loops.
#include <metal_stdlib>
using namespace metal;

struct Bag {
    int total;
    int how;
    Bag(initializer_list<int> list) : total(0), how(1) { for (int x : list) total += x; }
    Bag(int a, int b) : total(a * b), how(2) {}
};
int sum_of(initializer_list<float> list, int by = 1) {
    float sum = 0;
    for (auto x : list) sum += x;
    return int(sum * by);
}
int chosen(initializer_list<int> list) { return 1; }
int chosen(float2 v) { return 2; }
// Only a parameter that is a list deduces from one.
template <typename T> T first_of(initializer_list<T> list) { return *list.begin(); }
template <typename T> int kind_of(const thread initializer_list<T>& list, T least) { return sizeof(T) * 10 + int(list.size()); }
template <typename T> int taken(T x) { return 1; }
template <typename T> int taken(initializer_list<T> x) { return 2; }
int counted() {
    initializer_list<int> list = {1, 2, 3};
    int sum = 0;
    for (int x : list) sum += x;
    return sum * 10 + int(list.size());
}

// At program scope and in constant expressions: constructors, functions, loops, distances.
struct Powers {
    int values[4];
    uint count;
    constexpr Powers(initializer_list<int> list) : values{}, count(0) {
        for (int x : list) { values[count] = x * x; ++count; }
    }
};
constexpr int weighted(initializer_list<int> list, int start = 0) {
    int sum = start;
    for (auto at = list.begin(); at < list.end(); ++at) { sum += *at * int(at - list.begin() + 1); }
    return sum + 1000 * int(list.size()) + 100 * int(list.end() - list.begin());
}
template <typename T> constexpr T most(initializer_list<T> list) {
    T found = *list.begin();
    for (T x : list) { found = x > found ? x : found; }
    return found;
}
constant Powers POWERS = {2, 3, 4};
constant int WEIGHTED = weighted({1, 2, 3}, 5);
constexpr constant float MOST = most({1.5f, 4.5f, 2.0f});
static_assert(weighted({4, 5}) == 4 + 10 + 2000 + 200, "a list in a constant expression");
static_assert(most({7, 9, 8}) == 9 && initializer_list<int>{}.size() == 0, "deduced from the list");
kernel void constants(device int* out [[buffer(0)]]) {
    constexpr int local = weighted({6, 7});
    int sizes[most({2, 3})] = {1, 2, 3};
    out[0] = POWERS.values[0] + 10 * POWERS.values[1] + 100 * POWERS.values[2] + 10000 * int(POWERS.count);
    out[1] = WEIGHTED;
    out[2] = int(MOST * 2);
    out[3] = local;
    out[4] = sizes[0] + sizes[1] + sizes[2];
}

kernel void lists(device int* out [[buffer(0)]]) {
    Bag a = {1, 2}, b(3, 4), c{5};
    out[0] = a.total + a.how * 10 + b.total * 100 + b.how * 10000;
    out[1] = c.total * 10 + c.how;
    out[2] = sum_of({1, 2.5f}, 2);
    auto list = {4, 5, 6};
    out[3] = int(list.size()) * 100 + *(list.begin() + 1) + list.end()[-1];
    int sum = 0;
    for (int x : {7, 8}) sum += x;
    out[4] = sum;
    out[5] = int(initializer_list<int>{}.size()) + chosen({1, 2});
    // Each iteration has an array of its own elements.
    int total = 0;
    for (int i = 0; i < 3; ++i) total += sum_of({float(i), 1.0f});
    out[6] = total;
    out[7] = counted();
    out[8] = first_of({7, 8, 9}) + kind_of({half(1), half(2)}, half(0)) * 100;
    out[9] = taken({1.0f}) * 10 + taken(1);
}
