// Structs, their methods, constructors and operators (C++14 9, 12, 13.5).
#include <metal_stdlib>
using namespace metal;

struct Point {
    int x, y = 4;
    int sum() const { return x + y; }
    void move_by(int d) { x += d; this->y -= d; }
    thread Point& chained(int d) { x *= d; return *this; }
    static int twice(int v) { return 2 * v; }
    int later(int n) const { return n > 0 ? other(n) : x; }  // A method may be used before it is declared.
    int other(int n) const { return y * n; }
};

kernel void methods(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    Point p;
    p.x = i;
    p.move_by(3);
    p.chained(2).chained(5);
    out[i] = p.sum() * 100 + Point::twice(p.y) + p.later(int(i) - 5);
}

struct Complex {
    float re, im;
    Complex(float re, float im = 0) : re(re), im(im) {}
    explicit Complex(int2 v) : Complex(v.x, v.y) {}
    Complex operator+(Complex o) const { return Complex(re + o.re, im + o.im); }
    Complex operator-() const { return {-re, -im}; }
    thread Complex& operator*=(thread const Complex& o) {
        float r = re * o.re - im * o.im;
        im = re * o.im + im * o.re;
        re = r;
        return *this;
    }
    bool operator==(Complex o) const { return re == o.re && im == o.im; }
    float operator[](int k) const { return k ? im : re; }
    float operator()(float a, float b) const { return a * re + b * im; }
    thread Complex& operator++() { re += 1; return *this; }
    Complex operator++(int) { Complex old = *this; re += 1; return old; }
    explicit operator float() const { return re * 1000 + im; }
};
Complex operator*(Complex a, Complex b) { a *= b; return a; }
Complex operator-(Complex a, Complex b) { return a + -b; }

kernel void operators(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    Complex a(i, 2), b = 3.0f, c(int2(1, -1));
    Complex d = a * b - c * Complex(0, 1);
    ++d;
    Complex e = d++;
    out[i] = float(d) + e[0] + 10 * e[1] + d(100, 10000) + (d == e) + (e == e) * 2;
}

struct Defaults {
    int a = 1;
    float b[3] = {1, 2, 3};
    int2 c = int2(7);
    struct Inner { short d = 9; uchar e; } inner;
};

kernel void initialisation(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    Defaults a;
    Defaults b = {};
    Defaults c = {int(i), {5}, int2(2, 3), {4, 200}};
    Defaults d{.c = int2(i)};
    a = c;
    a.inner.e += 100;
    out[i] = a.a + int(a.b[0] + a.b[1]) * 10 + a.inner.e + b.inner.e + b.inner.d * 100 + c.c.y * 1000 + d.c.x + d.a + int(d.b[2]);
}

struct Row { int cells[4]; };
struct Table { Row rows[3]; int total; };

Row doubled(Row r) {
    for (int k = 0; k < 4; ++k) r.cells[k] *= 2;
    return r;
}

kernel void nested_by_value(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    Table t = {};
    for (int r = 0; r < 3; ++r)
        for (int c = 0; c < 4; ++c) t.rows[r].cells[c] = r * 10 + c + i;
    Table before = t;
    t.rows[1] = doubled(t.rows[i % 3]);
    t.rows[0].cells[i % 4] = -1;
    for (int c = 0; c < 4; ++c) t.total += t.rows[1].cells[c] - before.rows[2].cells[c] + t.rows[0].cells[c];
    out[i] = t.total;
}

struct Particle {
    packed_float3 position;
    float mass;
    uint id;
    bool alive;
};

kernel void structs_in_buffers(device Particle* out [[buffer(0)]], device const Particle* in [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    Particle p = in[i];
    p.position += float3(1, 2, 3) * p.mass;
    out[i] = p;
    out[i].id = in[i].id + i;
    out[i].alive = !in[i].alive;
}

struct Layout {
    char a;
    int b;
    char c;
    float3 d;
    half e;
    struct { long f; uchar g; } h[2];
};
kernel void layout(device int* out [[buffer(0)]], device Layout* l [[buffer(1)]]) {
    device char* start = (device char*)l;
    out[0] = (device char*)&l->b - start;
    out[1] = &l->c - start;
    out[2] = (device char*)&l->d - start;
    out[3] = (device char*)&l->e - start;
    out[4] = (device char*)&l->h[1].g - start;
    out[5] = sizeof(Layout);
    out[6] = alignof(Layout);
    out[7] = (device char*)(l + 1) - start;
}

struct alignas(16) Aligned { int a; };
struct Empty {};
struct Holder { Empty empty; int a; Aligned b; };
kernel void alignments(device int* out [[buffer(0)]]) {
    out[0] = sizeof(Aligned);
    out[1] = sizeof(Empty);
    out[2] = sizeof(Holder);
}

// A method that is called on the same struct in several address spaces.
struct Counter {
    int n;
    void add(int k) device { n += k; }
    void add(int k) threadgroup { n += 10 * k; }
    void add(int k) thread { n += 100 * k; }
    int get() const device { return n + 1; }
    int get() const threadgroup { return n + 2; }
    int get() const thread { return n + 3; }
    int get() const constant { return n + 4; }
};
constant Counter fixed = {1000};
kernel void this_in_address_spaces(device Counter* out [[buffer(0)]], uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
    threadgroup Counter shared[64];
    Counter own = {int(i)};
    shared[t].n = i;
    out[i].n = i;
    own.add(1);
    shared[t].add(1);
    out[i].add(1);
    out[i].n = own.get() + shared[t].get() + out[i].get() + fixed.get();
}

struct Accumulator {
    float total;
    thread float* log;
    void operator()(float x) { total += x; *log += x * 2; }
};
kernel void functors(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    float log = 0;
    Accumulator add = {0, &log};
    for (uint j = 0; j < i % 10; ++j) add(j);
    out[i] = add.total * 1000 + log;
}

// A default member initialiser that uses earlier members.
template <ushort D> struct Strides {
    constant const uint* dims;
    constant const uint* strides;
    Strides<D - 1> next {dims, strides};
    uint at(uint index) const { return index % dims[D - 1] * strides[D - 1] + next.at(index / dims[D - 1]); }
};
template <> struct Strides<1> {
    constant const uint* dims;
    constant const uint* strides;
    uint at(uint index) const { return index * strides[0]; }
};
struct Sides { int a; int b = a * 2; int sum = a + b; };
kernel void defaults_of_members(device uint* out [[buffer(0)]], constant uint* shape [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    Strides<3> strides {shape, shape + 3};
    Sides sides {int(i)}, others {1, 5};
    out[i] = strides.at(i) + 1000 * sides.sum + 100000 * others.sum;
}
