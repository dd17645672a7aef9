// A row of blocks a work item: a half, then 32 signed weights.
kernel void q8_0(global float *out, global const uchar *blocks, global const float *x, uint n) {
    uint row = get_global_id(0);
    global const uchar *block = blocks + row * (n / 32) * 34;
    float sum = 0;
    for (uint at = 0; at < n; at += 32, block += 34) {
        float part = 0;
        for (uint k = 0; k < 32; k++) part += (char)block[2 + k] * x[at + k];
        sum += vload_half(0, (global const half *)block) * part;
    }
    out[row] = sum;
}
