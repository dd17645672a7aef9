// Strings: arrays of characters, tables of addresses, raw strings (C++14 lex.string, dcl.init.string).
#include <metal_stdlib>
using namespace metal;

constant char word[] = "abc";
constant uchar bytes[6] = "a\xff" "z";
static_assert(sizeof(word) == 4, "with the zero after it");
kernel void arrays_of_characters(device int* out [[buffer(0)]]) {
    char local[8] = "hi";
    char deduced[] = {"there"};
    char rows[2][3] = {"ab", "c"};
    char listed[3] = {'x', 'y'};
    out[0] = word[1] + word[3];
    out[1] = bytes[1] * 1000 + bytes[2] + bytes[5];
    out[2] = local[1] * 10 + local[7];
    out[3] = int(sizeof(deduced)) * 1000 + deduced[4];
    out[4] = rows[0][1] * 1000 + rows[1][0] + rows[1][1];
    out[5] = listed[1] + listed[2];
}

struct Named { constant char* name; int value; char tag[4]; };
constant char* constant names[] = {"x", "yz", R"(raw "\n")", R"--(
))--"};
constant Named table[2] = {{"one", 1, "I"}, {"three", 3, "III"}};
constant char* constant single = "only";
int length(constant char* text) {
    int n = 0;
    while (text[n] != 0) ++n;
    return n;
}
kernel void tables_of_strings(device int* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    constant char* constant own[2] = {"p", "qqq"};
    int sum = 0;
    for (auto name : names) sum += length(name);
    Named one = table[i % 2];
    out[i * 4] = length(names[i]) * 100 + names[i][0];
    out[i * 4 + 1] = length(table[i % 2].name) * 100 + one.value * 10 + one.tag[2];
    out[i * 4 + 2] = length(own[i % 2]) * 10 + length(single);
    out[i * 4 + 3] = sum;
}
