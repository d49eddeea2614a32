/* SPDX-License-Identifier: BSD-2-Clause */
/* Crossings with page tables, stacks and arguments made for harm. */
#include "tests/attack/enter.h"

#define ALIAS       (CLAIM_BASE + 0x30000000ull)
#define LARGE_ALIAS (CLAIM_BASE + 4 * SIZE_1G)
#define HOLE        0xd0000000ull /* nothing is there, in the 32-bit PCI window */
#define LAST_LOW    0x7ffffffff000ull
#define FIRST_HIGH  0xffff800000000000ull
#define BEYOND_RAM  0x8000000ull /* guest-physical; the host has memory there, of others */
#define STACK_WORDS 64u

struct call {
    uint64_t gate, view, function, arguments, rsp;
    int64_t result;
};

static void do_call(void *context)
{
    struct call *call = context;
    uint64_t result = call->gate;

    __asm__ volatile("movq %%rsp, %%rbx\n"
                     "movq %1, %%rsp\n"
                     "call *%%rax\n"
                     "movq %%rbx, %%rsp"
                     : "+a"(result)
                     : "r"(call->rsp), "D"(call->view), "S"(call->function), "d"(call->arguments)
                     : "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "memory");
    call->result = (int64_t)result;
}

static uint64_t own_stack(void)
{
    return (uint64_t)ram_alloc(SIZE_4K, SIZE_4K) + SIZE_4K - 64;
}

static void alias(uint64_t linear, uint32_t page)
{
    page_map(linear, GATE_BASE + page * SIZE_4K, SIZE_4K, PTE_USER);
}

/* A copy between two linear addresses through the gate. */
static int64_t copy_result(uint64_t view, uint64_t to, uint64_t from, uint64_t size)
{
    return cross_copy(view, (void *)to, (const void *)from, size);
}

CLAIM(gate_half_mapped,
      "a gate of which only one page is mapped ends with the guest's own exception")
{
    struct call call = {ALIAS, view_open(PORT_GATED), POSTERN_GATE_NOTHING, 0, own_stack(), 0};

    exceptions_use_ist();
    alias(ALIAS, 0);
    struct trap trap = trap_of(do_call, &call);
    CHECK_TRAP(trap, EXCEPTION_PF, 0x10);
    CHECK_EQUAL(trap.cr2, ALIAS + SIZE_4K);
    page_unmap(ALIAS);
    /* The protected code alone goes on in the view that R15 holds; here in none. */
    alias(ALIAS + SIZE_4K, 1);
    call.gate = ALIAS + SIZE_4K;
    trap = trap_of(do_call, &call);
    CHECK_EQUAL(trap.vector, EXCEPTION_PF);
    CHECK_EQUAL(trap.cr2, ALIAS + 0x40);
}

CLAIM(gate_in_wrong_order,
      "a gate whose pages are in the wrong order, or twice the same, opens nothing")
{
    static const uint32_t orders[][2] = {{1, 0}, {0, 0}, {1, 1}};
    uint64_t view = view_open(PORT_GATED);

    exceptions_use_ist();
    for (unsigned i = 0; i < ARRAY_SIZE(orders); i++) {
        struct call call = {ALIAS, view, POSTERN_GATE_NOTHING, 0, own_stack(), 0};
        alias(ALIAS, orders[i][0]);
        alias(ALIAS + SIZE_4K, orders[i][1]);
        (void)trap_of(do_call, &call);
        call.gate = ALIAS + SIZE_4K;
        (void)trap_of(do_call, &call);
        CHECK_TRAP(try_switch(view), EXCEPTION_GP, 0);
    }
    check_crossing(PORT_GATED);
}

CLAIM(gate_is_other_memory, "a gate mapped to RAM, to a window or to nothing is no gate")
{
    uint64_t view = view_open(PORT_GATED);
    uint64_t ram = (uint64_t)ram_alloc(2 * SIZE_4K, SIZE_4K);
    const uint64_t places[] = {ram, window_of(PORT_GATED), peer_section_of(PORT_GATED), HOLE,
                               BEYOND_RAM};

    exceptions_use_ist();
    memcpy((void *)ram, (const void *)GATE_BASE, 2 * SIZE_4K);
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        struct call call = {ALIAS, view, POSTERN_GATE_NOTHING, 0, own_stack(), 0};
        page_map(ALIAS, places[i], SIZE_4K, PTE_USER);
        page_map(ALIAS + SIZE_4K, places[i] + SIZE_4K, SIZE_4K, PTE_USER);
        CHECK_TRAP(trap_of(do_call, &call), EXCEPTION_GP, 0);
        /* The trampoline is the gate's, the protected code is not. */
        alias(ALIAS, 0);
        CHECK_TRAP(trap_of(do_call, &call), places[i] == ram ? TRAP_NONE : EXCEPTION_GP, 0);
    }
    check_crossing(PORT_GATED);
}

