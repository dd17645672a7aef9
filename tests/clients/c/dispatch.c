// libdispatch in C: timers and merged data, values of queues and objects, suspended queues.
#include <stdint.h>
#include <stdio.h>

typedef struct object *object;
typedef void (*function)(void *);
struct type;

extern struct type _dispatch_source_type_timer, _dispatch_source_type_data_add, _dispatch_source_type_data_or;
extern object dispatch_source_create(const struct type *kind, uintptr_t handle, unsigned long mask, object queue);
extern void dispatch_source_set_event_handler_f(object source, function handler);
extern void dispatch_source_set_cancel_handler_f(object source, function handler);
extern void dispatch_source_set_timer(object source, uint64_t start, uint64_t interval, uint64_t leeway);
extern void dispatch_source_merge_data(object source, uintptr_t value);
extern uintptr_t dispatch_source_get_data(object source);
extern void dispatch_source_cancel(object source);
extern intptr_t dispatch_source_testcancel(object source);
extern void dispatch_set_context(object any, void *context);
extern void *dispatch_get_context(object any);
extern void dispatch_set_finalizer_f(object any, function end);
extern void dispatch_queue_set_specific(object queue, const void *key, void *value, function end);
extern void *dispatch_queue_get_specific(object queue, const void *key);
extern void *dispatch_get_specific(const void *key);
extern void dispatch_suspend(object any);
extern void dispatch_resume(object any);
extern void dispatch_release(object any);
extern void dispatch_assert_queue(object queue);
extern void dispatch_assert_queue_not(object queue);
extern object dispatch_queue_create(const char *label, object attribute);
extern object dispatch_queue_create_with_target(const char *label, object attribute, object target);
extern void dispatch_async_f(object queue, void *argument, function work);
extern void dispatch_async_and_wait_f(object queue, void *argument, function work);
extern uint64_t dispatch_time(uint64_t when, int64_t delta);
extern uint64_t dispatch_walltime(const void *when, int64_t delta);
extern object dispatch_semaphore_create(intptr_t count);
extern intptr_t dispatch_semaphore_wait(object semaphore, uint64_t timeout);
extern intptr_t dispatch_semaphore_signal(object semaphore);

