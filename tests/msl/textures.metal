// Textures and samplers (MSL 2.9, 2.10, 6.12). Texture 0 has 8 by 4 pixels of four floats (x, y, 0, 1).
#include <metal_stdlib>
using namespace metal;

constexpr sampler at_program_scope(coord::pixel, filter::nearest, address::clamp_to_zero);
constant sampler in_constant_memory = sampler(coord::pixel, address::clamp_to_edge);

kernel void read_default_access(device float4* out, texture2d<float> t, uint i [[thread_position_in_grid]]) {
    out[i] = t.read(uint2(i % 8, i / 8));
}

kernel void read_short_coordinates(device float2* out, texture2d<float, access::read> t [[texture(0)]],
                                   ushort2 p [[thread_position_in_grid]]) {
    out[p.y * 8 + p.x] = t.read(p).xy;
}

kernel void read_outside(device float4* out, texture2d<float, access::read> t, uint i [[thread_position_in_grid]]) {
    const uint2 far[4] = {uint2(8, 0), uint2(0, 4), uint2(4294967295u, 0), uint2(7, 3)};
    out[i] = t.read(far[i], i == 3 ? 1 : 0);
}

kernel void read_half(device float* out, texture2d<half, access::read> t, uint i [[thread_position_in_grid]]) {
    half4 pixel = t.read(uint2(i, 1));
    out[i] = pixel.x + pixel.y;
}

kernel void size_of_it(device uint* out, texture2d<float, access::read> t) {
    out[0] = t.get_width();
    out[1] = t.get_height();
    out[2] = t.get_num_mip_levels();
    out[3] = t.get_width(1);
    out[4] = uint(sizeof(t));
}

kernel void write_all(texture2d<float, access::write> t [[texture(1)]], device float4* out [[buffer(0)]],
                      uint i [[thread_position_in_grid]]) {
    const uint2 p = uint2(i % 8, i / 8);
    t.write(float4(i, 1, 2, 3), p);
    t.write(0.0f, uint2(i, 1000));
    out[i] = float4(p.x, p.y, 0, 1);
}

kernel void write_and_read_back(device float* out, texture2d<float, access::read_write> t [[texture(1)]],
                                uint i [[thread_position_in_grid]]) {
    const uint2 p(i % 8, i / 8);
    t.write(float4(i), p);
    t.fence();
    float sum = t.read(p).x;
    t.write(float4(sum + 1), p);
    t.fence();
    out[i] = sum + t.read(p).w;
}

kernel void divergent_reads(device float* out, texture2d<float, access::read> t, uint i [[thread_position_in_grid]]) {
    float sum = 0;
    for (uint k = 0; k < i % 5; ++k) {
        if ((i + k) % 3 == 0) continue;
        sum += t.read(uint2(k, i % 4)).x + 1;
    }
    out[i] = sum;
}

kernel void coordinates_change(device float* out, texture2d<float, access::read> t, uint i [[thread_position_in_grid]]) {
    uint2 p(i % 8, 0);
    const float4 first = t.read(p);
    p.y = 3;
    const float4 second = t.read(p);
    p.x = 0;
    out[i] = first.x + 10 * second.y + 100 * t.read(p).x;
}

static float4 by_value(texture2d<float> t, sampler s, float2 where) { return t.sample(s, where); }
static float by_reference(thread const texture2d<float>& t, thread const sampler& s, float x) {
    return t.sample(s, float2(x, 0.5f)).x;
}
template <typename T, access A> static vec<T, 4> generic(texture2d<T, A> t, uint2 p) { return t.read(p); }

kernel void passed_to_functions(device float* out, texture2d<float> t, sampler s [[sampler(0)]],
                                uint i [[thread_position_in_grid]]) {
    const float2 where(float(i) + 0.5f, 1.5f);
    texture2d<float> same = t;
    out[i] = by_value(same, s, where).x + 100 * by_reference(t, s, where.x) + 10000 * generic(t, uint2(i, 0)).x;
}

struct Pair { texture2d<float> image; sampler look; float4 at(float2 p) const { return image.sample(look, p); } };

kernel void kept_in_a_struct(device float2* out, texture2d<float> t, uint i [[thread_position_in_grid]]) {
    const Pair pair = {t, at_program_scope};
    out[i] = pair.at(float2(float(i) - 1.5f, 2.5f)).xy;
}

