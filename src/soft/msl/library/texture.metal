// Reading, writing and sampling textures, for back ends that have no code of their own for it: the same bits as
// cpu/interp/sample.rs and stream/format.rs, step by step. Textures are described by structs in memory, which
// ptx/tables.rs writes; all positions are checked against them.

using namespace metal;

// One mip level of a slice.
struct Level {
    ulong offset;
    ulong row;
    ulong image;
    uint width;
    uint height;
    uint depth;
    uint unused;
};

enum Kind : uint { Unorm, Srgb, Snorm, Uint, Sint, Float };
enum Packing : uint { Fields, Float11, Exponent };

// The source of a swizzled component: 0, 1, or a component plus 2.
constant uint swizzle_zero = 0;
constant uint swizzle_one = 1;

struct Texture {
    device uchar *base;
    const device Level *levels;
    // Numbers of bytes with sRGB's transfer function as fractions, then for each byte the least fraction that becomes it.
    const device float *srgb;
    ulong stride;
    uint level_count;
    uint slices;
    uint sides;
    // Slices of an element: 6 in cubes.
    uint faces;
    // Bytes of a pixel, and of what it is read and written in pieces of.
    uint bytes;
    uint unit;
    Kind kind;
    Packing packing;
    uint has_alpha;
    uint has_words;
    // For each component its lowest bit, and how many it has.
    uint first[4];
    uint width[4];
    uint swizzle[4];
};

using Described = const device Texture *;

bool is_integer(Described texture) { return texture->kind == Uint || texture->kind == Sint; }

uint one_of(Described texture) { return is_integer(texture) ? 1 : 0x3f800000; }

// Up to four bytes of memory.
uint piece(const device uchar *at, uint bytes, uint unit) {
    if (unit == 4) return *(const device uint *)at;
    if (unit == 2) {
        uint low = *(const device ushort *)at;
        return bytes > 2 ? low | uint(((const device ushort *)at)[1]) << 16 : low;
    }
    uint all = 0;
    for (uint k = 0; k < min(bytes, 4u); ++k) all |= uint(at[k]) << (8 * k);
    return all;
}

void put_piece(device uchar *at, uint bytes, uint unit, uint value) {
    if (unit == 4) {
        *(device uint *)at = value;
    } else if (unit == 2) {
        *(device ushort *)at = ushort(value);
        if (bytes > 2) ((device ushort *)at)[1] = ushort(value >> 16);
    } else {
        for (uint k = 0; k < min(bytes, 4u); ++k) at[k] = uchar(value >> (8 * k));
    }
}

uint most_of(uint bits) { return bits == 32 ? 0xffffffff : (1u << bits) - 1; }

uint widen(Described texture, uint raw, uint bits, bool is_alpha) {
    Kind kind = texture->kind;
    uint most = most_of(bits);
    int number = int(raw << (32 - bits)) >> (32 - bits);
    if (kind == Uint) return raw;
    if (kind == Sint) return uint(number);
    if (kind == Float) return bits == 16 ? as_type<uint>(float(as_type<half>(ushort(raw)))) : raw;
    // The lowest two values both represent -1 (MSL 8.7).
    if (kind == Snorm) return as_type<uint>(max(float(number) / float(most >> 1), -1.0f));
    if (kind == Srgb && !is_alpha) return as_type<uint>(texture->srgb[raw & 0xff]);
    return as_type<uint>(float(raw) / float(most));
}

// The nearest in a range; 0 for a NaN.
float nearest(float value, float least, float most) { return value == value ? clamp(value, least, most) : 0.0f; }

uint narrow(Described texture, uint number, uint bits, bool is_alpha) {
    Kind kind = texture->kind;
    uint most = most_of(bits);
    float value = as_type<float>(number);
    if (kind == Uint) return min(number, most);
    if (kind == Sint) return uint(clamp(int(number), int(0x80000000) >> (32 - bits), int(most >> 1)));
    if (kind == Float) return bits == 16 ? uint(as_type<ushort>(half(value))) : number;
    if (kind == Snorm) return uint(int(rint(nearest(value, -1.0f, 1.0f) * float(most >> 1))));
    if (kind == Srgb && !is_alpha) {
        uint byte = 0;
        for (uint step = 128; step != 0; step >>= 1) {
            if (value >= texture->srgb[256 + byte + step]) byte += step;
        }
        return byte;
    }
    return uint(rint(nearest(value, 0.0f, 1.0f) * float(most)));
}

