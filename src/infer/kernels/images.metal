// Images: channels x rows x columns, with any strides. X and Y are the types.

struct Image {
    uint channels, rows, columns;
    uint strides[3];
};

#ifdef PATCHES
struct Patches {
    Image x;
    uint count_x, count;          // patches in a row, and all
    uint height, width;           // of a patch
    uint step_y, step_x;
    uint padding_y, padding_x;
    uint y_stride;
};

// Row `at.y` of y has the values of a patch: its channels, rows and columns. Outside of the image they are zeros.
kernel void patches(device const X *x [[buffer(0)]], device Y *y [[buffer(1)]], constant Patches &p [[buffer(2)]],
                    uint2 at [[thread_position_in_grid]]) {
    uint size = p.height * p.width;
    if (at.x >= p.x.channels * size || at.y >= p.count) return;
    uint channel = at.x / size, inner = at.x % size;
    // Wraps around, and is then larger than the image, where the padding is.
    uint row = at.y / p.count_x * p.step_y + inner / p.width - p.padding_y;
    uint column = at.y % p.count_x * p.step_x + inner % p.width - p.padding_x;
    float value = 0.0f;
    if (row < p.x.rows && column < p.x.columns) {
        value = float(x[ulong(channel) * p.x.strides[0] + ulong(row) * p.x.strides[1] + column * p.x.strides[2]]);
    }
    y[ulong(at.y) * p.y_stride + at.x] = Y(value);
}
#endif

#ifdef RESIZE
struct Resize {
    Image x, y;
    float scale_y, scale_x; // of positions
};

// The position in x of row or column `at` of y: of its centre, or with CORNERS from the first value's to the last one's.
inline float position(uint at, float scale, uint size) {
    float from = CORNERS ? float(at) * scale : fma(float(at) + 0.5f, scale, -0.5f);
    return clamp(from, 0.0f, float(size - 1));
}

kernel void resize(device const X *x [[buffer(0)]], device Y *y [[buffer(1)]], constant Resize &p [[buffer(2)]],
                   uint3 at [[thread_position_in_grid]]) {
    if (at.x >= p.y.columns || at.y >= p.y.rows || at.z >= p.y.channels) return;
    float row = position(at.y, p.scale_y, p.x.rows), column = position(at.x, p.scale_x, p.x.columns);
    uint top = uint(row), left = uint(column);
    uint bottom = min(top + 1, p.x.rows - 1), right = min(left + 1, p.x.columns - 1);
    float down = row - float(top), across = column - float(left);
    x += ulong(at.z) * p.x.strides[0];
    device const X *upper = x + ulong(top) * p.x.strides[1], *lower = x + ulong(bottom) * p.x.strides[1];
    uint step = p.x.strides[2];
    float above = mix(float(upper[left * step]), float(upper[right * step]), across);
    float below = mix(float(lower[left * step]), float(lower[right * step]), across);
    ulong to = ulong(at.z) * p.y.strides[0] + ulong(at.y) * p.y.strides[1] + at.x * p.y.strides[2];
    y[to] = Y(mix(above, below, down));
}
#endif
