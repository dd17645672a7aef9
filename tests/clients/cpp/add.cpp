// Vector addition and a sum with metal-cpp, Apple's C++ interface, whose headers come with the Python package
// `mlx-metal`.
#define NS_PRIVATE_IMPLEMENTATION
#define MTL_PRIVATE_IMPLEMENTATION
#include <Foundation/Foundation.hpp>
#include <Metal/Metal.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

static const char *SOURCE = R"(
    #include <metal_stdlib>
    using namespace metal;
    kernel void add(device const float *a, device const float *b, device float *sum,
                    uint i [[thread_position_in_grid]]) {
        sum[i] = a[i] + b[i];
    }
    kernel void total(device const float *x, device float *sums, threadgroup float *part [[threadgroup(0)]],
                      uint i [[thread_position_in_grid]], uint lane [[thread_position_in_threadgroup]],
                      uint group [[threadgroup_position_in_grid]], uint size [[threads_per_threadgroup]]) {
        part[lane] = x[i];
        for (uint half_of = size / 2; half_of > 0; half_of /= 2) {
            threadgroup_barrier(mem_flags::mem_threadgroup);
            if (lane < half_of) part[lane] += part[lane + half_of];
        }
        if (lane == 0) sums[group] = part[0];
    }
)";

static constexpr size_t COUNT = 4096, GROUP = 256;

template <typename T> static T *check(T *object, NS::Error *error, const char *what) {
    if (object) return object;
    std::fprintf(stderr, "%s: %s\n", what, error ? error->localizedDescription()->utf8String() : "nil");
    std::exit(1);
}

static NS::String *text(const char *bytes) { return NS::String::string(bytes, NS::UTF8StringEncoding); }

static NS::SharedPtr<MTL::ComputePipelineState> pipeline(MTL::Device *device, MTL::Library *library, NS::String *name) {
    NS::Error *error = nullptr;
    const char *bytes = name->utf8String();
    auto function = NS::TransferPtr(check(library->newFunction(name), nullptr, bytes));
    return NS::TransferPtr(check(device->newComputePipelineState(function.get(), &error), error, bytes));
}

int main() {
    auto pool = NS::TransferPtr(NS::AutoreleasePool::alloc()->init());
    auto device = NS::TransferPtr(check(MTL::CreateSystemDefaultDevice(), nullptr, "device"));
    NS::Error *error = nullptr;
    auto library = NS::TransferPtr(check(device->newLibrary(text(SOURCE), nullptr, &error), error, "library"));
    auto add = pipeline(device.get(), library.get(), MTLSTR("add"));
    auto total = pipeline(device.get(), library.get(), text("total"));

    std::vector<float> a(COUNT), b(COUNT);
    for (size_t i = 0; i < COUNT; i++) a[i] = float(i), b[i] = 2.0f * float(i);
    auto options = MTL::ResourceStorageModeShared;
    auto in_a = NS::TransferPtr(device->newBuffer(a.data(), 4 * COUNT, options));
    auto in_b = NS::TransferPtr(device->newBuffer(b.data(), 4 * COUNT, options));
    auto sum = NS::TransferPtr(device->newBuffer(4 * COUNT, options));
    auto sums = NS::TransferPtr(device->newBuffer(4 * COUNT / GROUP, options));
    sum->setLabel(text("sum"));

    auto queue = NS::TransferPtr(device->newCommandQueue());
    MTL::CommandBuffer *commands = queue->commandBuffer();
    bool called = false;
    commands->addCompletedHandler([&called](MTL::CommandBuffer *) { called = true; });
    MTL::ComputeCommandEncoder *encoder = commands->computeCommandEncoder();
    encoder->setComputePipelineState(add.get());
    encoder->setBuffer(in_a.get(), 0, 0);
    encoder->setBuffer(in_b.get(), 0, 1);
    encoder->setBuffer(sum.get(), 0, 2);
    encoder->dispatchThreads(MTL::Size(COUNT, 1, 1), MTL::Size(GROUP, 1, 1));
    encoder->setComputePipelineState(total.get());
    encoder->setBuffer(sum.get(), 0, 0);
    encoder->setBuffer(sums.get(), 0, 1);
    encoder->setThreadgroupMemoryLength(4 * GROUP, 0);
    encoder->dispatchThreadgroups(MTL::Size(COUNT / GROUP, 1, 1), MTL::Size(GROUP, 1, 1));
    encoder->endEncoding();
    commands->commit();
    commands->waitUntilCompleted();
    if (commands->error()) check<NS::Error>(nullptr, commands->error(), "command buffer");

    auto values = static_cast<float *>(sum->contents());
    for (size_t i = 0; i < COUNT; i++) {
        if (values[i] != 3.0f * float(i)) return std::fprintf(stderr, "sum[%zu] is %g\n", i, values[i]), 1;
    }
    float all = 0;
    for (size_t group = 0; group < COUNT / GROUP; group++) all += static_cast<float *>(sums->contents())[group];
    float expected = 3.0f * float(COUNT) * float(COUNT - 1) / 2;
    if (std::abs(all - expected) > 1e-4f * expected) return std::fprintf(stderr, "the total is %g\n", all), 1;
    if (!called || std::strcmp(sum->label()->utf8String(), "sum")) return std::fprintf(stderr, "handler or label\n"), 1;

    // What is wrong is an error with the compiler's message.
    auto wrong = device->newLibrary(text("kernel void k() { x; }"), nullptr, &error);
    if (wrong || !std::strstr(error->localizedDescription()->utf8String(), "undeclared identifier 'x'")) return 1;
    std::puts("C++: the sums are right");
}