uint word_of(uint4 words, uint number) {
    return number == 0 ? words.x : number == 1 ? words.y : number == 2 ? words.z : words.w;
}

// A component of a pixel; 1 for a missing alpha, 0 for another missing one.
uint component(Described texture, uint4 raw, uint channel) {
    uint first = texture->first[channel], bits = texture->width[channel];
    if (bits == 0) return channel == 3 ? one_of(texture) : 0;
    uint value = word_of(raw, first >> 5) >> (first & 31) & most_of(bits);
    return widen(texture, value, bits, channel == 3);
}

// An unsigned float of five exponent bits: a half with a shorter fraction.
uint small_float(uint raw, uint fraction) {
    return as_type<uint>(float(as_type<half>(ushort(raw << (10 - fraction)))));
}

// Two to the power of an integer, for numbers that are not subnormal.
float power(int exponent) { return as_type<float>(uint(exponent + 127) << 23); }

uint4 decode(Described texture, uint4 raw) {
    if (texture->packing == Float11) {
        return uint4(small_float(raw.x & 0x7ff, 6), small_float(raw.x >> 11 & 0x7ff, 6), small_float(raw.x >> 22, 5),
                     0x3f800000);
    }
    if (texture->packing == Exponent) {
        float scale = power(int(raw.x >> 27) - 24);
        return uint4(as_type<uint>(float(raw.x & 0x1ff) * scale), as_type<uint>(float(raw.x >> 9 & 0x1ff) * scale),
                     as_type<uint>(float(raw.x >> 18 & 0x1ff) * scale), 0x3f800000);
    }
    return uint4(component(texture, raw, 0), component(texture, raw, 1), component(texture, raw, 2),
                 component(texture, raw, 3));
}

// Truncated towards zero; negative numbers become 0, too large ones the largest.
uint to_small_float(uint number, uint fraction) {
    float value = as_type<float>(number);
    uint shift = 10 - fraction, infinity = 0x7c00 >> shift;
    if (value != value) return infinity | 1;
    if (number == 0x7f800000) return infinity;
    float within = max(value, 0.0f);
    uint bits = as_type<ushort>(half(min(within, 65504.0f))) & 0x7fff;
    if (float(as_type<half>(ushort(bits))) > within) bits -= 1;
    return bits >> shift;
}

float shared_color(uint number) { return nearest(as_type<float>(number), 0.0f, 511.0f / 512.0f * 65536.0f); }

uint shared_fraction(float value, int exponent) { return uint(floor(value / power(exponent - 24) + 0.5f)); }

// Three fractions of nine bits with one exponent.
uint to_shared_exponent(uint4 pixel) {
    float red = shared_color(pixel.x), green = shared_color(pixel.y), blue = shared_color(pixel.z);
    float most = max(max(red, green), blue);
    int exponent = clamp(int(as_type<uint>(most) >> 23) - 127 + 16, 0, 31);
    if (shared_fraction(most, exponent) == 512) exponent = min(exponent + 1, 31);
    return min(shared_fraction(red, exponent), 511u) | min(shared_fraction(green, exponent), 511u) << 9 |
           min(shared_fraction(blue, exponent), 511u) << 18 | uint(exponent) << 27;
}

uint field(Described texture, uint number, uint channel, uint word) {
    uint first = texture->first[channel], bits = texture->width[channel];
    if (bits == 0 || first >> 5 != word) return 0;
    return (narrow(texture, number, bits, channel == 3) & most_of(bits)) << (first & 31);
}

uint encode(Described texture, uint4 pixel, uint word) {
    if (texture->packing == Float11) {
        return to_small_float(pixel.x, 6) | to_small_float(pixel.y, 6) << 11 | to_small_float(pixel.z, 5) << 22;
    }
    if (texture->packing == Exponent) return to_shared_exponent(pixel);
    return field(texture, pixel.x, 0, word) | field(texture, pixel.y, 1, word) | field(texture, pixel.z, 2, word) |
           field(texture, pixel.w, 3, word);
}

// A component of a pixel after the swizzle.
uint swizzled_component(Described texture, uint4 pixel, uint channel) {
    uint pick = texture->swizzle[channel];
    return pick == swizzle_zero ? 0 : pick == swizzle_one ? one_of(texture) : word_of(pixel, (pick - 2) & 3);
}

