/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of the ring's accesses: two ends run as coroutines that change at each access to shared
 * memory, with x86's memory model between them: stores wait in a buffer per CPU, come out of it in
 * their order at any time, and a full barrier waits for it to be empty. Short exchanges are run in
 * every order that there is, long ones in many random orders.
 */
#define _GNU_SOURCE
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
static struct postern_ring ends[2];

static void pause_here(void)
{
    if (current != NULL) {
        (void)swapcontext(&current->context, &scheduler);
    }
}

/* What an end keeps for itself is no place to change at. */
static void pause_at(const void *address)
{
    if ((uintptr_t)address - (uintptr_t)ends >= sizeof(ends)) {
        pause_here();
    }
}

static uint64_t access_load(const void *address, size_t size)
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

static void access_store(void *address, uint64_t value, size_t size)
{
    pause_at(address);
    if (current == NULL || (uintptr_t)address - (uintptr_t)ends < sizeof(ends)) {
        memcpy(address, &value, size);
        return;
    }
    if (current->count == BUFFER_MAX) {
        abort();
    }
    current->buffer[current->count++] = (struct store){address, value, size};
}

static void access_barrier(void)
{
    if (current != NULL && !barriers_fail[current - cpus]) {
        current->waits = true;
        pause_here();
        current->waits = false;
    }
}

/* Lets the oldest store out. */
static void drain_one(struct cpu *cpu)
{
    memcpy(cpu->buffer[0].address, &cpu->buffer[0].value, cpu->buffer[0].size);
    cpu->count--;
    memmove(cpu->buffer, cpu->buffer + 1, cpu->count * sizeof(cpu->buffer[0]));
}

static void enter(void)
{
    current->run((unsigned)(current - cpus));
    current->finished = true;
}

static void start_cpu(unsigned end, void (*run)(unsigned end))
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
static bool may_step(unsigned step)
{
    const struct cpu *cpu = &cpus[step % 2];

    if (step >= 2) {
        return cpu->count > 0;
    }
    return !cpu->finished && !(cpu->waits && cpu->count > 0);
}

static void do_step(unsigned step)
{
    if (step >= 2) {
        drain_one(&cpus[step % 2]);
        return;
    }
    current = &cpus[step];
    (void)swapcontext(&scheduler, &current->context);
    current = NULL;
}

static unsigned possible_steps(unsigned steps[4])
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
static void run_order(struct order *order)
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

static bool next_order(struct order *order)
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

static void begin_scene(const struct scene *scene)
{
    scene->begin();
    start_cpu(0, scene->run[0]);
    start_cpu(1, scene->run[1]);
}

/* Until one is wrong. */
static struct tally run_all_orders(const struct scene *scene)
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

static struct tally run_random_orders(const struct scene *scene, unsigned long orders)
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

static void assert_always_right(struct tally tally, unsigned long at_least)
{
    assert_true(tally.orders >= at_least);
    assert_int_equal(tally.wrong, 0);
}

/* The test would see it if either end's barrier were missing. */
static void assert_each_barrier_matters(const struct scene *scene)
{
    for (unsigned end = 0; end < 2; end++) {
        barriers_fail[end] = true;
        struct tally tally = run_all_orders(scene);
        barriers_fail[end] = false;
        assert_int_equal(tally.wrong, 1);
    }
}

/* ---- The scenes ---- */

static bool doorbells[2]; /* rung for end n */
static bool sleeps[2];    /* end n waits for a doorbell */
static unsigned received;
static bool faulted; /* an end took the other's doing for a fault, if only for a moment */

static void clear_sections(void)
{
    for (unsigned end = 0; end < 2; end++) {
        memset(window.writable[end], 0, sizeof(struct postern_ring_header));
        assert_true(
            postern_ring_init(&ends[end], window.writable[end], window.readable[1 - end], SECTION));
        doorbells[end] = false;
        sleeps[end] = false;
    }
    received = 0;
    faulted = false;
}

static void begin_link(void)
{
    clear_sections();
    postern_ring_open(&ends[0], 1500, 7);
    postern_ring_open(&ends[1], 1500, 7);
    (void)postern_ring_sync(&ends[0]);
    (void)postern_ring_sync(&ends[1]);
    (void)postern_ring_sync(&ends[0]);
    assert_true(ends[0].up && ends[1].up);
}

static bool put(unsigned end, uint32_t length)
{
    struct postern_ring_meta meta = {.length = length};

    if (postern_ring_reserve(&ends[end], &meta) == NULL) {
        return false;
    }
    postern_ring_commit(&ends[end]);
    return true;
}

static void publish(unsigned end)
{
    if (postern_ring_publish(&ends[end])) {
        doorbells[1 - end] = true;
    }
}

static unsigned take_all(unsigned end)
{
    struct postern_ring_meta meta;
    unsigned count = 0;

    while (postern_ring_peek(&ends[end], &meta) != NULL) {
        postern_ring_consume(&ends[end]);
        count++;
    }
    return count;
}

/* The receiver polls until there is nothing, and sleeps. */
static void receive_until_idle(unsigned end)
{
    do {
        received += take_all(end);
        if (postern_ring_release(&ends[end])) {
            doorbells[1 - end] = true;
        }
    } while (!postern_ring_arm_rx(&ends[end]));
    sleeps[end] = true;
}

static void begin_sending(void)
{
    begin_link();
    /* One that has come and gone: the receiver's event is behind, and rings for nobody. */
    assert_true(put(0, 100));
    publish(0);
    assert_int_equal(take_all(1), 1);
    (void)postern_ring_release(&ends[1]);
    doorbells[1] = false;
    assert_true(put(0, 100));
}

static void send_one(unsigned end)
{
    publish(end);
}

