// Weights of any type, decoded 16 values at a time.
//
// The source before this one defines FORMAT, the id of the type in GGUF files (1000 for MLX's affine format, with
// BITS and GROUP), and VALUES and BYTES, the size of a block. The layouts are in `weights/blocks.rs`.

// A matrix: its rows of blocks, and for MLX the scales and biases of their groups.
struct Matrix {
    device const uchar *blocks;
    // The bytes of a row, and its values.
    uint stride;
    uint columns;
#if FORMAT == 1000
    device const SCALE *scales;
    device const SCALE *biases;
#endif
};

inline uint ushort_at(device const uchar *b) { return b[0] | uint(b[1]) << 8; }

inline uint uint_at(device const uchar *b) { return ushort_at(b) | ushort_at(b + 2) << 16; }

inline float half_at(device const uchar *b) { return float(as_type<half>(ushort(ushort_at(b)))); }

// Whether rows are of whole groups of 16 values.
#define BLOCKS (FORMAT != 0 && FORMAT != 1 && FORMAT != 30)

#if !BLOCKS

#if FORMAT == 0
typedef float Plain;
#elif FORMAT == 1
typedef half Plain;
#else
typedef bfloat Plain;
#endif

// Group `g` of row `row`. After the row's end it is zeros.
inline void decode(Matrix matrix, uint row, uint g, thread float *v) {
    device const Plain *values = (device const Plain *)(matrix.blocks + ulong(row) * matrix.stride) + 16 * g;
    uint rest = matrix.columns - 16 * g;
    if (rest >= 16) {
        for (uint i = 0; i < 16; i++) v[i] = float(values[i]);
    } else {
        for (uint i = 0; i < 16; i++) v[i] = i < rest ? float(values[i]) : 0.0f;
    }
}

#elif FORMAT == 1000

// A stream of bits, the lowest first; a value times the scale of its group, plus the group's bias.
inline void decode(Matrix matrix, uint row, uint g, thread float *v) {
    device const uchar *bits = matrix.blocks + ulong(row) * matrix.stride + 2 * BITS * g;
    ulong group = ulong(row) * (matrix.columns / GROUP);
    for (uint i = 0; i < 16; i++) {
        uint at = i * BITS, byte = at / 8, shift = at % 8;
        uint word = bits[byte];
        if (shift + BITS > 8) word |= uint(bits[byte + 1]) << 8;
        uint scale = (16 * g + i) / GROUP;
        float q = float(word >> shift & ((1u << BITS) - 1));
        v[i] = q * float(matrix.scales[group + scale]) + float(matrix.biases[group + scale]);
    }
}

#else