uint4 swizzled(Described texture, uint4 pixel) {
    return uint4(swizzled_component(texture, pixel, 0), swizzled_component(texture, pixel, 1),
                 swizzled_component(texture, pixel, 2), swizzled_component(texture, pixel, 3));
}

// The address of a pixel; null outside.
device uchar *address_of(Described texture, uint x, uint y, uint z, uint slice, uint level) {
    if (level >= texture->level_count || slice >= texture->slices) return nullptr;
    const device Level *in = texture->levels + level;
    if (x >= in->width || y >= in->height || z >= in->depth) return nullptr;
    return texture->base + (slice * texture->stride + in->offset + z * in->image + y * in->row + ulong(x) * texture->bytes);
}

uint4 pixel_at(Described texture, uint x, uint y, uint z, uint slice, uint level) {
    const device uchar *at = address_of(texture, x, y, z, slice, level);
    uint4 raw = 0;
    if (at != nullptr) {
        uint bytes = texture->bytes, unit = texture->unit;
        raw.x = piece(at, bytes, unit);
        if (bytes > 4) raw.y = piece(at + 4, bytes - 4, unit);
        if (bytes > 8) {
            raw.z = piece(at + 8, bytes - 8, unit);
            raw.w = piece(at + 12, bytes - 12, unit);
        }
    }
    return swizzled(texture, decode(texture, raw));
}

// The address of the pixel at x, y, z or face, and element; null outside.
device uchar *place_of(Described texture, uint x, uint y, uint z, uint element, uint level) {
    bool cube = texture->faces == 6;
    ulong slice = ulong(element) * texture->faces + (cube ? z : 0);
    if (slice >= texture->slices || (cube && z >= 6)) return nullptr;
    return address_of(texture, x, y, cube ? 0 : z, uint(slice), level);
}

uint4 texture_read(Described texture, uint x, uint y, uint z, uint element, uint level) {
    bool cube = texture->faces == 6;
    ulong slice = ulong(element) * texture->faces + (cube ? z : 0);
    bool outside = slice >= texture->slices || (cube && z >= 6);
    return pixel_at(texture, outside ? 0xffffffff : x, y, cube ? 0 : z, uint(slice), level);
}

void texture_write(Described texture, uint x, uint y, uint z, uint element, uint level, uint r, uint g, uint b, uint a) {
    device uchar *at = place_of(texture, x, y, z, element, level);
    if (at == nullptr) return;
    uint bytes = texture->bytes, unit = texture->unit;
    for (uint word = 0; word * 4 < bytes; ++word) {
        put_piece(at + word * 4, bytes - word * 4, unit, encode(texture, uint4(r, g, b, a), word));
    }
}

// The address of the integer that atomic functions change; null outside.
ulong texture_address(Described texture, uint x, uint y, uint z, uint element) {
    return ulong(place_of(texture, x, y, z, element, 0));
}

uint texture_size(Described texture, uint level, uint side) {
    if (side == 3) return texture->slices / texture->faces;
    if (side == 4) return texture->level_count;
    if (level >= texture->level_count) return 0;
    const device Level *of = texture->levels + level;
    return side == 0 ? of->width : side == 1 ? of->height : of->depth;
}

// The fields of a sampler (ir/sampler.rs).
uint bits_of(ulong sampler, uint first, uint count) { return uint(sampler >> first) & ((1u << count) - 1); }
bool in_pixels(ulong sampler) { return bits_of(sampler, 0, 1) != 0; }
uint address_mode(ulong sampler, uint axis) { return bits_of(sampler, 1 + 3 * axis, 3); }
float lod_limit(ulong sampler, uint first) { return float(as_type<half>(ushort(bits_of(sampler, first, 15)))); }
float lod_bias(ulong sampler) { return float(int(bits_of(sampler, 21, 11) << 21) >> 21) / 64.0f; }

enum Address : uint { ClampToEdge, MirrorClampToEdge, Repeat, MirroredRepeat, ClampToZero, ClampToBorder };

// The colour beyond the edges.
uint4 border(Described texture, ulong sampler) {
    uint one = one_of(texture), colour = bits_of(sampler, 10, 2);
    bool zero = address_mode(sampler, 0) == ClampToZero || address_mode(sampler, 1) == ClampToZero ||
                address_mode(sampler, 2) == ClampToZero;
    // Transparent where the texture has an alpha (MSL 2.10).
    uint4 pixel = zero          ? uint4(0, 0, 0, texture->has_alpha != 0 ? 0 : one)
                  : colour == 1 ? uint4(0, 0, 0, one)
                  : colour == 2 ? uint4(one)
                                : uint4(0);
    return swizzled(texture, pixel);
}

