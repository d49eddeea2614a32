/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two ends of a link as coroutines that change at each access to shared memory, with x86's memory
 * model between them: stores wait in a buffer per CPU, come out of it in their order at any time,
 * and a full barrier waits for it to be empty. Short exchanges are run in every order that there
 * is, long ones in many random orders. For cmocka tests.
 */
#ifndef POSTERN_TESTS_UNIT_RING_CPUS_H
#define POSTERN_TESTS_UNIT_RING_CPUS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <cmocka.h>

#include "tests/unit/random.h"
#include "tests/unit/ring_access.h"
#include "tests/unit/ring_window.h"

#define SECTION     POSTERN_SECTION_MIN
#define STACK_SIZE  0x10000u
#define BUFFER_MAX  32u
#define CHOICES_MAX 4096u

struct store {
    void *address;
    uint64_t value;
    size_t size;
};

struct cpu {
    ucontext_t context;
    void (*run)(unsigned end);
    uint8_t *stack;
    bool finished;
    bool waits; /* in a barrier, for the buffer to be empty */
    struct store buffer[BUFFER_MAX];
    unsigned count;
};

static struct cpu cpus[2];
static struct cpu *current; /* NULL: the test itself, which has no buffer */
static ucontext_t scheduler;
static bool barriers_fail[2];

static struct ring_window window;

static inline void pause_here(void)
{
    if (current != NULL) {
        (void)swapcontext(&current->context, &scheduler);
    }
}

static inline bool is_shared(const void *address)
{
    for (unsigned end = 0; end < 2; end++) {
        if ((uintptr_t)address - (uintptr_t)window.writable[end] < SECTION ||
            (uintptr_t)address - (uintptr_t)window.readable[end] < SECTION) {
            return true;
        }
    }
    return false;
}

/* What an end keeps for itself is no place to change at. */
static inline void pause_at(const void *address)
{
    if (is_shared(address)) {
        pause_here();
    }
}

static inline uint64_t access_load(const void *address, size_t size)
{
    uint64_t value = 0;

    pause_at(address);
    memcpy(&value, address, size);
    for (unsigned i = 0; current != NULL && i < current->count; i++) {
        if (current->buffer[i].address == address) {
            value = current->buffer[i].value;
        }
    }
    return value;
}

static inline void access_store(void *address, uint64_t value, size_t size)
{
    pause_at(address);
    if (current == NULL || !is_shared(address)) {
        memcpy(address, &value, size);
        return;
    }
    if (current->count == BUFFER_MAX) {
        abort();
    }
    current->buffer[current->count++] = (struct store){address, value, size};
}

static inline void access_barrier(void)
{
    if (current != NULL && !barriers_fail[current - cpus]) {
        current->waits = true;
        pause_here();
        current->waits = false;
    }
}

/* Lets the oldest store out. */
static inline void drain_one(struct cpu *cpu)
{
    memcpy(cpu->buffer[0].address, &cpu->buffer[0].value, cpu->buffer[0].size);
    cpu->count--;
    memmove(cpu->buffer, cpu->buffer + 1, cpu->count * sizeof(cpu->buffer[0]));
}

static inline void enter(void)
{
    current->run((unsigned)(current - cpus));
    current->finished = true;
}

static inline void start_cpu(unsigned end, void (*run)(unsigned end))
{
    struct cpu *cpu = &cpus[end];

    if (cpu->stack == NULL) {
        cpu->stack = malloc(STACK_SIZE);
    }
    if (cpu->stack == NULL || getcontext(&cpu->context) != 0) {
        abort();
    }
    cpu->context.uc_stack.ss_sp = cpu->stack;
    cpu->context.uc_stack.ss_size = STACK_SIZE;
    cpu->context.uc_link = &scheduler;
    makecontext(&cpu->context, enter, 0);
    cpu->run = run;
    cpu->finished = false;
    cpu->waits = false;
    cpu->count = 0;
}

/* A step: 0 and 1 run a CPU to its next access, 2 and 3 let a store of theirs out. */
static inline bool may_step(unsigned step)
{
    const struct cpu *cpu = &cpus[step % 2];

    if (step >= 2) {
        return cpu->count > 0;
    }
    return !cpu->finished && !(cpu->waits && cpu->count > 0);
}

