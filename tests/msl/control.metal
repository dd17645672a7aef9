// Statements (C++14 6), with uniform and with divergent control flow.
#include <metal_stdlib>
using namespace metal;

kernel void conditionals(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int a = 0;
    if (i < 10) a = 1;
    else if (i < 20) {
        if (i & 1) a = 2;
        else a = 3;
    } else if (int left = i % 4) a = left * 10;
    out[i] = a;
}

kernel void loops(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int sum = 0, n = i;
    for (int j = 0, k = 10; j < k; ++j, --k) sum += j * k;
    while (n > 0) {
        sum += n % 3;
        n /= 2;
    }
    do sum += ++n;
    while (n < int(i % 5));
    for (;;) {
        if (sum % 7 == 0) break;
        sum++;
    }
    out[i] = sum;
}

kernel void nested_loops(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int sum = 0;
    for (uint a = 0; a < i % 7; ++a) {
        for (uint b = a; b < 9; ++b) {
            if ((a + b + i) % 5 == 0) continue;
            if (a * b > i) break;
            uint c = b;
            while (true) {
                c += 3;
                if (c > 12) break;
                if (c % 2) continue;
                sum += c;
            }
            sum += 1000;
        }
        if (sum > 20000) break;
    }
    out[i] = sum;
}

kernel void early_returns(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    out[i] = -1;
    if (i % 3 == 0) return;
    out[i] = 1;
    for (uint j = 0; j < 50; ++j) {
        if (j * j > i) {
            out[i] = j;
            return;
        }
    }
    out[i] = 100;
}

int classify(int x) {
    if (x < 0) return -1;
    for (int k = 2; k < x; ++k) {
        if (x % k) continue;
        while (true) {
            if (x / k > 10) return k * 100;
            return k;
        }
    }
    return 0;
}
kernel void returns_from_calls(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int n = int(i) - 5;
    out[i] = i % 2 ? classify(n) : classify(n * 3) + 10000;
}

kernel void switches(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int a = 0;
    switch (i % 10) {
        case 0: a = 5;
        case 1: a += 1; break;
        default: a = 99;
        case 3:
        case 4: {
            a += 10;
            if (i > 20) break;
            a += 100;
        }
        case 5: a *= 2; break;
        case 6: return;
        case 7 + 1: a = -1; break;
    }
    out[i] = a;
}

kernel void switches_in_loops(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int sum = 0;
    for (int j = 0; j < 12; ++j) {
        switch ((j + int(i)) % 4) {
            case 0: continue;
            case 1:
                for (int k = 0; k < 3; ++k) {
                    if (k == 2) break;
                    sum += 1;
                }
                break;
            case 2:
                switch (j & 1) {
                    case 1: sum += 10; break;
                    default: sum += 100;
                }
            case 3: sum += 1000;
        }
        if (sum > 9000) break;
        sum += 10000 / (j + 1) % 7;
    }
    out[i] = sum;
}

int counted(thread int& calls, int result) {
    calls++;
    return result;
}
kernel void short_circuits(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int calls = 0;
    bool a = i & 1 && counted(calls, i & 2);
    bool b = i & 4 || counted(calls, i & 8);
    int c = a ? counted(calls, 1) : b ? counted(calls, 2) + counted(calls, 3) : 0;
    out[i] = calls * 100 + a + 2 * b + 4 * c;
}

kernel void bounds_are_guarded(device int* out [[buffer(0)]], device const int* in [[buffer(1)]], constant uint& n [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    out[i] = i < n && in[i] > 0 ? in[i] : -1;
}

kernel void collatz(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    uint n = i + 1, steps = 0;
    while (n != 1) {
        n = n & 1 ? 3 * n + 1 : n / 2;
        ++steps;
    }
    out[i] = steps;
}

kernel void uniform_branches(device int* out [[buffer(0)]], constant int& mode [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    int a = i;
    if (mode == 2) {
        for (int j = 0; j < mode * 3; ++j) a += j;
    } else {
        a = -1;
    }
    switch (mode) {
        case 1: a = 0; break;
        case 2: a *= 2; break;
    }
    out[i] = a;
}

// Threads leave a loop one by one; all run the code after it.
kernel void together_again(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int n = 0;
    while (n < int(i % 8)) ++n;
    out[i] = n * 1000 + simd_sum(1);
}

kernel void empty_statements(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    ;
    for (int j = 0; j < 3; j++)
        ;
    {}
    int a = (1, 2), b;
    b = a = 7;
    if (i) {
    } else
        b = 8;
    out[i] = a * 10 + b;
}

kernel void never_ends(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    while (out[0] != 1) out[i] = 2;
}

// A value read before a variable changes stays the same, even through a conversion that changes no bits.
kernel void read_before_a_step(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    uchar v = i;
    int held[4] = {}, before = 0, n = 0;
    do {
        held[i & 3] = v;
        before = v--;
    } while (++n < int(1 + (i & 1)));
    out[i] = before * 1000 + held[i & 3];
}

// Lanes leave a loop while others continue with the next iteration.
kernel void breaks_after_continues(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int found = 0;
    for (uint j = 0; j < 4; ++j) {
        if (i % (j + 2) == 0) continue;
        found = j + 1;
        break;
    }
    out[i] = found;
}

// An assignment of a thread before it returns does not affect other threads.
kernel void assigns_and_returns(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int value = 1;
    if (i % 3 == 0) {
        value = 2;
        out[i] = value;
        return;
    }
    out[i] = value;
}
