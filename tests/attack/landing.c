/* SPDX-License-Identifier: BSD-2-Clause */
/* Jumps to every byte of the gate, by those who have something better to do than to cross. */
#include "tests/attack/enter.h"

#define GATE_BYTES (GATE_PAGES * (uint32_t)SIZE_4K)

static const uint8_t *gate_bytes(void)
{
    return (const uint8_t *)GATE_BASE;
}

/* Each points into the scratch, but for those by which the gate is told what to do. */
static void make_hostile(struct registers *r, uint64_t view)
{
    uint64_t *words = (uint64_t *)r;

    for (unsigned i = 0; i <= offsetof(struct registers, r15) / sizeof(*words); i++) {
        words[i] = SCRATCH_POINT + random_next() % 0x80 * sizeof(*words);
    }
    r->rsp = SCRATCH_POINT + 0x2000;
    r->rflags = RFLAGS_START | (random_next() & 0x400); /* DF */
    r->rcx = random_next() % 4 == 0 ? view : r->rcx;
    r->rax = random_next() % 2 == 0 ? random_next() % 16 : r->rax;
    r->rsi = random_next() % 4 == 0 ? random_next() % 16 : r->rsi;
    r->rdi = random_next() % 4 == 0 ? random_next() % 16 : r->rdi;
    switch (random_next() % 4) {
    case 0:
        r->r15 = random_next();
        break;
    case 1:
        r->r14 = random_next();
        r->r15 = 0;
        break;
    default:
        r->r15 = view;
        break;
    }
}

/* What may come of it: an exception, the end of the time, or a way back to the kit. Whatever else
 * the guest does to itself, the gate works on. */
static void check_after(struct trap trap)
{
    CHECK(trap.vector < 32 || trap.vector == TIMEOUT_VECTOR || trap.vector == TRAP_NONE);
}

static void prepare(void)
{
    random_seed(RANDOM_SEED);
    exceptions_use_ist();
    scratch_init();
}

static void jump_everywhere(unsigned ring, bool opened)
{
    uint64_t view = opened ? view_open(PORT_GATED) : 1;
    struct registers r = {0};

    prepare();
    for (uint32_t offset = 0; offset < GATE_BYTES; offset++) {
        make_hostile(&r, view);
        registers_set_ring(&r, ring);
        r.rip = (ring == 0 ? 0 : USER_BASE) + GATE_BASE + offset;
        check_after(enter(&r));
        if (offset % 256 == 0) {
            scratch_fill();
            check_crossing(PORT_GATED);
            if (!opened) {
                CHECK_EQUAL(hypercall(POSTERN_HC_VIEW_CLOSE, PORT_GATED, POSTERN_ALL_VCPUS, 0), 0);
            }
        }
    }
}

CLAIM(jump_to_every_byte_ring0, "ring 0 jumps to each byte of the gate with hostile registers")
{
    jump_everywhere(0, true);
}

CLAIM(jump_to_every_byte_ring3, "ring 3 jumps to each byte of the gate with hostile registers")
{
    jump_everywhere(3, true);
}

CLAIM(jump_to_every_byte_closed, "ring 0 jumps to each byte of the gate while no view is open")
{
    jump_everywhere(0, false);
}

static void land_everywhere(unsigned ring, uint32_t step)
{
    uint64_t view = view_open(PORT_GATED);
    struct registers r = {0};

    prepare();
    for (uint32_t offset = 0; offset < GATE_BYTES; offset += step) {
        make_hostile(&r, view);
        registers_set_ring(&r, ring);
        /* What was left there, protected code would take for addresses next time. All of it, each
         * time, would be most of what is done. */
        if (offset % 16 == 0) {
            scratch_fill();
        } else {
            scratch_fill_near();
        }
        check_after(land(offset / SIZE_4K, offset % SIZE_4K, view, &r));
        if (offset % 256 == 0) {
            check_victim_section(PORT_GATED);
        }
    }
}

CLAIM(land_in_view_at_every_byte_ring0,
      "ring 0 enters the view by itself, at each byte of the gate")
{
    land_everywhere(0, 1);
}

CLAIM(land_in_view_at_every_byte_ring3,
      "ring 3 enters the view by itself, at each byte of the gate")
{
    land_everywhere(3, 1);
}

/* Where the protected code has REP MOVSB. */
static uint32_t find_copy(uint32_t from)
{
    for (uint32_t at = from; at + 1 < GATE_BYTES; at++) {
        if (gate_bytes()[at] == 0xf3 && gate_bytes()[at + 1] == 0xa4) {
            return at;
        }
    }
    error("the gate copies nothing");
}

/* That landings land: the copy is made in the view, though nobody called the gate. */
CLAIM(land_at_the_copy,
      "who lands at the gate's copy reads the window, and writes its own section only")
{
    uint64_t view = view_open(PORT_GATED);
    uint64_t peer = (uint64_t)window_map(PORT_GATED) + SECTION_SIZE + CANARY_OFFSET;
    uint32_t copy = find_copy((uint32_t)SIZE_4K);
    struct registers r = {0};

    prepare();
    make_hostile(&r, view);
    registers_set_ring(&r, 0);
    r.rflags = RFLAGS_START;
    r.rsi = peer;
    r.rdi = SCRATCH;
    r.r8 = r.r9 = 8;
    /* RCX is the view's index: as many bytes are copied. */
    *(uint64_t *)SCRATCH = 0;
    check_after(land(copy / SIZE_4K, copy % SIZE_4K, view, &r));
    CHECK_EQUAL(*(uint8_t *)SCRATCH, (uint8_t)canary_word(0));
    r.rsi = SCRATCH_POINT;
    r.rdi = peer;
    check_after(land(copy / SIZE_4K, copy % SIZE_4K, view, &r));
    check_victim_section(PORT_GATED);
}

/* Instructions that exit or change much, where the bytes of others make them. */
static bool is_special(const uint8_t *at)
{
    bool port = (at[0] >= 0xe4 && at[0] <= 0xe7) || (at[0] >= 0xec && at[0] <= 0xef) ||
                (at[0] >= 0x6c && at[0] <= 0x6f);
    bool exits = at[0] == 0x0f && (at[1] == 0xa2 || at[1] == 0x01 || at[1] == 0x30 ||
                                   at[1] == 0x32 || at[1] == 0x20 || at[1] == 0x22);

    return port || exits || at[0] == 0xf4 || at[0] == 0xfa || at[0] == 0xcd || at[0] == 0xf1 ||
           at[0] == 0xcf || at[0] == 0xcc;
}

CLAIM(odd_instructions_in_view,
      "HLT, CPUID, port I/O, VMCALL and the like at odd bytes of the gate, in the view")
{
    uint64_t view = view_open(PORT_GATED);
    struct registers r = {0};
    unsigned found = 0;

    prepare();
    for (uint32_t at = 0; at + 2 < GATE_BYTES; at++) {
        bool filling = gate_bytes()[at] == 0xcc && gate_bytes()[at + 1] == 0xcc;
        if (filling || !is_special(gate_bytes() + at)) {
            continue;
        }
        found++;
        for (unsigned i = 0; i < 16; i++) {
            make_hostile(&r, view);
            registers_set_ring(&r, i % 2 == 0 ? 0 : 3);
            r.r15 = view;
            scratch_fill();
            check_after(land(at / SIZE_4K, at % SIZE_4K, view, &r));
            r.rip = (i % 2 == 0 ? 0 : USER_BASE) + GATE_BASE + at;
            check_after(enter(&r));
        }
    }
    CHECK(found > 0);
    check_crossing(PORT_GATED);
    check_victim_section(PORT_GATED);
}
