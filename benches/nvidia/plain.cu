// The kernels of main.rs in CUDA C++, measured the same way: a row is a name, a tab, and microseconds of one launch.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

__global__ void saxpy(float *y, const float *x, float a, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = a * x[i] + y[i];
}

__global__ void matmul(float *c, const float *a, const float *b, unsigned n) {
    unsigned x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    float sum = 0;
    for (unsigned k = 0; k < n; k++) sum = fmaf(a[y * n + k], b[k * n + x], sum);
    c[y * n + x] = sum;
}

__global__ void matmul_tiled(float *c, const float *a, const float *b, unsigned n) {
    __shared__ float tile_a[16][16], tile_b[16][16];
    unsigned u = threadIdx.x, v = threadIdx.y;
    unsigned x = blockIdx.x * 16 + u, y = blockIdx.y * 16 + v;
    float sum = 0;
    for (unsigned tile = 0; tile < n; tile += 16) {
        tile_a[v][u] = a[y * n + tile + u];
        tile_b[v][u] = b[(tile + v) * n + x];
        __syncthreads();
        for (unsigned k = 0; k < 16; k++) sum = fmaf(tile_a[v][k], tile_b[k][u], sum);
        __syncthreads();
    }
    c[y * n + x] = sum;
}

__global__ void mandelbrot(unsigned *out, unsigned n) {
    unsigned u = blockIdx.x * blockDim.x + threadIdx.x, v = blockIdx.y * blockDim.y + threadIdx.y;
    float cx = float(u) / float(n) * 3.0f - 2.25f, cy = float(v) / float(n) * 3.0f - 1.5f;
    float x = 0, y = 0;
    unsigned k = 0;
    while (k < 256 && x * x + y * y <= 4) {
        float next = x * x - y * y + cx;
        y = 2 * x * y + cy;
        x = next;
        k++;
    }
    out[v * n + u] = k;
}

__global__ void tiny(unsigned *x, unsigned add) { x[0] += add; }

// The least time of one of many launches.
template <typename F> void row(const std::string &name, int launches, F launch) {
    double least = 1e30;
    for (int round = 0; round < 8; round++) {
        cudaDeviceSynchronize();
        auto start = std::chrono::steady_clock::now();
        for (int k = 0; k < launches; k++) launch();
        cudaDeviceSynchronize();
        std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - start;
        least = std::min(least, spent.count() / launches);
    }
    cudaError_t error = cudaGetLastError();
    if (error != cudaSuccess) printf("%s\t%s\n", name.c_str(), cudaGetErrorString(error));
    else printf("%s\t%.2f\n", name.c_str(), least);
}

float *floats(size_t count) {
    float *at = nullptr;
    cudaMalloc(&at, 4 * count);
    cudaMemset(at, 0, 4 * count);
    return at;
}

int main() {
    cudaDeviceProp properties;
    cudaGetDeviceProperties(&properties, 0);
    printf("# %s, nvcc\n", properties.name);
    for (unsigned mi : {16u, 256u}) {
        unsigned count = mi << 20;
        float *y = floats(count), *x = floats(count);
        row("saxpy " + std::to_string(mi) + " Mi", 20, [=] { saxpy<<<count / 256, 256>>>(y, x, 0.5f, count); });
        cudaFree(y);
        cudaFree(x);
    }
    for (unsigned n : {512u, 4096u}) {
        float *a = floats(n * n), *b = floats(n * n), *c = floats(n * n);
        dim3 grid(n / 16, n / 16), group(16, 16);
        int launches = n == 512 ? 50 : 2;
        row("matmul " + std::to_string(n), launches, [=] { matmul<<<grid, group>>>(c, a, b, n); });
        row("matmul tiled " + std::to_string(n), launches, [=] { matmul_tiled<<<grid, group>>>(c, a, b, n); });
    }
    unsigned *out = (unsigned *)floats(1 << 20);
    row("mandelbrot 1024", 50, [=] { mandelbrot<<<dim3(64, 64), dim3(16, 16)>>>(out, 1024); });
    row("tiny, submit to wait", 1, [=] { tiny<<<1, 1>>>(out, 1); });
    row("tiny, 1 of 1000", 1000, [=] { tiny<<<1, 1>>>(out, 1); });
}