// The pixels at both sides of a coordinate, and their weights.
struct Pair {
    long first;
    long second;
    float low;
    float high;
};

long add_saturated(long a, long b) {
    long sum = as_type<long>(as_type<ulong>(a) + as_type<ulong>(b));
    if (((a ^ sum) & (b ^ sum)) >= 0) return sum;
    return a < 0 ? as_type<long>(0x8000000000000000ul) : 0x7fffffffffffffffl;
}

Pair pair(float coordinate, int offset, bool linear) {
    float corner = linear ? coordinate - 0.5f : coordinate;
    Pair result;
    result.first = add_saturated(long(floor(corner)), offset);
    result.second = add_saturated(result.first, 1);
    float part = linear ? corner - floor(corner) : 0.0f;
    result.low = 1.0f - part;
    result.high = part;
    return result;
}

long remainder(long value, long by) {
    long left = value % by;
    return left < 0 ? left + by : left;
}

// Maps a pixel's number along a side into the texture; -1 for the border.
long wrap(long at, long size, uint mode) {
    if (at >= 0 && at < size) return at;
    if (mode == ClampToEdge) return at < 0 ? 0 : size - 1;
    if (mode == MirrorClampToEdge) return min(at < 0 ? ~at : at, size - 1);
    if (mode == Repeat) return remainder(at, size);
    if (mode == MirroredRepeat) {
        long in_two = remainder(at, 2 * size);
        return min(in_two, 2 * size - 1 - in_two);
    }
    return -1;
}

// The pixels along one axis, which are -1 for the border.
Pair axis_pair(Described texture, ulong sampler, uint axis, uint size, float at, int offset, bool linear) {
    Pair result;
    // A dimension that the texture does not have has no edges.
    if (axis >= texture->sides) {
        result.first = result.second = 0;
        result.low = 1.0f;
        result.high = 0.0f;
        return result;
    }
    result = pair(in_pixels(sampler) ? at : at * float(size), offset, linear);
    uint mode = address_mode(sampler, axis);
    result.first = wrap(result.first, size, mode);
    result.second = wrap(result.second, size, mode);
    return result;
}

// How the faces of a cube lie: the axes that rows and columns go along, and in which direction (MSL 6.12.6).
uint axis_s(uint face) { return face < 2 ? 2 : 0; }
uint axis_t(uint face) { return face == 2 || face == 3 ? 2 : 1; }
int sign_s(uint face) { return face == 0 || face == 5 ? -1 : 1; }
int sign_t(uint face) { return face == 2 ? 1 : -1; }

long pick(uint axis, long x, long y, long z) { return axis == 0 ? x : axis == 1 ? y : z; }
float pick(uint axis, float x, float y, float z) { return axis == 0 ? x : axis == 1 ? y : z; }

long centre(long at, long size) { return 2 * clamp(at, -1l, size) + 1 - size; }

// The column or row that a coordinate of a point on a face is.
long back(long coordinate, int sign, long size) { return clamp((sign * coordinate + size - 1) / 2, 0l, size - 1); }

// The faces of a cube, and a position there.
struct OnCube {
    uint face;
    long column;
    long row;
};

// A pixel that may be one beyond an edge of a face. Beyond two edges there is no pixel; the nearest is used.
OnCube across_edge(uint face, long column, long row, long size) {
    OnCube result;
    bool beyond_column = column < 0 || column >= size;
    if (beyond_column) row = clamp(row, 0l, size - 1);
    result.face = face;
    result.column = column;
    result.row = row;
    if (!beyond_column && row >= 0 && row < size) return result;
    // In a cube with sides of 2 * size around 0, centres of pixels have odd coordinates. A pixel beyond an edge is
    // folded over it: its distance from the old face becomes its distance from the edge.
    uint side = face / 2, s = axis_s(face), t = axis_t(face);
    long depth = (face % 2 == 0 ? 1 : -1) * (size - 1);
    long along_s = sign_s(face) * centre(column, size), along_t = sign_t(face) * centre(row, size);
    long x = side == 0 ? depth : s == 0 ? along_s : along_t;
    long y = side == 1 ? depth : s == 1 ? along_s : along_t;
    long z = side == 2 ? depth : s == 2 ? along_s : along_t;
    uint beyond = beyond_column ? s : t;
    result.face = 2 * beyond + (pick(beyond, x, y, z) < 0 ? 1 : 0);
    result.column = back(pick(axis_s(result.face), x, y, z), sign_s(result.face), size);
    result.row = back(pick(axis_t(result.face), x, y, z), sign_t(result.face), size);
    return result;
}

