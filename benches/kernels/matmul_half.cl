kernel void matmul_half(global half *c, global const half *a, global const half *b, uint n) {
    local float tile_a[16][16], tile_b[16][16];
    uint at_x = get_global_id(0), at_y = get_global_id(1);
    uint x = get_local_id(0), y = get_local_id(1);
    float sum = 0;
    for (uint tile = 0; tile < n; tile += 16) {
        tile_a[y][x] = vload_half(at_y * n + tile + x, a);
        tile_b[y][x] = vload_half((tile + y) * n + at_x, b);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint k = 0; k < 16; k++) sum = fma(tile_a[y][k], tile_b[k][x], sum);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    vstore_half(sum, at_y * n + at_x, c);
}
