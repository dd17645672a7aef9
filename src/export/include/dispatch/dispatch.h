// The functions of libdispatch that exist here. Those with blocks need a compiler that has them (`-fblocks`).
#ifndef ARUMINIUM_DISPATCH_H
#define ARUMINIUM_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct dispatch_queue_s *dispatch_queue_t;
typedef struct dispatch_queue_attr_s *dispatch_queue_attr_t;
typedef struct dispatch_data_s *dispatch_data_t;
typedef struct dispatch_semaphore_s *dispatch_semaphore_t;
typedef uint64_t dispatch_time_t;
typedef void (*dispatch_function_t)(void *);

#define DISPATCH_TIME_NOW 0ull
#define DISPATCH_TIME_FOREVER (~0ull)
#define DISPATCH_QUEUE_SERIAL ((dispatch_queue_attr_t)0)
#define DISPATCH_QUEUE_PRIORITY_DEFAULT 0
#define DISPATCH_DATA_DESTRUCTOR_DEFAULT ((void *)0)

extern struct dispatch_queue_s _dispatch_main_q;
#define dispatch_get_main_queue() (&_dispatch_main_q)

dispatch_queue_t dispatch_queue_create(const char *label, dispatch_queue_attr_t attribute);
dispatch_queue_t dispatch_get_global_queue(intptr_t priority, uintptr_t flags);
const char *dispatch_queue_get_label(dispatch_queue_t queue);
void dispatch_async_f(dispatch_queue_t queue, void *argument, dispatch_function_t function);
void dispatch_sync_f(dispatch_queue_t queue, void *argument, dispatch_function_t function);
void dispatch_retain(void *object);
void dispatch_release(void *object);
size_t dispatch_data_get_size(dispatch_data_t data);
dispatch_data_t dispatch_data_create_map(dispatch_data_t data, const void **start, size_t *length);
dispatch_time_t dispatch_time(dispatch_time_t when, int64_t delta);
dispatch_semaphore_t dispatch_semaphore_create(intptr_t count);
intptr_t dispatch_semaphore_wait(dispatch_semaphore_t semaphore, dispatch_time_t timeout);
intptr_t dispatch_semaphore_signal(dispatch_semaphore_t semaphore);

#if defined(__BLOCKS__)
typedef void (^dispatch_block_t)(void);
dispatch_data_t dispatch_data_create(const void *bytes, size_t length, dispatch_queue_t queue,
                                     dispatch_block_t destructor);
void dispatch_async(dispatch_queue_t queue, dispatch_block_t block);
void dispatch_sync(dispatch_queue_t queue, dispatch_block_t block);
#endif

#ifdef __cplusplus
}
#endif
#endif