kernel void samplers_of_the_source(device float* out, texture2d<float> t, uint i [[thread_position_in_grid]]) {
    constexpr sampler linear(coord::pixel, filter::linear);
    constexpr sampler repeated { address::repeat, mag_filter::nearest };
    constexpr sampler plain;
    const float x = float(i);
    out[i * 5] = t.sample(linear, float2(x, 1)).x;
    out[i * 5 + 1] = t.sample(repeated, float2((x + 0.5f) / 8, 0.5f)).x;
    out[i * 5 + 2] = t.sample(plain, float2((x + 0.5f) / 8, 0.5f)).x;
    out[i * 5 + 3] = t.sample(at_program_scope, float2(x + 0.5f, 0)).w;
    out[i * 5 + 4] = t.sample(in_constant_memory, float2(x + 0.5f, 0)).x;
}

kernel void sampled_with_offset(device float2* out, texture2d<float> t, uint i [[thread_position_in_grid]]) {
    constexpr sampler s(coord::pixel, s_address::clamp_to_edge, t_address::clamp_to_zero, r_address::clamp_to_edge);
    out[i] = t.sample(s, float2(i, 1) + 0.5f, int2(-2, 1)).xy;
}

kernel void levels_of_detail(device float* out, texture2d<float> t [[texture(2)]], uint i [[thread_position_in_grid]]) {
    constexpr sampler s(mip_filter::linear, filter::nearest);
    constexpr sampler rounded(mip_filter::nearest);
    constexpr sampler held(mip_filter::nearest, lod_clamp(1.0f, 2.0f), max_anisotropy(4), reduction::weighted_average);
    constexpr sampler none;
    const float2 c(0.5f);
    const float lod = float(i) * 0.25f;
    device float* to = out + i * 10;
    to[0] = t.sample(s, c, level(lod)).x;
    to[1] = t.sample(rounded, c, level(lod)).x;
    to[2] = t.sample(held, c, level(lod)).x;
    to[3] = t.sample(none, c, level(lod)).x;
    to[4] = t.sample(s, c, bias(lod)).x;
    to[5] = t.sample(s, c, min_lod_clamp(lod)).x;
    to[6] = t.sample(s, c, gradient2d(float2(exp2(lod) / 8, 0), float2(0))).x;
    to[7] = t.sample(s, c, bias(lod), min_lod_clamp(1)).x;
    to[8] = t.sample(s, c, gradient2d(float2(0), float2(0, exp2(lod) / 8)), min_lod_clamp(0.5f), int2(0)).x;
    to[9] = t.sample(s, c).x;
}

kernel void gathered(device float4* out, texture2d<float> t) {
    constexpr sampler s(coord::pixel);
    out[0] = t.gather(s, float2(3, 2));
    out[1] = t.gather(s, float2(3, 2), int2(1, -1), component::y);
    out[2] = t.gather(s, float2(0, 0), int2(0), component::w);
}

kernel void integers(device int* out, texture2d<int, access::read_write> t [[texture(3)]],
                     uint i [[thread_position_in_grid]]) {
    const int4 before = t.read(uint2(i, 0));
    t.write(before * -3, uint2(i, 0));
    out[i] = t.read(uint2(i, 0)).x;
}

kernel void narrow_integers(device int* out, texture2d<short, access::read> a [[texture(3)]],
                            texture2d<ushort, access::read> b [[texture(4)]], uint i [[thread_position_in_grid]]) {
    out[2 * i] = a.read(uint2(i, 0)).y;
    out[2 * i + 1] = int(b.read(uint2(i, 0)).y);
}

kernel void integers_are_not_mixed(device uint* out, texture2d<uint> t [[texture(4)]]) {
    constexpr sampler s(filter::linear, coord::pixel, address::clamp_to_border, border_color::opaque_white);
    out[0] = t.sample(s, float2(0.9f, 0)).x;
    out[1] = t.sample(s, float2(-1, 0)).x;
    out[2] = t.sample(s, float2(1, 0)).x;
}

kernel void arrays_of_textures(device float* out, array<texture2d<float>, 3> list [[texture(5)]],
                               array<sampler, 2> looks, uint i [[thread_position_in_grid]]) {
    const float2 p(float(i) + 0.5f, 0.5f);
    out[i] = list[i % 3].sample(looks[i % 2], p).x;
    if (is_null_texture(list[i % 3])) out[i] = -1;
}