static inline void do_step(unsigned step)
{
    if (step >= 2) {
        drain_one(&cpus[step % 2]);
        return;
    }
    current = &cpus[step];
    (void)swapcontext(&scheduler, &current->context);
    current = NULL;
}

static inline unsigned possible_steps(unsigned steps[4])
{
    unsigned count = 0;

    for (unsigned step = 0; step < 4; step++) {
        if (may_step(step)) {
            steps[count++] = step;
        }
    }
    return count;
}

/* The path through the tree of orders: what was chosen at each step, out of how many. */
struct order {
    uint8_t chosen[CHOICES_MAX];
    uint8_t of[CHOICES_MAX];
    unsigned depth;
};

/* Runs both to their ends along the path, and first choices after it. */
static inline void run_order(struct order *order)
{
    unsigned steps[4], at = 0, count;

    while ((count = possible_steps(steps)) > 0) {
        if (at == CHOICES_MAX) {
            abort();
        }
        if (at >= order->depth) {
            order->chosen[at] = 0;
            order->of[at] = (uint8_t)count;
            order->depth = at + 1;
        }
        do_step(steps[order->chosen[at++]]);
    }
}

static inline bool next_order(struct order *order)
{
    while (order->depth > 0 && order->chosen[order->depth - 1] + 1 == order->of[order->depth - 1]) {
        order->depth--;
    }
    if (order->depth == 0) {
        return false;
    }
    order->chosen[order->depth - 1]++;
    return true;
}

/* A scene: how it begins, what each end does, and whether the outcome is right. */
struct scene {
    void (*begin)(void);
    void (*run[2])(unsigned end);
    bool (*right)(void);
};

struct tally {
    unsigned long orders;
    unsigned long wrong;
};

static inline void begin_scene(const struct scene *scene)
{
    scene->begin();
    start_cpu(0, scene->run[0]);
    start_cpu(1, scene->run[1]);
}

/* Until one is wrong. */
static inline struct tally run_all_orders(const struct scene *scene)
{
    static struct order order;
    struct tally tally = {0};

    order.depth = 0;
    do {
        begin_scene(scene);
        run_order(&order);
        tally.orders++;
        tally.wrong += !scene->right();
    } while (tally.wrong == 0 && next_order(&order));
    return tally;
}

static inline struct tally run_random_orders(const struct scene *scene, unsigned long orders)
{
    struct random random = {11};
    struct tally tally = {0};

    for (; tally.orders < orders; tally.orders++) {
        unsigned steps[4], count;
        /* Some orders with long turns, some with stores that stay for long. */
        uint32_t turn = 1 + random_below(&random, 12), lazy = random_below(&random, 8);

        begin_scene(scene);
        for (unsigned last = 0; (count = possible_steps(steps)) > 0;) {
            unsigned step = steps[random_below(&random, count)];
            if (may_step(last) && random_below(&random, turn) != 0) {
                step = last;
            } else if (step >= 2 && random_below(&random, lazy + 1) != 0) {
                step = steps[0];
            }
            do_step(step);
            last = step;
        }
        tally.wrong += !scene->right();
    }
    return tally;
}

static inline void assert_always_right(struct tally tally, unsigned long at_least)
{
    assert_true(tally.orders >= at_least);
    assert_int_equal(tally.wrong, 0);
}

/* The test would see it if either end's barrier were missing. */
static inline void assert_each_barrier_matters(const struct scene *scene)
{
    for (unsigned end = 0; end < 2; end++) {
        barriers_fail[end] = true;
        struct tally tally = run_all_orders(scene);
        barriers_fail[end] = false;
        assert_int_equal(tally.wrong, 1);
    }
}

static inline int create_window(void **state)
{
    (void)state;
    window_create(&window, SECTION);
    return 0;
}

static inline int destroy_window(void **state)
{
    (void)state;
    window_destroy(&window);
    free(cpus[0].stack);
    free(cpus[1].stack);
    return 0;
}

#endif
