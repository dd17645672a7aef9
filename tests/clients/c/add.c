// Vector addition in C, by messages: what a program needs that has no bindings at all.
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef void *id;
typedef void *SEL;
typedef struct { unsigned long width, height, depth; } MTLSize;

extern id MTLCreateSystemDefaultDevice(void);
extern id objc_getClass(const char *name);
extern SEL sel_registerName(const char *name);
extern void objc_msgSend(void);
extern void *objc_autoreleasePoolPush(void);
extern void objc_autoreleasePoolPop(void *pool);
extern id objc_autorelease(id object);
extern id objc_allocateClassPair(id superclass, const char *name, unsigned long extra);
extern void objc_registerClassPair(id class);
extern bool class_addMethod(id class, SEL selector, void (*method)(void), const char *types);
extern void NSLog(id format, ...);
extern id MTLLibraryErrorDomain;
extern struct queue _dispatch_main_q;
extern void dispatch_async_f(struct queue *queue, void *argument, void (*function)(void *));

// A variable: some compilers refuse to call a function through a cast of its own name.
static void (*send)(void) = objc_msgSend;

#define SEND(result, object, selector, types, ...)                                                          \
    ((result(*) types)send)(object, sel_registerName(selector), ##__VA_ARGS__)
#define GET(object, selector) SEND(id, object, selector, (id, SEL))

enum { COUNT = 256 };

static id string(const char *text) {
    return SEND(id, objc_getClass("NSString"), "stringWithUTF8String:", (id, SEL, const char *), text);
}

static void say(id object, SEL selector) { puts("an object was deallocated at exit"); }

static void set(void *flag) { *(bool *)flag = true; }

int main(void) {
    void *pool = objc_autoreleasePoolPush();
    id device = MTLCreateSystemDefaultDevice(), error = 0;
    id source = string("kernel void add(device float *a, device float *b, uint i [[thread_position_in_grid]])"
                       "{ a[i] += b[i]; }");
    id library = SEND(id, device, "newLibraryWithSource:options:error:", (id, SEL, id, id, id *), source, (id)0, &error);
    id function = SEND(id, library, "newFunctionWithName:", (id, SEL, id), string("add"));
    id pipeline = SEND(id, device, "newComputePipelineStateWithFunction:error:", (id, SEL, id, id *), function, &error);
    if (!pipeline) return fprintf(stderr, "no pipeline\n"), 1;

    id buffers[2];
    float *contents[2];
    for (int b = 0; b < 2; b++) {
        buffers[b] = SEND(id, device, "newBufferWithLength:options:", (id, SEL, unsigned long, unsigned long),
                          COUNT * sizeof(float), 0ul);
        contents[b] = GET(buffers[b], "contents");
        for (int i = 0; i < COUNT; i++) contents[b][i] = (b + 1) * i;
    }
    id queue = GET(device, "newCommandQueue"), commands = GET(queue, "commandBuffer");
    id encoder = GET(commands, "computeCommandEncoder");
    SEND(void, encoder, "setComputePipelineState:", (id, SEL, id), pipeline);
    for (unsigned long b = 0; b < 2; b++)
        SEND(void, encoder, "setBuffer:offset:atIndex:", (id, SEL, id, unsigned long, unsigned long), buffers[b], 0ul, b);
    MTLSize grid = {COUNT, 1, 1}, group = {32, 1, 1};
    SEND(void, encoder, "dispatchThreads:threadsPerThreadgroup:", (id, SEL, MTLSize, MTLSize), grid, group);
    SEND(void, encoder, "endEncoding", (id, SEL));
    SEND(void, commands, "commit", (id, SEL));
    SEND(void, commands, "waitUntilCompleted", (id, SEL));
    for (int i = 0; i < COUNT; i++)
        if (contents[0][i] != 3 * i) return fprintf(stderr, "element %d is %f\n", i, contents[0][i]), 1;

    id none = SEND(id, device, "newLibraryWithSource:options:error:", (id, SEL, id, id, id *), string("kernel"), (id)0, &error);
    bool same = SEND(bool, GET(error, "domain"), "isEqualToString:", (id, SEL, id), MTLLibraryErrorDomain);
    if (none || !same) return fprintf(stderr, "the error is not the compiler's\n"), 1;
    // A variable number of arguments: objects and numbers, more than there are registers.
    id text = SEND(id, objc_getClass("NSString"), "stringWithFormat:", (id, SEL, id, ...),
                   string("%@ %d %.1f %s %lu %c %g %x"), string("x"), -1, 2.5, "three", 4ul, '5', 6.5, 0x7f);
    const char *utf8 = SEND(const char *, text, "UTF8String", (id, SEL));
    if (strcmp(utf8, "x -1 2.5 three 4 5 6.5 7f")) return fprintf(stderr, "the text is '%s'\n", utf8), 1;
    NSLog(string("%@ %d"), string("logged"), 7);
    // The main thread's run loop runs the main queue.
    bool ran = false;
    dispatch_async_f(&_dispatch_main_q, &ran, set);
    id soon = SEND(id, objc_getClass("NSDate"), "dateWithTimeIntervalSinceNow:", (id, SEL, double), 0.01);
    SEND(void, GET(objc_getClass("NSRunLoop"), "currentRunLoop"), "runUntilDate:", (id, SEL, id), soon);
    if (!ran) return fprintf(stderr, "the main queue's job did not run\n"), 1;
    objc_autoreleasePoolPop(pool);

    // The main thread's last pool is not drained: handlers of the program's end may have run. This object stays.
    id class = objc_allocateClassPair(objc_getClass("NSObject"), "Last", 0);
    class_addMethod(class, sel_registerName("dealloc"), (void (*)(void))say, "v@:");
    objc_registerClassPair(class);
    objc_autorelease(GET(class, "new"));
    puts("the sums are right");
    return 0;
}
