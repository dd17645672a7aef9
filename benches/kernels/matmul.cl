kernel void matmul(global float *c, global const float *a, global const float *b, uint n) {
    uint x = get_global_id(0), y = get_global_id(1);
    float sum = 0;
    for (uint k = 0; k < n; k++) sum = fma(a[y * n + k], b[k * n + x], sum);
    c[y * n + x] = sum;
}
