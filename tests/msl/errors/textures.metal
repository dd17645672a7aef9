#include <metal_stdlib>
using namespace metal;

kernel void f(texture2d<float, access::read> a [[texture(0)]], texture2d<float, access::write> b [[texture(0)]],
              texture2d<float> c [[texture(128)]], array<texture2d<float>, 4> d [[texture(126)]],
              sampler s [[sampler(16)]], array<sampler, 17> all, texture1d<float> line, depth2d<float> deep) {
    constexpr sampler unknown(coord::polar);
    constexpr sampler more(3);
    a.write(float4(0), uint2(0));
    b.read(uint2(0));
    a.sample(s, float2(0));
    c.sample(s, float3(0));
    c.sample(float2(0));
    c.get_depth();
    c.sample_compare(s, float2(0), 0.5f);
    line.sample(s, 0.5f, level(0));
    deep.gather(s, float2(0), int2(0), component::x);
    c.resize(4);
    float x = c;
    c.read(uint2(0)).x = 1;
}

texture2d<double> wrong;
kernel void g(texture2d<bool> t, depth2d<float, access::write> u, texture_buffer<float, access::sample> v) {}