// Four bits of a format with 16 unequal steps.
constant char STEPS[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// Twice the values of a float with one bit of sign, two of exponent and one of mantissa.
constant char E2M1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// Pairs of bits where each byte of 32 has the values that are 32 apart: value `i` of group `g`.
inline uint two_bits(device const uchar *b, uint g, uint i) {
    return b[g / 8 * 32 + g % 2 * 16 + i] >> (g % 8 / 2 * 2) & 3;
}

inline uint nibble(device const uchar *b, uint i) { return b[i / 2] >> (i % 2 * 4) & 15; }

// Seven signs and the eighth, which makes the number of negative ones even.
inline uint signs(uint bits) {
    bits &= 127;
    return bits | (popcount(bits) & 1) << 7;
}

// Values of a grid's entry, with a scale and signs.
inline void entry(uint packed, uint count, uint bits, float d, uint negative, thread float *v) {
    for (uint i = 0; i < count; i++) {
        uint code = packed >> (bits * i) & ((1u << bits) - 1);
#if FORMAT == 21
        float level = float(2 * code + 1);
#elif FORMAT == 18
        float level = code == 7 ? 62.0f : float(4 + 8 * code);
#else
        float level = code == 0 ? 8.0f : code == 1 ? 25.0f : 43.0f;
#endif
        v[i] = negative >> i & 1 ? -(d * level) : d * level;
    }
}

// Group `g` of 16 values of a block.
inline void block(device const uchar *b, uint g, thread float *v) {
#if FORMAT == 2 // Q4_0
    float d = half_at(b);
    for (uint i = 0; i < 16; i++) v[i] = (float(b[2 + i] >> (4 * g) & 15) - 8.0f) * d;
#elif FORMAT == 3 // Q4_1
    float d = half_at(b), m = half_at(b + 2);
    for (uint i = 0; i < 16; i++) v[i] = float(b[4 + i] >> (4 * g) & 15) * d + m;
#elif FORMAT == 6 // Q5_0
    float d = half_at(b);
    uint high = ushort_at(b + 2 + 2 * g);
    for (uint i = 0; i < 16; i++) {
        v[i] = (float((b[6 + i] >> (4 * g) & 15) | (high >> i & 1) << 4) - 16.0f) * d;
    }
#elif FORMAT == 7 // Q5_1
    float d = half_at(b), m = half_at(b + 2);
    uint high = ushort_at(b + 4 + 2 * g);
    for (uint i = 0; i < 16; i++) {
        v[i] = float((b[8 + i] >> (4 * g) & 15) | (high >> i & 1) << 4) * d + m;
    }
#elif FORMAT == 8 // Q8_0
    float d = half_at(b);
    for (uint i = 0; i < 16; i++) v[i] = float(((device const char *)b)[2 + 16 * g + i]) * d;
#elif FORMAT == 9 // Q8_1
    float d = half_at(b);
    for (uint i = 0; i < 16; i++) v[i] = float(((device const char *)b)[4 + 16 * g + i]) * d;
#elif FORMAT == 10 // Q2_K
    float d = half_at(b + 80) * float(b[g] & 15), m = half_at(b + 82) * float(b[g] >> 4);
    for (uint i = 0; i < 16; i++) v[i] = d * float(two_bits(b + 16, g, i)) - m;
#elif FORMAT == 11 // Q3_K
    uint scale = (b[96 + g % 8] >> (g / 8 * 4) & 15) | (b[104 + g % 4] >> (g / 4 * 2) & 3) << 4;
    float d = half_at(b + 108) * (float(scale) - 32.0f);
    for (uint i = 0; i < 16; i++) {
        uint third = b[g % 2 * 16 + i] >> (g / 2) & 1;
        v[i] = d * (float(two_bits(b + 32, g, i) | third << 2) - 4.0f);
    }
#elif FORMAT == 12 || FORMAT == 13 // Q4_K, Q5_K
    device const uchar *s = b + 4;
    uint sub = g / 2, scale, minimum;
    if (sub < 4) {
        scale = s[sub] & 63;
        minimum = s[sub + 4] & 63;
    } else {
        scale = (s[sub + 4] & 15) | (s[sub - 4] >> 6) << 4;
        minimum = (s[sub + 4] >> 4) | (s[sub] >> 6) << 4;
    }
    float d = half_at(b) * float(scale), m = half_at(b + 2) * float(minimum);
#if FORMAT == 12
    device const uchar *low = b + 16 + g / 4 * 32 + g % 2 * 16;
    for (uint i = 0; i < 16; i++) v[i] = d * float(low[i] >> (sub % 2 * 4) & 15) - m;
#else
    device const uchar *low = b + 48 + g / 4 * 32 + g % 2 * 16, *high = b + 16 + g % 2 * 16;
    for (uint i = 0; i < 16; i++) {
        v[i] = d * float((low[i] >> (sub % 2 * 4) & 15) | (high[i] >> sub & 1) << 4) - m;
    }
#endif
#elif FORMAT == 14 // Q6_K
    float d = half_at(b + 208) * float(char(b[192 + g]));
    device const uchar *low = b + g / 8 * 64 + g % 4 * 16;
    for (uint i = 0; i < 16; i++) {
        uint q = (low[i] >> (g % 8 / 4 * 4) & 15) | two_bits(b + 128, g, i) << 4;
        v[i] = d * (float(q) - 32.0f);
    }
#elif FORMAT == 15 // Q8_K
    float d = as_type<float>(uint_at(b));
    for (uint i = 0; i < 16; i++) v[i] = float(((device const char *)b)[4 + 16 * g + i]) * d;
#elif FORMAT == 16 // IQ2_XXS
    uint rest = uint_at(b + 6 + g / 2 * 8);
    float d = half_at(b) * (0.5f + float(rest >> 28)) * 0.25f;
    for (uint e = 0; e < 2; e++) {
        uint i = g % 2 * 2 + e;
        entry(GRID[b[2 + g / 2 * 8 + i]], 8, 2, d, signs(rest >> (7 * i)), v + 8 * e);
    }
#elif FORMAT == 17 // IQ2_XS
    float d = half_at(b) * (0.5f + float(nibble(b + 66, g))) * 0.25f;
    for (uint e = 0; e < 2; e++) {
        uint packed = ushort_at(b + 2 + 4 * g + 2 * e);
        entry(GRID[packed & 511], 8, 2, d, signs(packed >> 9), v + 8 * e);
    }
#elif FORMAT == 18 // IQ3_XXS
    uint rest = uint_at(b + 66 + g / 2 * 4);
    float d = half_at(b) * (0.5f + float(rest >> 28)) * 0.5f;
    for (uint e = 0; e < 4; e++) {
        uint negative = signs(rest >> (7 * (g % 2 * 2 + e / 2))) >> (e % 2 * 4);
        entry(GRID[b[2 + 4 * g + e]], 4, 3, d, negative, v + 4 * e);
    }
#elif FORMAT == 19 || FORMAT == 29 // IQ1_S, IQ1_M
    for (uint e = 0; e < 2; e++) {
        uint i = 2 * g + e;
#if FORMAT == 19
        uint rest = ushort_at(b + 34 + i / 4 * 2);
        float d = half_at(b) * (2.0f * float(rest >> 12 & 7) + 1.0f);
        float shift = rest >> 15 ? -0.125f : 0.125f;
        uint packed = GRID[b[2 + i] | (rest >> (i % 4 * 3) & 7) << 8];
#else
        uint bits = 0;
        for (uint j = 0; j < 4; j++) bits |= ushort_at(b + 48 + 2 * j) >> 12 << (4 * j);
        uint rest = nibble(b + 32, i), scale = ushort_at(b + 48 + i / 8 * 2) >> (i / 2 % 4 * 3) & 7;
        float d = float(as_type<half>(ushort(bits))) * (2.0f * float(scale) + 1.0f);
        float shift = rest >> 3 ? -0.125f : 0.125f;
        uint packed = GRID[b[i] | (rest & 7) << 8];
#endif
        for (uint j = 0; j < 8; j++) v[8 * e + j] = d * (float(packed >> (2 * j) & 3) - 1.0f + shift);
    }
#elif FORMAT == 20 // IQ4_NL
    float d = half_at(b);
    for (uint i = 0; i < 16; i++) v[i] = d * float(STEPS[b[2 + i] >> (4 * g) & 15]);
#elif FORMAT == 21 // IQ3_S
    float d = half_at(b) * (1.0f + 2.0f * float(nibble(b + 106, g / 2)));
    for (uint e = 0; e < 4; e++) {
        uint i = 4 * g + e, ninth = b[66 + i / 8] >> (i % 8) & 1;
        entry(GRID[b[2 + i] | ninth << 8], 4, 3, d, nibble(b + 74, i), v + 4 * e);
    }
#elif FORMAT == 22 // IQ2_S
    float d = half_at(b) * (0.5f + float(nibble(b + 74, g))) * 0.25f;
    for (uint e = 0; e < 2; e++) {
        uint i = 2 * g + e, high = b[66 + i / 4] >> (i % 4 * 2) & 3;
        entry(GRID[b[2 + i] | high << 8], 8, 2, d, b[34 + i], v + 8 * e);
    }
#elif FORMAT == 23 // IQ4_XS
    uint sub = g / 2, scale = nibble(b + 4, sub) | (ushort_at(b + 2) >> (2 * sub) & 3) << 4;
    float d = half_at(b) * (float(scale) - 32.0f);
    for (uint i = 0; i < 16; i++) v[i] = d * float(STEPS[b[8 + 16 * sub + i] >> (g % 2 * 4) & 15]);
#elif FORMAT == 34 // TQ1_0
    constexpr uint powers[5] = {1, 3, 9, 27, 81};
    float d = half_at(b + 52);
    for (uint i = 0; i < 16; i++) {
        uint digit = g < 10 ? g / 2 : g < 15 ? g - 10 : i / 4;
        uint byte = g < 10 ? g % 2 * 16 + i : g < 15 ? 32 + i : 48 + i % 4;
        // The byte is a fraction of 256; multiplied by a power of three its next digit comes first.
        uint fraction = b[byte] * powers[digit] & 255;
        v[i] = (float(fraction * 3 >> 8) - 1.0f) * d;
    }
#elif FORMAT == 35 // TQ2_0
    float d = half_at(b + 64);
    for (uint i = 0; i < 16; i++) v[i] = (float(two_bits(b, g, i)) - 1.0f) * d;
#elif FORMAT == 39 // MXFP4
    // Half of two to the exponent less 127; the two smallest are subnormal.
    float d = as_type<float>(b[0] < 2 ? 0x00200000u << b[0] : uint(b[0] - 1) << 23);
    for (uint i = 0; i < 16; i++) v[i] = float(E2M1[b[1 + i] >> (4 * g) & 15]) * d;
#elif FORMAT == 40 // NVFP4
    uint exponent = b[g] >> 3 & 15, mantissa = b[g] & 7;
    float d = exponent == 0 ? float(mantissa) / 1024.0f : as_type<float>((exponent + 119) << 23 | mantissa << 20);
    if (b[g] == 0x7f) d = 0.0f;
    for (uint i = 0; i < 16; i++) v[i] = float(E2M1[b[4 + 8 * g + i % 8] >> (i / 8 * 4) & 15]) * d;
#elif FORMAT == 41 // Q1_0
    float d = half_at(b);
    for (uint i = 0; i < 16; i++) v[i] = ushort_at(b + 2 + 2 * g) >> i & 1 ? d : -d;
#elif FORMAT == 42 // Q2_0
    float d = half_at(b);
    for (uint i = 0; i < 16; i++) v[i] = (float(b[2 + 4 * g + i / 4] >> (i % 4 * 2) & 3) - 1.0f) * d;
#endif
}

// Group `g` of row `row`.
inline void decode(Matrix matrix, uint row, uint g, thread float *v) {
    constexpr uint groups = VALUES / 16;
    block(matrix.blocks + ulong(row) * matrix.stride + g / groups * BYTES, g % groups, v);
}

#endif
