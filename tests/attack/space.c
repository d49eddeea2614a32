/* SPDX-License-Identifier: BSD-2-Clause */
/* The whole of the guest-physical space, touched in the default view and in a protected one. */
#include "tests/attack/attack.h"

#define SPACE_BASE  (CLAIM_BASE + 0x8000000000ull) /* a linear address for guest-physical 0 */
#define LOW_END     (8 * SIZE_1G)
#define WINDOWS     0x1000000000ull
#define WINDOWS_END (WINDOWS + 4 * SIZE_1G)

static uint64_t space_end; /* by the CPU's width, as far as the tables go */
static uint64_t view;
static uint64_t pool; /* of the direct link: not in the default view either */

static void map_space(void)
{
    in_bochs_let_others_in();
    pool = pool_of_other();
    unsigned bits = cpuid(0x80000008, 0).eax & 0xff;

    space_end = 1ull << (bits < 40 ? bits : 40);
    for (uint64_t gpa = 0; gpa < space_end; gpa += SIZE_1G) {
        page_map(SPACE_BASE + gpa, gpa, SIZE_1G, PTE_WRITE | PTE_USER);
    }
}

static bool is_window(uint64_t gpa)
{
    for (unsigned port = 0; port < PORTS; port++) {
        uint64_t window = WINDOWS + port * 2ull * POSTERN_SECTION_MAX;
        if (gpa >= window && gpa < window + 2 * SECTION_SIZE) {
            return true;
        }
    }
    return gpa >= pool && gpa < pool + POOL_SIZE;
}

static bool is_ram(uint64_t gpa)
{
    return gpa < ram_size();
}

static bool is_gate(uint64_t gpa)
{
    return gpa >= GATE_BASE && gpa < GATE_BASE + GATE_PAGES * SIZE_4K;
}

/* Bytes that are no pattern of anybody: nothing is there. */
static void check_empty(uint64_t gpa, uint64_t word, struct trap trap)
{
    if (is_window(gpa)) {
        return; /* the open link's has memory, the others are refused */
    }
    if (trap.vector != TRAP_NONE || (word != ~0ull && !is_ram(gpa) && !is_gate(gpa))) {
        fail("at 0x%llx there is 0x%llx, %s", (unsigned long long)gpa, (unsigned long long)word,
             trap_text(&trap));
    }
    CHECK(!is_canary(word));
}

static void read_at(uint64_t gpa)
{
    uint64_t word = 0;
    struct trap trap = TRY("mov (%1), %0", : "=r"(word) : "r"(SPACE_BASE + gpa));

    check_empty(gpa, word, trap);
}

static bool is_device(uint64_t gpa)
{
    return (gpa >= 0xc0000000 && gpa < 0xc0000000 + PORTS * POSTERN_BAR_REGISTERS_SIZE) ||
           (gpa >= GUEST_IOAPIC_BASE && gpa < GUEST_IOAPIC_BASE + SIZE_4K);
}

/* The steps: small where something is, large in the emptiness. */
static uint64_t step_at(uint64_t gpa, uint64_t near, uint64_t far)
{
    return gpa < LOW_END || (gpa >= WINDOWS && gpa < WINDOWS_END) ? near : far;
}

CLAIM(read_everything, "no read of the physical space shows what is not the guest's own")
{
    map_space();
    /* All that machine/guest_map.h names in steps of a large page, the rest in larger ones. */
    for (uint64_t gpa = 0; gpa < space_end;
         gpa += gpa < GUEST_PCI_HIGH_END ? SIZE_2M : 8 * SIZE_2M) {
        if (!is_device(gpa)) {
            read_at(gpa);
        }
    }
    random_seed(7);
    for (unsigned i = 0; i < 4000; i++) {
        uint64_t gpa = random_next() % space_end & ~7ull;
        if (!is_device(gpa)) {
            read_at(gpa);
        }
    }
}

