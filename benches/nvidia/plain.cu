// The kernels of main.rs in CUDA C++, measured the same way: a row is a name, a tab, and microseconds of one launch. The peer of the
// product of halves is cuBLAS (unless NO_CUBLAS is defined), and of quantised rows a kernel that only reads as many bytes.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include <cuda.h>
#include <cuda_fp16.h>
#ifndef NO_CUBLAS
#include <cublas_v2.h>
#endif

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

// Reads n values, and writes only if their bits are what memory of zeros never has.
__global__ void read(const uint4 *from, unsigned *to, size_t n) {
    unsigned all = 0;
    size_t step = size_t(gridDim.x) * blockDim.x;
    for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) {
        uint4 value = from[i];
        all |= value.x | value.y | value.z | value.w;
    }
    if (all != 0) *to = all;
}

// Values as main.rs has them.
__global__ void halves(__half *to, unsigned side, bool of_row) {
    unsigned column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    to[size_t(row) * side + column] = __float2half(of_row ? (row % 8) / 8.0f : (column % 4) / 64.0f);
}

// Whether each row is two launches, for a profiler.
static bool once = false;

// The least time of one of many launches.
template <typename F> void row(const std::string &name, int launches, F launch) {
    double least = 1e30;
    if (once) launches = 1;
    int rounds = once ? 2 : std::max(8, 200 / launches);
    for (int round = 0; round < rounds; round++) {
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

// A kernel as PTX, by the driver's own entry points: how long it takes to compile, and to launch.
void by_the_driver() {
    const char *text = R"(
.version 7.0
.target sm_70
.address_size 64
.visible .entry tiny(.param .u64 at, .param .u32 add) {
    .reg .b64 %p;
    .reg .b32 %x, %y;
    ld.param.u64 %p, [at];
    ld.param.u32 %y, [add];
    cvta.to.global.u64 %p, %p;
    ld.global.u32 %x, [%p];
    add.u32 %x, %x, %y;
    st.global.u32 [%p], %x;
    ret;
}
)";
    auto start = std::chrono::steady_clock::now();
    CUmodule module;
    CUfunction function;
    if (cuModuleLoadData(&module, text) != CUDA_SUCCESS) return;
    if (cuModuleGetFunction(&function, module, "tiny") != CUDA_SUCCESS) return;
    CUdeviceptr at = CUdeviceptr(floats(1));
    unsigned add = 1;
    void *arguments[] = {&at, &add};
    auto launch = [&] { cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, nullptr, arguments, nullptr); };
    launch();
    cuCtxSynchronize();
    std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - start;
    printf("first compile tiny\t%.0f\n", spent.count());
    row("a tiny kernel, submit to wait", 1, launch);
    row("a tiny kernel, 1 of 1,000", 1000, launch);
    // Launches are not recorded before they are submitted.
    row("a tiny kernel, 1 of 1,000, encode to wait", 1000, launch);
}

void product_of_halves() {
#ifndef NO_CUBLAS
    int n = 4096;
    __half *a = (__half *)floats(n * n / 2), *b = (__half *)floats(n * n / 2), *c = (__half *)floats(n * n / 2);
    halves<<<dim3(n / 256, n), 256>>>(a, n, true);
    halves<<<dim3(n / 256, n), 256>>>(b, n, false);
    cublasHandle_t handle;
    if (cublasCreate(&handle) != CUBLAS_STATUS_SUCCESS) return;
    float one = 1, zero = 0;
    auto product = [&] {
        // Columns come first there, so that the sides change places.
        cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, n, n, n, &one, b, CUDA_R_16F, n, a, CUDA_R_16F, n, &zero, c,
                     CUDA_R_16F, n, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
    };
    for (std::string of : {"", ", 2 × 2 SIMD-groups"}) row("candle gemm f16 4096" + of, 3, product);
#endif
}

int main(int count, char **arguments) {
    once = count > 1 && arguments[1] == std::string("--once");
    cudaDeviceProp properties;
    cudaGetDeviceProperties(&properties, 0);
    printf("# %s, nvcc\n", properties.name);
    for (unsigned mi : {16u, 256u}) {
        unsigned n = mi << 20;
        float *y = floats(n), *x = floats(n);
        row("saxpy " + std::to_string(mi) + " Mi", 20, [=] { saxpy<<<n / 256, 256>>>(y, x, 0.5f, n); });
        cudaFree(y);
        cudaFree(x);
    }
    for (unsigned n : {512u, 4096u}) {
        float *a = floats(n * n), *b = floats(n * n), *c = floats(n * n);
        dim3 grid(n / 16, n / 16), group(16, 16);
        int launches = n == 512 ? 50 : 2;
        std::string name = "matmul " + std::to_string(n);
        row(name, launches, [=] { matmul<<<grid, group>>>(c, a, b, n); });
        row(name + ", tiled", launches, [=] { matmul_tiled<<<grid, group>>>(c, a, b, n); });
    }
    unsigned *out = (unsigned *)floats(1 << 20);
    row("mandelbrot 1024", 50, [=] { mandelbrot<<<dim3(64, 64), dim3(16, 16)>>>(out, 1024); });
    by_the_driver();
    product_of_halves();
    for (int bytes : {18, 34}) {
        size_t all = size_t(32768) * 8192 / 32 * bytes;
        uint4 *from = (uint4 *)floats(all / 4);
        std::string name = bytes == 18 ? "ggml q4_0 32768 × 8192" : "ggml q8_0 32768 × 8192";
        int blocks = properties.multiProcessorCount * 8;
        row(name, 20, [=] { read<<<blocks, 256>>>(from, out, all / 16); });
    }
}
