/* SPDX-License-Identifier: BSD-2-Clause */
/* Crossings through the gate, and what the gate is. */
#include "tests/views/views.h"

static uint8_t buffer[SECTION_SIZE] __attribute__((aligned(64)));

CLAIM(gate_is_there, "the gate has a page of trampoline and pages of protected code, side by side")
{
    CHECK(gate_page_count() >= 2);
    CHECK_EQUAL(gate_address(), GUEST_GATE_BASE);
    CHECK(*(volatile uint8_t *)gate_address() != 0xff);
    CHECK(*(volatile uint8_t *)(gate_address() + SIZE_4K) != 0xff);
}

CLAIM(gate_is_not_writable, "no page of the gate can be written")
{
    for (uint32_t page = 0; page < gate_page_count(); page++) {
        volatile uint8_t *byte = (uint8_t *)(gate_address() + page * SIZE_4K);
        uint8_t before = *byte;
        CHECK_TRAP(TRY("movb $0, %0", : "+m"(*byte)), EXCEPTION_GP, 0);
        CHECK_EQUAL(*byte, before);
    }
}

CLAIM(gate_crosses, "a null crossing returns 0 and leaves the default view")
{
    uint32_t view = open_view();

    CHECK_EQUAL(cross(view, POSTERN_GATE_NOTHING, NULL), 0);
    CHECK_TRAP(TRY("movb (%0), %%al", : : "r"(window_of(GATED_PORT)) : "rax"), EXCEPTION_GP, 0);
}

CLAIM(gate_unknown_function, "a function that does not exist answers POSTERN_ERR_UNKNOWN")
{
    uint32_t view = open_view();

    CHECK_EQUAL(cross(view, 4000, NULL), POSTERN_ERR_UNKNOWN);
    CHECK_EQUAL(cross(view, UINT32_MAX, NULL), POSTERN_ERR_UNKNOWN);
}

CLAIM(gate_copies, "what is copied into the own section comes back the same")
{
    uint32_t view = open_view();
    uint64_t window = window_of(GATED_PORT);

    for (unsigned i = 0; i < sizeof(buffer); i++) {
        buffer[i] = (uint8_t)(i * 7 + (i >> 8));
    }
    CHECK_EQUAL(gate_copy(view, window, (uint64_t)buffer, sizeof(buffer)), 0);
    memset(buffer, 0, sizeof(buffer));
    CHECK_EQUAL(gate_copy(view, (uint64_t)buffer, window, sizeof(buffer)), 0);
    for (unsigned i = 0; i < sizeof(buffer); i++) {
        CHECK_EQUAL(buffer[i], (uint8_t)(i * 7 + (i >> 8)));
    }
}

CLAIM(gate_loads_and_stores, "single words are loaded and stored; unaligned ones are refused")
{
    uint32_t view = open_view();
    uint64_t window = window_of(GATED_PORT);
    uint64_t value = 0;

    CHECK_EQUAL(gate_store(view, window + 8, 0x1122334455667788ull), 0);
    CHECK_EQUAL(gate_load(view, window + 8, &value), 0);
    CHECK_EQUAL(value, 0x1122334455667788ull);
    CHECK_EQUAL(gate_store(view, window + 4, 0), POSTERN_ERR_ARGUMENT);
    CHECK_EQUAL(gate_load(view, window + 1, &value), POSTERN_ERR_ARGUMENT);
}

CLAIM(gate_reads_the_peer, "the peer's section can be read, and shows what the peer writes")
{
    uint32_t view = open_view();
    uint64_t word = window_of(GATED_PORT) + SECTION_SIZE + PEER_OFFSET;
    uint64_t first = 0, then = 0;

    for (unsigned tries = 0; tries < 1000 && first < PEER_MARK; tries++) {
        CHECK_EQUAL(gate_load(view, word, &first), 0);
        delay(1);
    }
    CHECK_EQUAL(first & PEER_MARK, PEER_MARK);
    for (unsigned tries = 0; tries < 1000 && then <= first; tries++) {
        CHECK_EQUAL(gate_load(view, word, &then), 0);
        delay(1);
    }
    CHECK(then > first);
}

CLAIM(gate_cannot_write_the_peer, "a write to the peer's section ends the crossing with FAULT")
{
    uint32_t view = open_view();
    uint64_t peers = window_of(GATED_PORT) + SECTION_SIZE;

    CHECK_EQUAL(gate_store(view, peers, 1), POSTERN_ERR_FAULT);
    CHECK_EQUAL(gate_copy(view, peers + 5, (uint64_t)buffer, 100), POSTERN_ERR_FAULT);
    CHECK_EQUAL(cross(view, POSTERN_GATE_NOTHING, NULL), 0);
}

CLAIM(gate_fault_keeps_what_was_done, "a copy that runs out of the window stops at its end")
{
    uint32_t view = open_view();
    uint64_t window = window_of(GATED_PORT);
    uint64_t value = 0;

    CHECK_EQUAL(gate_store(view, window + SECTION_SIZE - 8, 0), 0);
    memset(buffer, 0x5a, 64);
    /* Eight bytes fit, then comes the peer's section. */
    CHECK_EQUAL(gate_copy(view, window + SECTION_SIZE - 8, (uint64_t)buffer, 64),
                POSTERN_ERR_FAULT);
    CHECK_EQUAL(gate_load(view, window + SECTION_SIZE - 8, &value), 0);
    CHECK_EQUAL(value, 0x5a5a5a5a5a5a5a5aull);
}