CLAIM(gate_at_canonical_edges, "a gate at the edges of the canonical addresses ends as anywhere")
{
    struct call call = {
        LAST_LOW - SIZE_4K, view_open(PORT_GATED), POSTERN_GATE_NOTHING, 0, own_stack(), 0};

    exceptions_use_ist();
    alias(LAST_LOW - SIZE_4K, 0);
    alias(LAST_LOW, 1);
    CHECK_NO_TRAP(trap_of(do_call, &call));
    CHECK_EQUAL(call.result, 0);
    /* The call of the protected code goes into the hole. */
    alias(LAST_LOW, 0);
    call.gate = LAST_LOW;
    CHECK_TRAP(trap_of(do_call, &call), EXCEPTION_GP, 0);
    /* To give a crossing up would lead into the hole: R15 names no view. */
    alias(FIRST_HIGH, 1);
    call.gate = FIRST_HIGH;
    CHECK_TRAP(trap_of(do_call, &call), EXCEPTION_GP, 0);
}

CLAIM(window_mapped_writable,
      "the peer's section is not written, whatever the guest's own tables allow")
{
    uint64_t view = view_open(PORT_GATED);
    uint64_t ram = own_stack(), peer = peer_section_of(PORT_GATED);

    page_map(ALIAS, align_down(peer, SIZE_2M), SIZE_2M, PTE_WRITE | PTE_USER);
    page_map(LARGE_ALIAS, align_down(peer, SIZE_1G), SIZE_1G, PTE_WRITE | PTE_USER);
    uint64_t small = (uint64_t)window_map(PORT_GATED) + SECTION_SIZE;
    const uint64_t linear[] = {ALIAS + peer % SIZE_2M, LARGE_ALIAS + peer % SIZE_1G, small};
    for (unsigned i = 0; i < ARRAY_SIZE(linear); i++) {
        for (uint64_t at = 0; at < SECTION_SIZE; at += SIZE_4K) {
            CHECK_EQUAL(copy_result(view, linear[i] + at, ram, 8), POSTERN_ERR_FAULT);
            struct postern_gate_access access = {linear[i] + at, 0};
            CHECK_EQUAL(cross(view, POSTERN_GATE_STORE, &access), POSTERN_ERR_FAULT);
        }
        CHECK_EQUAL(copy_result(view, ram, linear[i], 8), 0);
    }
}

CLAIM(copy_out_of_bounds,
      "a copy of any size ends at the window's end, or at the guest's own memory's")
{
    uint64_t view = view_open(PORT_GATED);
    uint64_t window = (uint64_t)window_map(PORT_GATED);
    uint8_t *ram = ram_alloc(4 * SECTION_SIZE, SIZE_4K);
    uint64_t behind = window + 2 * SECTION_SIZE;

    /* What is linearly behind the window: more of the guest-physical space. */
    for (uint64_t at = 0; at < 2 * SECTION_SIZE; at += SIZE_4K) {
        page_map(behind + at, window_of(PORT_GATED) + 2 * SECTION_SIZE + at, SIZE_4K, PTE_WRITE);
    }
    CHECK_EQUAL(copy_result(view, (uint64_t)ram, window, 4 * SECTION_SIZE), POSTERN_ERR_FAULT);
    CHECK_EQUAL(copy_result(view, window, (uint64_t)ram, 2 * SECTION_SIZE), POSTERN_ERR_FAULT);
    CHECK_EQUAL(copy_result(view, window, window + SECTION_SIZE, 2 * SECTION_SIZE),
                POSTERN_ERR_FAULT);
    CHECK_EQUAL(copy_result(view, behind, (uint64_t)ram, 1), POSTERN_ERR_FAULT);
    for (uint64_t at = 2 * SECTION_SIZE; at < 4 * SECTION_SIZE; at++) {
        CHECK_EQUAL(ram[at], 0);
    }
}

static uint64_t argument_view;

static void try_copies(void *context)
{
    const uint64_t *place = context;

    (void)copy_result(argument_view, *place, (uint64_t)context, 8);
    (void)copy_result(argument_view, (uint64_t)context, *place, 8);
    (void)cross(argument_view, POSTERN_GATE_COPY, (void *)*place);
    (void)cross(argument_view, POSTERN_GATE_STORE, (void *)*place);
}

CLAIM(arguments_elsewhere, "arguments in devices, beyond RAM or nowhere end the crossing, no more")
{
    uint64_t ram = (uint64_t)ram_alloc(SIZE_4K, SIZE_4K);
    const uint64_t physical[] = {HOLE,       GUEST_IOAPIC_BASE, 0xc0000000, 0xfee00000, BEYOND_RAM,
                                 ram_size(), 0x3fffffff000,     1ull << 39, GATE_BASE};
    uint64_t *place = (uint64_t *)ram;

    argument_view = view_open(PORT_GATED);
    for (unsigned i = 0; i < ARRAY_SIZE(physical); i++) {
        page_map(ALIAS, physical[i] & ((1ull << 39) | ((1ull << 39) - 1)), SIZE_4K, PTE_WRITE);
        uint64_t word = 0;
        CHECK_EQUAL(copy_result(argument_view, ALIAS, ram, 8), POSTERN_ERR_FAULT);
        int64_t read = copy_result(argument_view, (uint64_t)&word, ALIAS, 8);
        CHECK_EQUAL(read, physical[i] == GATE_BASE ? 0 : POSTERN_ERR_FAULT);
        CHECK(!is_canary(word));
    }
    exceptions_use_ist();
    static const uint64_t linear[] = {0x100000000000ull, 1ull << 63, 0x7ffffffffff9ull,
                                      0x800000000000ull, ~0ull,      ~7ull};
    for (unsigned i = 0; i < ARRAY_SIZE(linear); i++) {
        *place = linear[i];
        struct trap trap = trap_of(try_copies, place);
        CHECK(trap.vector == EXCEPTION_PF || trap.vector == EXCEPTION_GP);
    }
    check_crossing(PORT_GATED);
}