/* Asleep with a record to come: then the doorbell has rung. A doorbell too many does no harm. */
static bool receiver_is_right(void)
{
    return sleeps[1] && ends[1].fault == POSTERN_FAULT_NONE && (received == 1 || doorbells[1]);
}

static void test_rx_wakeup_in_every_order(void **state)
{
    static const struct scene scene = {
        begin_sending, {send_one, receive_until_idle}, receiver_is_right};

    (void)state;
    assert_always_right(run_all_orders(&scene), 100);
    assert_each_barrier_matters(&scene);
}

static void send_two(unsigned end)
{
    publish(end);
    if (put(end, 200)) {
        publish(end);
    }
}

static bool two_are_right(void)
{
    return sleeps[1] && ends[1].fault == POSTERN_FAULT_NONE && (received == 2 || doorbells[1]);
}

static void test_rx_wakeup_of_two(void **state)
{
    static const struct scene scene = {
        begin_sending, {send_two, receive_until_idle}, two_are_right};

    (void)state;
    assert_always_right(run_random_orders(&scene, 30000), 30000);
}

#define ROOM_WANTED 0x2000u

/* Full, with all of it read by the peer and nothing given back. */
static void begin_full(void)
{
    begin_link();
    while (put(0, 1000)) {
    }
    publish(0);
    assert_true(take_all(1) > 0);
    doorbells[1] = false;
}

static void wait_for_room(unsigned end)
{
    sleeps[end] = postern_ring_arm_tx(&ends[end], ROOM_WANTED);
}

static void give_back(unsigned end)
{
    if (postern_ring_release(&ends[end])) {
        doorbells[1 - end] = true;
    }
}

static bool sender_is_right(void)
{
    return ends[0].fault == POSTERN_FAULT_NONE && (!sleeps[0] || doorbells[0]) &&
           postern_ring_room(&ends[0], ROOM_WANTED);
}

static void test_tx_wakeup_in_every_order(void **state)
{
    static const struct scene scene = {begin_full, {wait_for_room, give_back}, sender_is_right};

    (void)state;
    assert_always_right(run_all_orders(&scene), 50);
    assert_each_barrier_matters(&scene);
}

static void ring_for_peer(unsigned end)
{
    /* A hypercall: what was stored before it is there. */
    access_barrier();
    doorbells[1 - end] = true;
}

static void sync_end(unsigned end)
{
    if (postern_ring_sync(&ends[end])) {
        ring_for_peer(end);
    }
}

static void open_and_sync(unsigned end)
{
    postern_ring_open(&ends[end], 1500, 7);
    ring_for_peer(end);
    sync_end(end);
}

/* Delivers doorbells, each of which makes its end look, until it is quiet. */
static bool settle(void)
{
    for (unsigned round = 0; doorbells[0] || doorbells[1]; round++) {
        unsigned end = doorbells[0] ? 0 : 1;
        if (round == 10) {
            return false;
        }
        doorbells[end] = false;
        sync_end(end);
    }
    return ends[0].up && ends[1].up && ends[0].fault == POSTERN_FAULT_NONE &&
           ends[1].fault == POSTERN_FAULT_NONE;
}

/* The link is up after the doorbells, and a packet goes each way. */
static bool link_is_right(void)
{
    if (!settle() || faulted) {
        return false;
    }
    for (unsigned end = 0; end < 2; end++) {
        (void)take_all(end);
        if (!put(1 - end, 64)) {
            return false;
        }
        publish(1 - end);
        if (take_all(end) != 1) {
            return false;
        }
    }
    return true;
}

static void test_both_open(void **state)
{
    static const struct scene scene = {
        clear_sections, {open_and_sync, open_and_sync}, link_is_right};

    (void)state;
    assert_always_right(run_random_orders(&scene, 30000), 30000);
}

/* An end that sends, receives and follows the other. */
static void work(unsigned end)
{
    for (unsigned round = 0; round < 8; round++) {
        if (postern_ring_sync_needed(&ends[end])) {
            sync_end(end);
        }
        if (put(end, 3000)) {
            publish(end);
        }
        (void)take_all(end);
        (void)postern_ring_release(&ends[end]);
        faulted = faulted || ends[end].fault != POSTERN_FAULT_NONE;
    }
    sync_end(end);
}

static void work_and_restart(unsigned end)
{
    work(end);
    open_and_sync(end);
    work(end);
    postern_ring_close(&ends[end]);
    ring_for_peer(end);
    open_and_sync(end);
}

static void begin_busy(void)
{
    begin_link();
    for (unsigned i = 0; i < 5; i++) {
        assert_true(put(0, 3000) && put(1, 3000));
        publish(0);
        publish(1);
    }
    (void)take_all(1);
    give_back(1);
}

/* No end takes the other's restart for a fault, whatever it was about to do. */
static void test_restart_under_load(void **state)
{
    static const struct scene scene = {begin_busy, {work, work_and_restart}, link_is_right};
    static const struct scene both = {
        begin_busy, {work_and_restart, work_and_restart}, link_is_right};

    (void)state;
    assert_always_right(run_random_orders(&scene, 5000), 5000);
    assert_always_right(run_random_orders(&both, 5000), 5000);
}

static int create_window(void **state)
{
    (void)state;
    window_create(&window, SECTION);
    return 0;
}

static int destroy_window(void **state)
{
    (void)state;
    window_destroy(&window);
    free(cpus[0].stack);
    free(cpus[1].stack);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rx_wakeup_in_every_order), cmocka_unit_test(test_rx_wakeup_of_two),
        cmocka_unit_test(test_tx_wakeup_in_every_order), cmocka_unit_test(test_both_open),
        cmocka_unit_test(test_restart_under_load),
    };

    return cmocka_run_group_tests(tests, create_window, destroy_window);
}