CLAIM(write_everything, "no write outside RAM and windows changes anything")
{
    map_space();
    for (uint64_t gpa = ram_size(); gpa < space_end; gpa += step_at(gpa, SIZE_2M, SIZE_1G / 8)) {
        if (is_device(gpa) || is_window(gpa)) {
            continue;
        }
        CHECK_NO_TRAP(TRY("movq $0, (%0)", : : "r"(SPACE_BASE + gpa) : "memory"));
        read_at(gpa);
    }
    for (uint64_t at = 0; at < GATE_PAGES * SIZE_4K; at += 8) {
        CHECK_TRAP(TRY("movq $0, (%0)",
                       :
                       : "r"(SPACE_BASE + GATE_BASE + at)
                       : "memory"),
                   EXCEPTION_GP, 0);
    }
}

static void fetch(void *linear)
{
    __asm__ volatile("call *%0" : : "r"(linear) : "memory");
}

CLAIM(execute_everything, "nothing outside RAM is executed, but the gate")
{
    map_space();
    for (uint64_t gpa = ram_size(); gpa < space_end; gpa += step_at(gpa, SIZE_2M, SIZE_1G)) {
        if (!is_gate(gpa)) {
            CHECK_TRAP(trap_of(fetch, (void *)(SPACE_BASE + gpa)), EXCEPTION_GP, 0);
        }
    }
}

/* In the view: RAM, the gate, the window of one port, and no more. */
static void load_in_view(uint64_t gpa)
{
    struct postern_gate_access access = {SPACE_BASE + gpa, 0};
    int64_t result = cross(view, POSTERN_GATE_LOAD, &access);
    uint64_t window = WINDOWS;
    bool in_window = gpa >= window && gpa < window + 2 * SECTION_SIZE;
    int64_t expected = is_ram(gpa) || is_gate(gpa) || in_window ? 0 : POSTERN_ERR_FAULT;

    if (result != expected || (!in_window && is_canary(access.value))) {
        fail("in the view at 0x%llx: %lld, 0x%llx", (unsigned long long)gpa, (long long)result,
             (unsigned long long)access.value);
    }
}

CLAIM(read_everything_in_view,
      "in a view there is the own RAM, the gate and one window, and nothing else")
{
    map_space();
    view = view_open(PORT_GATED);
    for (uint64_t gpa = 0; gpa < space_end; gpa += step_at(gpa, SIZE_2M, SIZE_1G / 16)) {
        load_in_view(gpa);
    }
    for (uint64_t gpa = WINDOWS; gpa < WINDOWS + SIZE_1G / 2; gpa += SIZE_1G / 8) {
        for (uint64_t at = 0; at < 4 * SECTION_SIZE; at += SIZE_4K) {
            load_in_view(gpa + at);
        }
    }
    random_seed(8);
    for (unsigned i = 0; i < 3000; i++) {
        load_in_view(random_next() % space_end & ~7ull);
    }
}

CLAIM(write_everything_in_view,
      "in a view there is nothing to write but the own RAM and the own section")
{
    map_space();
    view = view_open(PORT_GATED);
    for (uint64_t gpa = ram_size(); gpa < space_end; gpa += step_at(gpa, SIZE_2M, SIZE_1G / 8)) {
        struct postern_gate_access access = {SPACE_BASE + gpa, 0};
        bool own = gpa >= WINDOWS && gpa < WINDOWS + SECTION_SIZE;
        CHECK_EQUAL(cross(view, POSTERN_GATE_STORE, &access), own ? 0 : POSTERN_ERR_FAULT);
    }
    for (uint64_t gpa = GATE_BASE; gpa < GATE_BASE + 4 * SIZE_4K; gpa += 64) {
        struct postern_gate_access access = {SPACE_BASE + gpa, 0};
        CHECK_EQUAL(cross(view, POSTERN_GATE_STORE, &access), POSTERN_ERR_FAULT);
    }
}
