/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A crossing that is taken out of the guest at each of its instructions in turn, by the
 * VMX-preemption timer: in Bochs a tick of it is an instruction. What a crossing does and returns
 * must not depend on where.
 */
#include "tests/views/views.h"

#define VECTOR  0x41u
#define STEPS   60u /* more than the crossing has instructions: the last ones come after it */
#define COPY    64u
#define TEST_ON "the boot option test=on is not set"

static uint8_t from[COPY], back[COPY];

static void fill(uint64_t seed)
{
    for (unsigned i = 0; i < COPY; i++) {
        from[i] = (uint8_t)(seed * 31 + i);
        back[i] = 0;
    }
}

/* The next stay in the guest ends after `ticks`, with `event`. */
static void end_stay(uint64_t ticks, uint64_t event)
{
    if (hypercall(POSTERN_HC_TEST_STAY, ticks, event, 0) != 0) {
        skip(TEST_ON);
    }
}

static int64_t copy_there(uint32_t view, uint64_t gate, uint64_t window, uint64_t ticks,
                          uint64_t event)
{
    struct postern_gate_copy copy = {window, (uint64_t)from, COPY};

    end_stay(ticks, event);
    return ((postern_gate_t)gate)(view, POSTERN_GATE_COPY, &copy);
}

static void sweep(uint64_t event, bool interrupts)
{
    uint32_t view = open_view();
    uint64_t window = window_of(GATED_PORT);
    uint64_t gate = gate_address();

    for (uint64_t ticks = 0; ticks < STEPS; ticks++) {
        uint64_t before = vector_count(event == 2 ? 2 : VECTOR);
        fill(ticks);
        if (interrupts) {
            __asm__ volatile("sti");
        }
        int64_t result = copy_there(view, gate, window, ticks, event);
        if (event != 0) {
            /* It comes now at the latest. */
            for (unsigned i = 0; i < 1000 && vector_count(event == 2 ? 2 : VECTOR) == before; i++) {
                cpu_pause();
            }
        }
        __asm__ volatile("cli");
        CHECK_EQUAL(result, 0);
        CHECK_EQUAL(gate_copy(view, (uint64_t)back, window, COPY), 0);
        CHECK_EQUAL(memcmp(from, back, COPY), 0);
        if (event != 0) {
            CHECK_EQUAL(vector_count(event == 2 ? 2 : VECTOR), before + 1);
        }
    }
}

CLAIM(sweep_exit, "an exit at any instruction of a crossing changes nothing")
{
    sweep(0, false);
}

CLAIM(sweep_interrupt, "an interrupt at any instruction of a crossing is delivered, and it goes on")
{
    sweep(VECTOR, true);
}

CLAIM(sweep_nmi, "an NMI at any instruction of a crossing is delivered, and it goes on")
{
    sweep(2, false);
}

static uint32_t user_view;
static uint64_t user_ticks;
static struct postern_gate_copy user_copy;

static uint64_t cross_as_user(uint64_t gate)
{
    return (uint64_t)((postern_gate_t)gate)(user_view, POSTERN_GATE_COPY, &user_copy);
}

/* The stay begins in ring 0: the way to ring 3 is a part of the sweep. */
CLAIM(sweep_ring_3, "the same for a program of ring 3 that crosses by itself")
{
    uint64_t window = window_of(GATED_PORT);
    uint64_t users = 0x400000000000ull;

    user_view = open_view();
    page_map(users, nic_bar(need_nic(), POSTERN_BAR_WINDOW), SIZE_4K, PTE_WRITE | PTE_USER);
    for (user_ticks = 0; user_ticks < 2 * STEPS; user_ticks++) {
        uint64_t result = 1;
        fill(user_ticks);
        user_copy = (struct postern_gate_copy){users, user_address(from), COPY};
        end_stay(user_ticks, 2);
        CHECK_NO_TRAP(run_user(cross_as_user, USER_BASE + gate_address(), &result));
        CHECK_EQUAL(result, 0);
        CHECK_EQUAL(gate_copy(user_view, (uint64_t)back, window, COPY), 0);
        CHECK_EQUAL(memcmp(from, back, COPY), 0);
    }
}

CLAIM(sweep_abort, "a crossing that ends with FAULT does so wherever it was taken out before")
{
    uint32_t view = open_view();
    uint64_t peers = window_of(GATED_PORT) + SECTION_SIZE;

    for (uint64_t ticks = 0; ticks < STEPS; ticks++) {
        struct postern_gate_access store = {peers, 1};
        postern_gate_t gate = (postern_gate_t)gate_address();
        end_stay(ticks, 2);
        CHECK_EQUAL(gate(view, POSTERN_GATE_STORE, &store), POSTERN_ERR_FAULT);
    }
}

/* Page faults inside: the page comes with the exception, as a kernel's demand paging has it. */
static uint64_t missing;
static uint64_t missing_gpa;
static unsigned faults;

static void page_in(struct frame *frame)
{
    (void)frame;
    faults++;
    page_map(missing, missing_gpa, SIZE_4K, PTE_WRITE);
}

CLAIM(page_fault_in_a_crossing, "a #PF in the view is handled in the default view, and it goes on")
{
    uint32_t view = open_view();
    uint64_t window = window_of(GATED_PORT);

    missing = CLAIM_BASE + SIZE_1G;
    missing_gpa = (uint64_t)ram_alloc(SIZE_4K, SIZE_4K);
    fill(5);
    CHECK_EQUAL(gate_copy(view, window, (uint64_t)from, COPY), 0);
    faults = 0;
    vector_handle(EXCEPTION_PF, page_in);
    CHECK_EQUAL(gate_copy(view, missing + 8, window, COPY), 0);
    CHECK_EQUAL(faults, 1);
    CHECK_EQUAL(memcmp((void *)(missing_gpa + 8), from, COPY), 0);
}