Pair cube_pair(float along, float size, bool linear) {
    float coordinate = (along + 1.0f) * 0.5f * size;
    // The end of a face belongs to its last pixel.
    return pair(linear ? coordinate : min(coordinate, size - 0.5f), 0, linear);
}

// What is under a filter in one level.
struct Corners {
    Pair x;
    Pair y;
    Pair z;
    uint face;
    uint element;
    uint level;
};

Corners corners(Described texture, ulong sampler, float4 at, int3 offset, uint level, bool linear) {
    const device Level *in = texture->levels + level;
    Corners result;
    uint elements = texture->slices / texture->faces;
    // The element nearest to the number, within the array.
    result.element = min(uint(rint(at.w)), elements - min(elements, 1u));
    result.level = level;
    result.face = 0;
    if (texture->faces == 6) {
        float3 size = abs(at.xyz);
        uint axis = size.z >= size.x && size.z >= size.y ? 2 : size.y >= size.x ? 1 : 0;
        uint face = 2 * axis + (pick(axis, at.x, at.y, at.z) < 0.0f ? 1 : 0);
        float most = pick(axis, size.x, size.y, size.z);
        float s = float(sign_s(face)) * pick(axis_s(face), at.x, at.y, at.z) / most;
        float t = float(sign_t(face)) * pick(axis_t(face), at.x, at.y, at.z) / most;
        result.face = face;
        result.x = cube_pair(s, float(in->width), linear);
        result.y = cube_pair(t, float(in->width), linear);
        return result;
    }
    result.x = axis_pair(texture, sampler, 0, in->width, at.x, offset.x, linear);
    result.y = axis_pair(texture, sampler, 1, in->height, at.y, offset.y, linear);
    result.z = axis_pair(texture, sampler, 2, in->depth, at.z, offset.z, linear);
    return result;
}

float weight_of(Corners of, Described texture, uint corner) {
    float x = (corner & 1) != 0 ? of.x.high : of.x.low;
    float y = (corner & 2) != 0 ? of.y.high : of.y.low;
    if (texture->faces == 6) return corner < 4 ? x * y : 0.0f;
    return x * y * ((corner & 4) != 0 ? of.z.high : of.z.low);
}

uint4 corner_pixel(Corners of, Described texture, ulong sampler, uint corner) {
    long x = (corner & 1) != 0 ? of.x.second : of.x.first;
    long y = (corner & 2) != 0 ? of.y.second : of.y.first;
    if (texture->faces == 6) {
        OnCube on = across_edge(of.face, x, y, texture->levels[of.level].width);
        return pixel_at(texture, uint(on.column), uint(on.row), 0, of.element * 6 + on.face, of.level);
    }
    long z = (corner & 4) != 0 ? of.z.second : of.z.first;
    if (x < 0 || y < 0 || z < 0) return border(texture, sampler);
    return pixel_at(texture, uint(x), uint(y), uint(z), of.element, of.level);
}

// The levels that a level of detail is between, the weight of the second, and the filter within them.
struct Levels {
    uint first;
    uint second;
    float part;
    bool linear;
};

Levels levels_of(Described texture, ulong sampler, float lod) {
    Levels result;
    // Of a NaN and a number, these take the number.
    lod = min(max(lod + lod_bias(sampler), lod_limit(sampler, 32)), lod_limit(sampler, 47));
    result.linear = bits_of(sampler, lod > 0.0f ? 12 : 13, 1) != 0;
    uint last = texture->level_count - min(texture->level_count, 1u);
    float held = min(max(lod, 0.0f), float(last));
    uint mip = bits_of(sampler, 14, 2);
    uint level = mip == 0 ? 0 : uint(floor(mip == 1 ? held + 0.5f : held));
    result.part = mip == 2 ? held - floor(held) : 0.0f;
    result.first = min(level, last);
    result.second = min(level + 1, last);
    return result;
}