static float sum_of(array_ref<texture2d<float>> list, uint x) {
    float sum = 0;
    for (size_t k = 0; k < list.size(); ++k) sum += list[k].read(uint2(x, 0)).x;
    return sum;
}

kernel void passed_as_array_ref(device float* out, const array<texture2d<float>, 2> list [[texture(5)]],
                                uint i [[thread_position_in_grid]]) {
    out[i] = sum_of(list, i);
}

kernel void one_dimension(device float* out, texture1d<float, access::read_write> line [[texture(8)]],
                          texture1d_array<float> lines [[texture(9)]], uint i [[thread_position_in_grid]]) {
    constexpr sampler s(coord::pixel, filter::linear);
    const float x = line.read(i).x;
    line.write(float4(x * 2), i);
    out[3 * i] = line.read(i).x + float(line.get_width() * 100);
    out[3 * i + 1] = lines.sample(s, float(i), 1).x + lines.read(i, 0u).x * 100;
    out[3 * i + 2] = float(lines.get_array_size() * 10 + lines.get_num_mip_levels());
}

kernel void layers(device float* out, texture2d_array<float> t [[texture(10)]], uint i [[thread_position_in_grid]]) {
    constexpr sampler s(coord::pixel);
    out[3 * i] = t.sample(s, float2(0.5f), i).x;
    out[3 * i + 1] = t.read(uint2(0, 0), i).x;
    out[3 * i + 2] = float(t.get_array_size());
}

kernel void depth_of_three(device float* out, texture3d<float> t [[texture(11)]], uint i [[thread_position_in_grid]]) {
    constexpr sampler s(coord::pixel, filter::linear);
    out[3 * i] = t.read(uint3(0, 1, i)).x;
    out[3 * i + 1] = t.sample(s, float3(0.5f, 1.5f, float(i))).x;
    out[3 * i + 2] = t.sample(s, float3(0.5f, 0.5f, 0.5f), int3(1, 0, i)).x + float(t.get_depth() * 1000);
}

kernel void faces(device float* out, texturecube<float> t [[texture(12)]], uint i [[thread_position_in_grid]]) {
    constexpr sampler s;
    const float3 towards[6] = {float3(1, 0, 0), float3(-1, 0, 0), float3(0, 1, 0),
                               float3(0, -1, 0), float3(0, 0, 1), float3(0, 0, -1)};
    out[2 * i] = t.sample(s, towards[i]).x;
    out[2 * i + 1] = t.read(uint2(0), i, 0).x + float(t.get_width());
}

kernel void faces_of_layers(device float* out, texturecube_array<float> t [[texture(13)]],
                            uint i [[thread_position_in_grid]]) {
    constexpr sampler s;
    out[i] = t.sample(s, float3(0, -1, 0.1f), i).x + 1000 * t.read(uint2(0), 6u, i).w;
}

kernel void buffer_of_pixels(device float* out, texture_buffer<float, access::read_write> t [[texture(14)]],
                             uint i [[thread_position_in_grid]]) {
    const float4 pixel = t.read(i);
    t.write(pixel + 1, i);
    out[i] = t.read(i).x + float(t.get_width());
}

kernel void depths(device float4* out, depth2d<float> t [[texture(15)]], uint i [[thread_position_in_grid]]) {
    constexpr sampler less(coord::pixel, compare_func::less, filter::linear);
    constexpr sampler greater(coord::pixel, compare_func::greater_equal);
    const float2 p(float(i), 0.5f);
    out[2 * i] = float4(t.sample(less, p), t.read(uint2(i, 0)), t.sample_compare(less, p, 1.5f),
                        t.sample_compare(greater, p, 1.0f, level(0)));
    out[2 * i + 1] = t.gather_compare(less, float2(1, 0.5f), float(i));
}

// A program's own declarations with names of the library.
kernel void own_names(device float* out, constant float& bias [[buffer(1)]], device const float* level [[buffer(2)]],
                      uint component [[thread_position_in_grid]]) {
    float address = bias * 2, filter = level[component];
    out[component] = (bias) + address * filter - (level)[0];
}
