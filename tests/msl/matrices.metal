// Matrices (MSL 2.3, 3.2, 6.6): column major, products, rows by columns.
#include <metal_stdlib>
using namespace metal;

kernel void matrix_times_vector(device float4* out [[buffer(0)]], device const float4x4* m [[buffer(1)]], device const float4* v [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    out[2 * i] = m[i] * v[i];
    out[2 * i + 1] = v[i] * m[i];
}

kernel void matrix_products(device float* out [[buffer(0)]], device const float4x4* m [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    float4x4 p = m[i] * m[i + 1];
    for (int c = 0; c < 4; ++c)
        for (int r = 0; r < 4; ++r) out[16 * i + 4 * c + r] = p[c][r];
}

kernel void matrices_not_square(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    float2x3 a = float2x3(float3(1, 2, 3), float3(4, 5, i));  // Two columns, three rows.
    float3x2 b = float3x2(float2(1, i), float2(2, 3), float2(4, 5));
    float3x3 c = a * b;
    float2x2 d = b * a;
    float3 e = a * float2(1, 2);
    float2 f = e * a;
    out[i] = c[0].x + 10 * c[1].y + 100 * c[2].z + d[0][1] + 7 * d[1][0] + f.x - f.y;
}

kernel void matrix_constructors(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    float3x3 diagonal = float3x3(float(i));
    float3x3 columns = float3x3(float3(1, 2, 3), float3(4, 5, 6), float3(7, 8, 9));
    float2x2 scalars = float2x2(1, 2, 3, 4);
    float2x2 braces = {{1, 2}, {3, 4}};
    float2x2 copy = scalars;
    copy[0][0] = 50;
    float2x2 converted = float2x2(half2x2(scalars));
    out[i] = diagonal[0][0] + diagonal[1][0] + diagonal[2].z + columns[1][2] * 10 + columns[2].x * 100
        + scalars[1][0] * 1000 + braces[0][1] + copy[0][0] + converted[1][1];
}

kernel void matrix_arithmetic(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    float2x2 a = float2x2(1, 2, 3, 4), b = float2x2(float(i));
    float2x2 c = a + b - 2.0f * a * 0.5f;
    c += a;
    c -= b;
    c *= 3;
    c = -c;
    a *= float2x2(0, 1, 1, 0);
    out[i] = c[0][0] + 10 * c[0][1] + 100 * c[1][0] + 1000 * c[1][1] + a[0][0] * 7 + a[1][1];
}

kernel void transposes(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    float2x4 m = float2x4(float4(1, 2, 3, 4), float4(5, 6, 7, i));
    float4x2 t = transpose(m);
    float2x2 p = t * m;
    out[i] = t[0][1] + 10 * t[3].y + p[0][0] + p[1][0] * 3;
}

kernel void determinants(device float* out [[buffer(0)]], device const float* x [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    device const float* p = x + i;
    float2x2 a = float2x2(p[0], p[1], p[2], p[3]);
    float3x3 b = float3x3(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8]);
    float4x4 c = float4x4(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10], p[11], p[12], p[13], p[14], p[15]);
    out[3 * i] = determinant(a);
    out[3 * i + 1] = determinant(b);
    out[3 * i + 2] = determinant(c);
}

kernel void columns_by_index(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    float3x3 m = float3x3(0.0f);
    for (uint c = 0; c < 3; ++c) m[(c + i) % 3] = float3(c, c * 2, i);
    m[i % 3].y += 100;
    m[2 - i % 3][i % 2] -= 1;
    float sum = 0;
    for (int c = 0; c < 3; ++c) sum = sum * 2 + m[c].x + 3 * m[c].y + 5 * m[c].z;
    out[i] = sum;
}

kernel void half_matrices(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    half3x3 m = half3x3(half(i) * 0.5h);
    m[1] = half3(1, 2, 3);
    half3 v = m * half3(1, 2, 3);
    out[i] = v.x + v.y + v.z;
}

struct Transform {
    float4x4 linear;
    float3 offset;
    float4 apply(float4 v) const { return linear * v + float4(offset, 0); }
};
kernel void matrices_in_structs(device float4* out [[buffer(0)]], constant Transform& t [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    out[i] = t.apply(float4(i, 1, 0, 1));
}

matrix<float, 2, 3> outer(float2 a, float3 b) { return matrix<float, 2, 3>(b * a.x, b * a.y); }
kernel void matrices_as_values(device float* out [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    float2x3 m = outer(float2(2, i), float3(1, 2, 3));
    float2x3 table[2] = {m, m + m};
    out[i] = table[i & 1][1][2] + table[1 - (i & 1)][0][0];
}

// The columns by their name.
kernel void named_columns(device float* out [[buffer(0)]], constant float3x3& given [[buffer(1)]]) {
    float2x2 m(1.0f, 2.0f, 3.0f, 4.0f);
    m.columns[1].x += 10.0f;
    m.columns[0] = m.columns[0].yx;
    out[0] = m[0].x * 100.0f + m[1].x;
    out[1] = given.columns[2].y;
}