CLAIM(gate_not_open, "a crossing into a view that is not open answers NOT_OPEN")
{
    (void)open_view();
    CHECK_EQUAL(cross(300, POSTERN_GATE_NOTHING, NULL), POSTERN_ERR_NOT_OPEN);
    CHECK_EQUAL(cross(511, POSTERN_GATE_NOTHING, NULL), POSTERN_ERR_NOT_OPEN);
    CHECK_EQUAL(cross(512, POSTERN_GATE_NOTHING, NULL), POSTERN_ERR_NOT_OPEN);
    CHECK_EQUAL(cross(UINT32_MAX, POSTERN_GATE_NOTHING, NULL), POSTERN_ERR_NOT_OPEN);
}

CLAIM(gate_default_view,
      "a crossing into view 0 answers NOT_OPEN: its code is not executable there")
{
    (void)open_view();
    CHECK_EQUAL(cross(0, POSTERN_GATE_NOTHING, NULL), POSTERN_ERR_NOT_OPEN);
}

/* RBX, RBP, R12 to R15 and RSP around a crossing; the answer is how many changed. */
static uint64_t changed_registers(uint32_t view, uint32_t function, void *arguments)
{
    uint64_t gate = gate_address();
    uint64_t changed = 0;

    __asm__ volatile("push %%rbp; push %%rbx\n"
                     "mov $0x1111, %%ebx; mov $0x2222, %%ebp; mov $0x3333, %%r12d\n"
                     "mov $0x4444, %%r13d; mov $0x5555, %%r14d; mov $0x6666, %%r15d\n"
                     "push %%rsp\n"
                     "call *%%rax\n"
                     "pop %%rcx; xor %%eax, %%eax\n"
                     "cmp %%rsp, %%rcx; setne %%al\n"
                     "cmp $0x1111, %%rbx; setne %%cl; movzx %%cl, %%ecx; add %%ecx, %%eax\n"
                     "cmp $0x2222, %%rbp; setne %%cl; movzx %%cl, %%ecx; add %%ecx, %%eax\n"
                     "cmp $0x3333, %%r12; setne %%cl; movzx %%cl, %%ecx; add %%ecx, %%eax\n"
                     "cmp $0x4444, %%r13; setne %%cl; movzx %%cl, %%ecx; add %%ecx, %%eax\n"
                     "cmp $0x5555, %%r14; setne %%cl; movzx %%cl, %%ecx; add %%ecx, %%eax\n"
                     "cmp $0x6666, %%r15; setne %%cl; movzx %%cl, %%ecx; add %%ecx, %%eax\n"
                     "pop %%rbx; pop %%rbp\n"
                     : "=a"(changed), "+D"(view), "+S"(function), "+d"(arguments)
                     : "a"(gate)
                     : "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
    return changed;
}

CLAIM(gate_keeps_registers, "a crossing keeps what a call keeps, whether it ends well or not")
{
    uint32_t view = open_view();
    struct postern_gate_access bad = {window_of(GATED_PORT) + SECTION_SIZE, 1};

    CHECK_EQUAL(changed_registers(view, POSTERN_GATE_NOTHING, NULL), 0);
    CHECK_EQUAL(changed_registers(view, POSTERN_GATE_STORE, &bad), 0);  /* FAULT */
    CHECK_EQUAL(changed_registers(400, POSTERN_GATE_NOTHING, NULL), 0); /* NOT_OPEN */
    CHECK_EQUAL(changed_registers(view, 4000, NULL), 0);
}

/* In ring 3, where the gate is at USER_BASE. */
static uint32_t user_view;
static struct postern_gate_access user_access;

static uint64_t cross_as_user(uint64_t gate)
{
    return (uint64_t)((postern_gate_t)gate)(user_view, POSTERN_GATE_STORE, &user_access);
}

CLAIM(gate_in_ring_3, "a program of ring 3 that has gate and window mapped crosses by itself")
{
    uint64_t result = 1, value = 0;
    uint64_t window = window_of(GATED_PORT);
    uint64_t users = 0x400000000000ull;

    user_view = open_view();
    page_map(users, nic_bar(need_nic(), POSTERN_BAR_WINDOW), SIZE_4K, PTE_WRITE | PTE_USER);
    user_access = (struct postern_gate_access){users + 16, 0x757365720000ull};
    CHECK_NO_TRAP(run_user(cross_as_user, USER_BASE + gate_address(), &result));
    CHECK_EQUAL(result, 0);
    CHECK_EQUAL(gate_load(user_view, window + 16, &value), 0);
    CHECK_EQUAL(value, 0x757365720000ull);
}

CLAIM(gate_has_no_exits, "ten thousand crossings with a copy of 64 bytes cause no VM exit")
{
    uint32_t view = open_view();
    uint64_t window = window_of(GATED_PORT);
    postern_gate_t gate = (postern_gate_t)gate_address();
    struct postern_gate_copy copy = {window, (uint64_t)buffer, 64};

    if (!views_are_native()) {
        skip("views are changed by exits here");
    }
    int64_t before = hypercall(POSTERN_HC_EXITS, 0, 0, 0);
    for (unsigned i = 0; i < 10000; i++) {
        (void)gate(view, POSTERN_GATE_COPY, &copy);
    }
    int64_t after = hypercall(POSTERN_HC_EXITS, 0, 0, 0);
    /* The counting itself is one; a slice's end and what follows it may fall in between. */
    CHECK(after - before <= 1 + 16);
}
