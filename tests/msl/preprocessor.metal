// The preprocessor (C++14 16): macros, conditionals, pragmas, and Metal's predefined macros.
#include <metal_stdlib>
#include <metal_math>
using namespace metal;

#define ANSWER 42
#define SQUARE(x) ((x) * (x))
#define TEXT(x) #x
#define PASTE(a, b) a##b
#define EXPANDED_PASTE(a, b) PASTE(a, b)
#define SUM2(a, b) ((a) + (b))
#define SUM(first, ...) SUM2(first, __VA_ARGS__)
#define ARRAY(...) { __VA_ARGS__ }
#define PLUS(a, ...) (a __VA_OPT__(+) __VA_ARGS__)
#define EMPTY
#define DEFER(name) name EMPTY
#define COUNTED(x, y, z, n, ...) n
#define COUNT(...) COUNTED(__VA_ARGS__, 3, 2, 1, 0)

#define FUNCTION(name, type, op) type name(type a, type b) { return a op b; }
FUNCTION(plus_of, int, +)
FUNCTION(minus_of, int, -)
#undef FUNCTION

kernel void object_macros(device int* out [[buffer(0)]]) {
    out[0] = ANSWER;
    out[1] = EXPANDED_PASTE(ANS, WER);
    out[2] = PASTE(4, 2);
    out[3] = plus_of(2, 3) * 100 + minus_of(2, 3);
}

kernel void function_macros(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int SUM = i;  // Without parentheses it is not a macro call.
    out[i] = SQUARE(SUM + 1) + SUM(1, SQUARE(SUM));
}

kernel void variadic_macros(device int* out [[buffer(0)]]) {
    const int values[] = ARRAY(3, SUM(1, 2), ANSWER);
    out[0] = values[0];
    out[1] = values[1];
    out[2] = values[2];
    out[3] = COUNT(a, b);
    out[4] = PLUS(5);
    out[5] = PLUS(5, 6);
}

static_assert(SUM(1, 1) == 2, TEXT(SUM(1, 1)) " is not " TEXT("2\n"));

#if defined(ANSWER) && ANSWER * 2 == 84 && !defined NOTHING
#define FIRST 1
#elif ANSWER
#define FIRST 2
#else
#error this branch is not taken
#endif
#if UNKNOWN || (1 ? -1 : 0u) < 0
#define SECOND 1  // -1 is converted to unsigned because of 0u.
#else
#define SECOND 2
#endif
#ifdef NOTHING
#if this is not an expression and not looked at
#endif
#define THIRD 1
#else
#define THIRD (0x7 & ~2 | 1 << 4)
#endif
#ifndef THIRD
#error THIRD is defined
#endif

kernel void conditionals(device int* out [[buffer(0)]]) {
    out[0] = FIRST;
    out[1] = SECOND;
    out[2] = THIRD;
#if 'a' == 97 && 10 / 3 == 3 && (2 || 1 / 0)
    out[3] = 1;
#endif
}

kernel void rescans(device int* out [[buffer(0)]]) {
    int self = 5, other = 7;
#define self (2 * self)  // Not expanded again inside its own expansion.
#define even(x) x + odd
#define odd even(1)
    out[0] = self;
#undef odd
    int odd = 10;
    out[1] = even(other);
}

#define add(a, b) ((a) + (b))
#define twice(x) add(x, x)
#define indirect(m, x) m(x)
kernel void nesting(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    out[i] = twice(twice(int(i))) + indirect(twice, add(int(i), 1));
}

#pragma METAL fp math_mode(safe)
#define UNROLL _Pragma("unroll")
#define UNROLL_BY(n) _Pragma(TEXT(unroll(n)))
kernel void pragmas(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    int sum = 0;
    UNROLL for (uint j = 0; j < 4; ++j) sum += j * i;
    UNROLL_BY(2) for (uint j = 0; j < 4; ++j) sum += j;
#pragma clang loop unroll(full)
    for (uint j = 0; j < 2; ++j) sum += 1;
    out[i] = sum;
}

kernel void predefined(device int* out [[buffer(0)]]) {
#line 700
    out[0] = __LINE__;
    out[1] = __METAL_VERSION__;
#ifdef __HAVE_BFLOAT__
    out[2] = 1;
#endif
#ifdef __METAL__
    out[3] = 1;
#endif
    out[4] = __COUNTER__ - __COUNTER__;
}

#define LONG_MACRO(a, \
                   b) \
    (a -              \
     b)
kernel void spliced_lines(device int* out [[buffer(0)]]) {
    out[0] = LONG_MACRO(9, /* a comment
                              over lines */ 4);
    // A comment that continues \
    out[0] = 1;
    // So does a word that is an operator.
    if (out[0] an\
d out[0] > 0) { out[1] = 1; }
}
