// A row of blocks a work item: a half, then 16 bytes with two weights each, the lower halves first.
kernel void q4_0(global float *out, global const uchar *blocks, global const float *x, uint n) {
    uint row = get_global_id(0);
    global const uchar *block = blocks + row * (n / 32) * 18;
    float sum = 0;
    for (uint at = 0; at < n; at += 32, block += 18) {
        float part = 0;
        for (uint k = 0; k < 16; k++) {
            part += ((block[2 + k] & 15) - 8) * x[at + k] + ((block[2 + k] >> 4) - 8) * x[at + 16 + k];
        }
        sum += vload_half(0, (global const half *)block) * part;
    }
    out[row] = sum;
}