CLAIM(stack_elsewhere, "a crossing on a stack in a window, a device or the gate ends in the guest")
{
    uint64_t window = (uint64_t)window_map(PORT_GATED);
    uint64_t view = view_open(PORT_GATED);

    exceptions_use_ist();
    page_map(ALIAS, HOLE, SIZE_4K, PTE_WRITE);
    page_map(ALIAS + SIZE_4K, GUEST_IOAPIC_BASE, SIZE_4K, PTE_WRITE);
    page_map(ALIAS + 2 * SIZE_4K, GATE_BASE, SIZE_4K, PTE_WRITE);
    page_map(ALIAS + 3 * SIZE_4K, GATE_BASE + SIZE_4K, SIZE_4K, PTE_WRITE);
    page_map(ALIAS + 4 * SIZE_4K, BEYOND_RAM, SIZE_4K, PTE_WRITE);
    const uint64_t stacks[] = {window + 0xa000, window + SECTION_SIZE + 0xa000,
                               ALIAS + 0x800,   ALIAS + 0x1800,
                               ALIAS + 0x2800,  ALIAS + 0x3800,
                               ALIAS + 0x4800};
    for (unsigned i = 0; i < ARRAY_SIZE(stacks); i++) {
        struct call call = {GATE_BASE, view, POSTERN_GATE_NOTHING, 0, stacks[i], 0};
        CHECK_TRAP(trap_of(do_call, &call), EXCEPTION_GP, 0);
    }
    /* By a jump to the way out: the stack is what R14 says. */
    struct registers r = {0};
    registers_set_ring(&r, 0);
    r.rflags = 2;
    for (unsigned i = 0; i < ARRAY_SIZE(stacks); i++) {
        r.rip = GATE_BASE + 0x40;
        r.r14 = stacks[i];
        r.r15 = view;
        CHECK(enter(&r).vector != TRAP_NONE);
    }
    check_crossing(PORT_GATED);
}

#define PAGE_ADDRESS 0x000ffffffffff000ull

/* The tables for a piece of linear addresses, copied to where only the view has memory: the stack
 * and the arguments are found by them. */
CLAIM(page_tables_in_window, "page tables in the window lead a crossing nowhere but to its end")
{
    uint64_t view = view_open(PORT_GATED);
    uint8_t *window = window_map(PORT_GATED);
    static uint64_t table[512];
    uint64_t word = 0;

    exceptions_use_ist();
    page_map(ALIAS, (uint64_t)own_stack() & ~0xfffull, SIZE_4K, PTE_WRITE);
    uint64_t *entry = page_entry(ALIAS);
    uint64_t *directory = NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++) {
        /* As an attacker would: the host's memory, page by page, from 0 on. */
        table[i] = i * SIZE_4K * 64 | PTE_PRESENT | PTE_WRITE | PTE_USER;
    }
    CHECK_EQUAL(cross_copy(view, window + 0xa000, table, sizeof(table)), 0);
    /* The directory's entry that leads to the table of ALIAS. */
    uint64_t at = (uint64_t)entry & ~0xfffull;
    uint64_t *root = (uint64_t *)(read_cr3() & PAGE_ADDRESS);
    uint64_t *third = (uint64_t *)(root[ALIAS >> 39 & 511] & PAGE_ADDRESS);
    directory = (uint64_t *)(third[ALIAS >> 30 & 511] & PAGE_ADDRESS);
    uint64_t *slot = &directory[ALIAS >> 21 & 511];
    CHECK_EQUAL(*slot & PAGE_ADDRESS, at);
    const uint64_t places[] = {window_of(PORT_GATED) + 0xa000,
                               peer_section_of(PORT_GATED) + CANARY_OFFSET, HOLE, GATE_BASE};
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        *slot = places[i] | PTE_PRESENT | PTE_WRITE | PTE_USER;
        flush_tlb();
        for (uint64_t page = 0; page < 512; page += 31) {
            struct postern_gate_copy copy = {(uint64_t)&word, ALIAS + page * SIZE_4K, 8};
            struct call call = {GATE_BASE,       view,        POSTERN_GATE_COPY,
                                (uint64_t)&copy, own_stack(), 0};
            (void)trap_of(do_call, &call);
            CHECK(!is_canary(word));
        }
    }
    *slot = at | PTE_PRESENT | PTE_WRITE | PTE_USER;
    flush_tlb();
    check_crossing(PORT_GATED);
}
