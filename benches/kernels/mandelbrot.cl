// Rounded as in Rust and in the Metal kernel: the count of a point depends on every bit.
#pragma OPENCL FP_CONTRACT OFF

kernel void mandelbrot(global uint *out, uint n) {
    uint at_x = get_global_id(0), at_y = get_global_id(1);
    float cx = (float)at_x / (float)n * 3.0f - 2.25f;
    float cy = (float)at_y / (float)n * 3.0f - 1.5f;
    float x = 0, y = 0;
    uint k = 0;
    while (k < 256 && x * x + y * y <= 4) {
        float next = x * x - y * y + cx;
        y = 2 * x * y + cy;
        x = next;
        k++;
    }
    out[at_y * n + at_x] = k;
}
