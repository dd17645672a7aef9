// Destructors of variables, parameters, members, bases and elements, however their scope is left (C++14 class.dtor).
#include <metal_stdlib>
using namespace metal;

/// Appends its number to a list when it is made, and its negative when it ends.
struct Noted {
    thread int* list; int number;
    Noted(thread int* l, int n) : list(l), number(n) { note(n); }
    Noted(const thread Noted& other) : list(other.list), number(other.number + 100) { note(number); }
    ~Noted() { note(-number); }
    void note(int n) { list[++list[0]] = n; }
};
struct Base { Noted first; Base(thread int* l) : first(l, 1) {} ~Base() { first.note(-10); } };
struct Derived : Base {
    Noted second; Noted third = Noted(second.list, 3);
    Derived(thread int* l) : Base(l), second(l, 2) {}
    ~Derived() { if (second.number == 2) { return; } second.note(-20); }
};
struct Aggregate { Noted a; Noted b[2]; };
template <typename T> struct Guard {
    thread T& value; T old;
    Guard(thread T& v, T next) : value(v), old(v) { value = next; }
    ~Guard();
};
template <typename T> Guard<T>::~Guard() { value = old; }

int taken(Noted object, thread int* list) { object.note(7); return list[0]; }
Noted returned(thread int* list) { Noted local(list, 4); return local; }
Noted made(thread int* list) { return Noted(list, 5); }
int early(thread int* list, int at) {
    Noted outer(list, 1);
    for (int i = 0; i < 4; i++) {
        Noted inner(list, 2 + i);
        if (i == at) { continue; }
        if (i == at + 1) { break; }
        switch (i) { case 0: { Noted deep(list, 9); break; } default: break; }
        if (at == 8) { Noted last(list, 8); return list[0]; }
    }
    return list[0];
}

/// The list as one number: each entry is a digit more, of those below 16.
static ulong digits(thread int* list) {
    ulong all = 1;
    for (int i = 1; i <= list[0]; i++) { all = all * 31 + ulong(list[i] + 200); }
    return all;
}

kernel void destructors(device ulong* out [[buffer(0)]]) {
    int list[40];
    list[0] = 0;
    { Noted a(list, 1); Noted b(list, 2); { Noted c = Noted(list, 3); } Noted d{list, 4}; }
    out[0] = digits(list);
    list[0] = 0;
    { Derived object(list); }
    out[1] = digits(list);
    list[0] = 0;
    { Aggregate all = {Noted(list, 1), {Noted(list, 2), Noted(list, 3)}}; }
    out[2] = digits(list);
    list[0] = 0;
    { Noted a(list, 1); taken(a, list); auto b = a; }
    out[3] = digits(list);
    list[0] = 0;
    { Noted a = returned(list); const auto b = made(list); Noted c = a.number > 0 ? Noted(list, 6) : Noted(list, 7); }
    out[4] = digits(list);
    list[0] = 0;
    int result = early(list, 1);
    out[5] = digits(list) + ulong(result);
    list[0] = 0;
    result = early(list, 8);
    out[6] = digits(list) + ulong(result);
    int x = 1; float seen = 0;
    { Guard<int> guard(x, 5); seen = x; if (x == 5) { Guard<float> inner(seen, 9.0f); x += int(seen); } }
    out[7] = ulong(x) * 100 + ulong(seen);
    auto copied = [&list](int n) { Noted local(list, n); return n; };
    list[0] = 0;
    if (Noted held(list, 1); copied(2) == 2) { held.note(3); }
    out[8] = digits(list);
}

// ---- objects that are parts, copies, arguments and results ----

struct Zeroed { int n; Zeroed() : n(1) {} ~Zeroed() { n = 0; } };
struct Array { Zeroed all[2]; };
struct One { Noted part; };
struct Later { thread int* list; Noted a = Noted(list, 1); Noted b = Noted(a.list, 2); };
struct Two { Noted a; Noted b; };
struct Tick { thread int* count; ~Tick() { *count += 1; } };
struct Moved {
    thread int* list; int number;
    Moved(thread int* l, int n) : list(l), number(n) {}
    Moved(const thread Moved&) = delete;
    Moved(thread Moved&& other) : list(other.list), number(other.number + 100) {}
    ~Moved() { list[++list[0]] = -number; }
};
struct Deleted { ~Deleted() = delete; };
struct Harmless { ~Harmless() {} };
struct Plain { int n; ~Plain() = default; };
static_assert(!is_trivially_destructible<Array>::value && !is_trivially_destructible<Harmless>::value && is_trivially_destructible<Plain>::value, "");
static_assert(is_destructible<Array>::value && is_destructible<thread int&>::value && !is_destructible<Deleted[2]>::value, "");
static_assert(!is_trivially_copyable<Tick>::value && is_trivially_copyable<Plain>::value && !is_literal_type<Tick>::value && !is_destructible<void>::value, "");

Moved moved(thread int* list) { Moved local(list, 4); return local; }
One of_array(thread int* list) { One all[2] = {{Noted(list, 1)}, {Noted(list, 2)}}; return all[1]; }
template <typename F> int applied(F f) { return f(); }
int read(const thread Noted& object) { return object.number; }

struct Counted { thread int& left; int n; operator int() const { return n; } ~Counted() { left--; } };

kernel void kept(device ulong* out [[buffer(0)]]) {
    int list[40], count = 0;
    list[0] = 0;
    { One all[2] = {{Noted(list, 1)}, {Noted(list, 2)}}; One b = all[1]; }
    out[0] = digits(list);
    list[0] = 0;
    { One b = of_array(list); }
    out[1] = digits(list);
    list[0] = 0;
    taken(Noted(list, 1), list);
    taken(made(list), list);
    out[2] = digits(list);
    list[0] = 0;
    { Later later = {list}; }
    out[3] = digits(list);
    list[0] = 0;
    { auto [x, y] = Two{Noted(list, 1), Noted(list, 2)}; x.note(9); }
    out[4] = digits(list);
    list[0] = 0;
    { Moved m = moved(list); }
    out[5] = digits(list);
    { Tick all[3][1500]; for (int i = 0; i < 4500; i++) { all[i / 1500][i % 1500].count = &count; } }
    out[6] = ulong(count);
    count = 0;
    { Tick tick = {&count}; auto f = [tick]() { return 2; }; f(); applied([tick]() { return 3; }); applied(f); }
    { Tick tick = {&count}; Tick other = {&count}; other = tick; }
    out[7] = ulong(count);
    int x = 1, seen = 0;
    if (Guard<int> guard{x, 5}; x == 5) { seen += x; }
    switch (int n{3}; n) { case 3: seen += 10; }
    if (auto v = [&] { return x; }(); v) { seen += 100; }
    seen += 1000 * ({ auto f = [](int a) { if (a > 1) { return a + 1; } return a; }; for (;;) { break; } f(2); });
    out[8] = ulong(seen);
    { Zeroed objects[2]; Array array; out[9] = ulong(objects[1].n + array.all[1].n); }
    list[0] = 0;
    switch (x) { case 1: { Noted inner(list, 1); } for (int i = 0; i < 2; i++) { case 2: list[++list[0]] = 7; Noted each(list, 3); } }
    out[10] = digits(list);
    int left = 1;
    {
        Counted c = {left, 3};
        int sum = c + 1;
        sum += c;
        sum += 2 * c + (c == 3) + (left ? c : 1) + (c && left) * 10;
        out[11] = ulong(sum);
    }
    out[11] = out[11] * 10 + ulong(left);
}
