kernel void matmul_tiled(global float *c, global const float *a, global const float *b, uint n) {
    local float tile_a[16][16], tile_b[16][16];
    uint at_x = get_global_id(0), at_y = get_global_id(1);
    uint x = get_local_id(0), y = get_local_id(1);
    float sum = 0;
    for (uint tile = 0; tile < n; tile += 16) {
        tile_a[y][x] = a[at_y * n + tile + x];
        tile_b[y][x] = b[(tile + y) * n + at_x];
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint k = 0; k < 16; k++) sum = fma(tile_a[y][k], tile_b[k][x], sum);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    c[at_y * n + at_x] = sum;
}