bool passes(ulong sampler, float value, float pixel) {
    uint compare = bits_of(sampler, 16, 3);
    bool less = value < pixel, equal = value == pixel, greater = value > pixel;
    return compare == 0   ? false
           : compare == 1 ? less
           : compare == 2 ? equal
           : compare == 3 ? less || equal
           : compare == 4 ? greater
           : compare == 5 ? !equal
           : compare == 6 ? greater || equal
                          : true;
}

// Combines a component of a pixel with those before it.
float mixed(float all, float one, float share, uint reduction, bool first) {
    if (reduction == 0) return share == 1.0f ? one : all + one * share;
    return first ? one : reduction == 1 ? min(all, one) : max(all, one);
}

// Samples pixels, or the share of those that compare with a value.
float4 sampled(Described texture, ulong sampler, float4 at, int3 offset, float lod, bool compares, float value) {
    float4 all = 0.0f;
    if (texture->level_count == 0) return all;
    bool first = true, integers = is_integer(texture);
    uint reduction = compares ? 0 : bits_of(sampler, 19, 2);
    Levels levels = levels_of(texture, sampler, lod);
    // Integers are not mixed: MSL has it undefined, and this is the nearest pixel.
    bool linear = levels.linear && (compares || !integers);
    for (uint round = 0; round < 2; ++round) {
        float of_level = round == 0 ? 1.0f - levels.part : levels.part;
        if (round == 1 && !(levels.part > 0.0f)) break;
        Corners of = corners(texture, sampler, at, offset, round == 0 ? levels.first : levels.second, linear);
        for (uint corner = 0; corner < 8; ++corner) {
            float weight = weight_of(of, texture, corner);
            if (!(weight > 0.0f)) continue;
            uint4 words = corner_pixel(of, texture, sampler, corner);
            if (integers && !compares) return as_type<float4>(words);
            float4 pixel = as_type<float4>(words);
            if (compares) pixel = float4(passes(sampler, value, pixel.x) ? 1.0f : 0.0f, 0.0f, 0.0f, 0.0f);
            // A pixel of weight 0 is ignored, even if it is infinite.
            float share = weight * of_level;
            if (share == 0.0f) continue;
            all.x = mixed(all.x, pixel.x, share, reduction, first);
            all.y = mixed(all.y, pixel.y, share, reduction, first);
            all.z = mixed(all.z, pixel.z, share, reduction, first);
            all.w = mixed(all.w, pixel.w, share, reduction, first);
            first = false;
        }
    }
    return all;
}

uint4 texture_sample(Described texture, ulong sampler, float x, float y, float z, float element, int u, int v, int w,
                     float lod) {
    return as_type<uint4>(
        sampled(texture, sampler, float4(x, y, z, element), int3(u, v, w), lod, false, 0.0f));
}

float texture_compare(Described texture, ulong sampler, float x, float y, float z, float element, int u, int v, int w,
                      float lod, float value) {
    return sampled(texture, sampler, float4(x, y, z, element), int3(u, v, w), lod, true, value).x;
}

// One component of the four pixels that a linear filter mixes in level 0, counter-clockwise from the lower left one.
uint4 gathered(Described texture, ulong sampler, float4 at, int3 offset, uint component) {
    uint4 found = 0;
    if (texture->level_count == 0) return found;
    Corners of = corners(texture, sampler, at, offset, 0, true);
    // Corners are numbered x first, then y, and y goes down.
    for (uint k = 0; k < 4; ++k) {
        uint word = word_of(corner_pixel(of, texture, sampler, k), component);
        if (k == 0) found.w = word;
        if (k == 1) found.z = word;
        if (k == 2) found.x = word;
        if (k == 3) found.y = word;
    }
    return found;
}

uint4 texture_gather(Described texture, ulong sampler, float x, float y, float z, float element, int u, int v, int w,
                     uint component) {
    return gathered(texture, sampler, float4(x, y, z, element), int3(u, v, w), component);
}

float4 texture_gather_compare(Described texture, ulong sampler, float x, float y, float z, float element, int u, int v,
                              int w, float value) {
    uint4 found = gathered(texture, sampler, float4(x, y, z, element), int3(u, v, w), 0);
    return float4(passes(sampler, value, as_type<float>(found.x)) ? 1.0f : 0.0f,
                  passes(sampler, value, as_type<float>(found.y)) ? 1.0f : 0.0f,
                  passes(sampler, value, as_type<float>(found.z)) ? 1.0f : 0.0f,
                  passes(sampler, value, as_type<float>(found.w)) ? 1.0f : 0.0f);
}
