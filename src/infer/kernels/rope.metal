// Rotary positions: pairs of values are rotated by an angle, the token's position times the pair's frequency. X and Y
// are the types. HALVES: pairs are 0 neighbours, 1 values of the two halves, 2 values of the two halves of their section.

struct Rope {
    uint pairs;                // rotated
    uint dim;                  // of a head
    uint heads, tokens;
    uint x_token, x_head;      // strides
    uint y_token, y_head;
    uint sections;             // rows of positions
    uint ends[4];              // the first pair past each section
    float scale;
};

// Without fast arithmetic, because angles are large.
kernel void rope(device const X *x [[buffer(0)]], device Y *y [[buffer(1)]], device const int *positions [[buffer(2)]],
                 device const float *frequencies [[buffer(3)]], constant Rope &p [[buffer(4)]],
                 uint3 at [[thread_position_in_grid]]) {
    uint pair = at.x, head = at.y, token = at.z;
    if (head >= p.heads || token >= p.tokens) return;
    x += ulong(token) * p.x_token + ulong(head) * p.x_head;
    y += ulong(token) * p.y_token + ulong(head) * p.y_head;
    if (pair >= p.pairs) {
        // What is not rotated is copied, two values a thread.
        for (uint i = 2 * pair; i < min(2 * pair + 2, p.dim); i++) y[i] = Y(float(x[i]));
        return;
    }
    uint section = 0;
    while (section + 1 < p.sections && pair >= p.ends[section]) section++;
    float angle = float(positions[section * p.tokens + token]) * frequencies[pair];
    float c = precise::cos(angle) * p.scale, s = precise::sin(angle) * p.scale;
#if HALVES == 2
    uint start = section > 0 ? p.ends[section - 1] : 0, end = min(p.ends[section], p.pairs);
    uint first = start + pair, second = end + pair;
#elif HALVES
    uint first = pair, second = pair + p.pairs;
#else
    uint first = 2 * pair, second = 2 * pair + 1;
#endif
    float a = float(x[first]), b = float(x[second]);
    y[first] = Y(a * c - b * s);
    y[second] = Y(a * s + b * c);
}