#define CHECK(condition)                                                                              \
    do                                                                                                \
        if (!(condition)) return fprintf(stderr, "line %d: %s does not hold\n", __LINE__, #condition), 1; \
    while (0)

static const uint64_t MS = 1000000, MINUTE = 60 * 1000 * 1000000ull;

// What a handler has seen, and a semaphore for each call.
struct seen {
    object source, called, ended;
    uintptr_t sum;
};

static void event(void *context) {
    struct seen *seen = context;
    seen->sum += dispatch_source_get_data(seen->source);
    dispatch_semaphore_signal(seen->called);
}

static void ended(void *context) { dispatch_semaphore_signal(((struct seen *)context)->ended); }

static int source(const struct type *kind, object queue) {
    int is_timer = kind == &_dispatch_source_type_timer, is_or = kind == &_dispatch_source_type_data_or;
    struct seen seen = {dispatch_source_create(kind, 0, 0, queue), dispatch_semaphore_create(0), dispatch_semaphore_create(0), 0};
    CHECK(seen.source);
    dispatch_set_context(seen.source, &seen);
    CHECK(dispatch_get_context(seen.source) == &seen);
    dispatch_source_set_event_handler_f(seen.source, event);
    dispatch_source_set_cancel_handler_f(seen.source, ended);
    if (is_timer) dispatch_source_set_timer(seen.source, dispatch_time(0, MS), MS, 0);
    else
        for (uintptr_t value = 1; value <= 10; value++) dispatch_source_merge_data(seen.source, value);
    // Nothing happens before it is resumed.
    CHECK(dispatch_semaphore_wait(seen.called, dispatch_time(0, 20 * MS)));
    dispatch_resume(seen.source);
    for (int call = 0; call < (is_timer ? 5 : 1); call++)
        CHECK(!dispatch_semaphore_wait(seen.called, dispatch_time(0, MINUTE)));
    CHECK(is_timer ? seen.sum >= 5 : seen.sum == (is_or ? 15 : 55));
    dispatch_suspend(seen.source);
    dispatch_source_merge_data(seen.source, 32);
    dispatch_source_cancel(seen.source);
    CHECK(dispatch_source_testcancel(seen.source));
    CHECK(!dispatch_semaphore_wait(seen.ended, dispatch_time(0, MINUTE)));
    uintptr_t sum = seen.sum;
    dispatch_resume(seen.source);
    CHECK(dispatch_semaphore_wait(seen.ended, dispatch_walltime(0, 10 * MS)));
    CHECK(seen.sum == sum);
    dispatch_release(seen.source);
    return 0;
}

// What the handlers of a released source use is there until they have run.
struct alive {
    object source, begun, go, done;
    int events, ends, frees;
};

static void slow_event(void *context) {
    struct alive *alive = context;
    dispatch_semaphore_signal(alive->begun);
    dispatch_semaphore_wait(alive->go, dispatch_time(0, MINUTE));
    alive->events += alive->frees == 0 && dispatch_source_get_data(alive->source) == 3;
}
static void last_event(void *context) {
    struct alive *alive = context;
    alive->ends += alive->frees == 0;
}
static void freed(void *context) {
    struct alive *alive = context;
    alive->frees += 1;
    dispatch_semaphore_signal(alive->done);
}

static int release(object queue) {
    struct alive alive = {
        dispatch_source_create(&_dispatch_source_type_data_add, 0, 0, queue),
        dispatch_semaphore_create(0), dispatch_semaphore_create(0), dispatch_semaphore_create(0), 0, 0, 0,
    };
    dispatch_set_context(alive.source, &alive);
    dispatch_source_set_event_handler_f(alive.source, slow_event);
    dispatch_source_set_cancel_handler_f(alive.source, last_event);
    dispatch_set_finalizer_f(alive.source, freed);
    dispatch_resume(alive.source);
    dispatch_source_merge_data(alive.source, 3);
    CHECK(!dispatch_semaphore_wait(alive.begun, dispatch_time(0, MINUTE)));
    dispatch_source_cancel(alive.source);
    dispatch_release(alive.source);
    dispatch_semaphore_signal(alive.go);
    CHECK(!dispatch_semaphore_wait(alive.done, dispatch_time(0, MINUTE)));
    CHECK(alive.events == 1 && alive.ends == 1 && alive.frees == 1);
    return 0;
}

static char KEY;
static void *found;
static int ends;

static void look(void *queue) {
    found = dispatch_get_specific(&KEY);
    dispatch_assert_queue(queue);
}
static void count(void *value) { ends += (int)(intptr_t)value; }
static void signal(void *semaphore) { dispatch_semaphore_signal(semaphore); }

static int values(void) {
    object target = dispatch_queue_create("target", 0), other = dispatch_queue_create("other", 0);
    object queue = dispatch_queue_create_with_target("above", 0, target);
    dispatch_queue_set_specific(target, &KEY, (void *)1, count);
    dispatch_queue_set_specific(target, &KEY, (void *)2, count);
    CHECK(ends == 1 && dispatch_queue_get_specific(target, &KEY) == (void *)2 && !dispatch_get_specific(&KEY));
    // The queue's own value, or its target's.
    dispatch_async_and_wait_f(target, target, look);
    CHECK(found == (void *)2);
    dispatch_async_and_wait_f(queue, target, look);
    CHECK(found == (void *)2);
    dispatch_async_and_wait_f(other, other, look);
    CHECK(!found);
    dispatch_assert_queue_not(target);

    object done = dispatch_semaphore_create(0);
    dispatch_suspend(other);
    dispatch_async_f(other, done, signal);
    CHECK(dispatch_semaphore_wait(done, dispatch_time(0, 10 * MS)));
    dispatch_resume(other);
    CHECK(!dispatch_semaphore_wait(done, dispatch_time(0, MINUTE)));

    dispatch_set_context(done, (void *)40);
    // No key: no value.
    dispatch_queue_set_specific(other, 0, (void *)100, count);
    CHECK(!dispatch_queue_get_specific(other, 0));
    dispatch_set_finalizer_f(done, count);
    dispatch_release(done);
    CHECK(ends == 41);
    return 0;
}

int main(void) {
    object queue = dispatch_queue_create("sources", 0);
    const struct type *kinds[] = {&_dispatch_source_type_timer, &_dispatch_source_type_data_add, &_dispatch_source_type_data_or};
    for (int kind = 0; kind < 3; kind++)
        if (source(kinds[kind], queue)) return 1;
    if (release(queue) || values()) return 1;
    puts("the sources and queues are right");
    return 0;
}
