/* SPDX-License-Identifier: BSD-2-Clause */
/* The area of virtualization exceptions and their delivery, tampered with. */
#include "tests/attack/attack.h"

#define ROUNDS 300u

struct area {
    volatile uint32_t reason, busy;
    volatile uint64_t qualification, linear, gpa;
    volatile uint16_t view;
};

static struct area *area;
static uint8_t *window;

static void set_up(void)
{
    area = ram_alloc(SIZE_4K, SIZE_4K);
    (void)view_open(PORT_GATED);
    window = window_map(PORT_GATED);
    CHECK_EQUAL(hypercall(POSTERN_HC_VE, (uint64_t)area, 0, 0), 0);
}

static struct trap touch(uint64_t offset)
{
    uint64_t word = 0;
    struct trap trap = TRY("mov (%1), %0", : "+r"(word) : "r"(window + offset));

    CHECK_EQUAL(word, 0);
    return trap;
}

CLAIM(ve_busy_word, "any busy word but 0 means #GP, and nothing in the area is believed")
{
    set_up();
    random_seed(3);
    for (unsigned i = 0; i < ROUNDS; i++) {
        memset(area, (int)random_next(), SIZE_4K);
        area->busy = i % 3 == 0 ? 0 : (uint32_t)random_next() | 1;
        bool free = area->busy == 0;
        CHECK_TRAP(touch(i * 8), free ? EXCEPTION_VE : EXCEPTION_GP, 0);
        if (free) {
            CHECK_EQUAL(area->gpa, window_of(PORT_GATED) + i * 8);
            CHECK_EQUAL(area->busy, 0xffffffff);
        }
    }
}

CLAIM(ve_page_under_gate, "an area in a page that shows the gate leaves the gate as it is")
{
    uint64_t before[512];

    set_up();
    memcpy(before, (const void *)GATE_BASE, sizeof(before));
    CHECK_EQUAL(hypercall(POSTERN_HC_GATE_PLACE, 0, (uint64_t)area, 0), 0);
    for (unsigned i = 0; i < 8; i++) {
        struct trap trap = touch(0);
        CHECK(trap.vector == EXCEPTION_VE || trap.vector == EXCEPTION_GP);
    }
    CHECK(memcmp(before, (const void *)GATE_BASE, sizeof(before)) == 0);
    CHECK(memcmp(before, (const void *)area, sizeof(before)) == 0);
    CHECK_EQUAL(hypercall(POSTERN_HC_GATE_PLACE, POSTERN_GATE_REMOVE, (uint64_t)area, 0), 0);
}

CLAIM(ve_page_unmapped, "an area that the guest's own tables do not map is filled all the same")
{
    set_up();
    uint64_t alias = CLAIM_BASE;
    page_map(alias, (uint64_t)area, SIZE_4K, 0);
    page_unmap(alias);
    CHECK_TRAP(touch(8), EXCEPTION_VE, 0);
    CHECK_EQUAL(area->gpa, window_of(PORT_GATED) + 8);
}

CLAIM(ve_registered_twice, "of two areas the later one counts")
{
    set_up();
    struct area *first = area;
    set_up();
    CHECK(first != area);
    CHECK_TRAP(touch(0x123), EXCEPTION_VE, 0);
    CHECK_EQUAL(first->busy, 0);
    CHECK_EQUAL(area->gpa, window_of(PORT_GATED) + 0x123);
}

CLAIM(ve_page_shared, "an area that both vCPUs register, and one of them writes, harms no other")
{
    set_up();
    for (unsigned i = 0; i < ROUNDS; i++) {
        area->busy = 0;
        struct trap trap = touch(i);
        CHECK(trap.vector == EXCEPTION_VE || trap.vector == EXCEPTION_GP);
        for (unsigned word = 0; word < 16; word++) {
            ((volatile uint64_t *)area)[word] = ~0ull;
        }
    }
    check_crossing(PORT_GATED);
}
