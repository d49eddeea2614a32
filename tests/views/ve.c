/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtualization exceptions. */
#include "tests/views/views.h"

/* As the SDM lays it out. */
struct information {
    uint32_t reason, busy;
    uint64_t qualification, linear, gpa;
    uint16_t view;
};

static volatile struct information *area;

/* Registers this vCPU; the claim has to call ve_end(). */
static void ve_begin(void)
{
    area = ram_alloc(SIZE_4K, SIZE_4K);
    CHECK_EQUAL(hypercall(POSTERN_HC_VE, (uint64_t)area, 0, 0), 0);
}

static void ve_end(void)
{
    CHECK_EQUAL(hypercall(POSTERN_HC_VE, POSTERN_VE_OFF, 0, 0), 0);
}

static struct trap read_byte(uint64_t address)
{
    return TRY("movb (%0), %%al", : : "r"(address) : "rax");
}

static struct trap write_byte(uint64_t address)
{
    return TRY("movb $1, (%0)", : : "r"(address) : "memory");
}

CLAIM(ve_closed_window,
      "a registered vCPU gets #VE for a window that is not open, and is told where")
{
    uint64_t window;

    (void)open_view();
    window = window_of(GATED_PORT);
    ve_begin();
    CHECK_TRAP(read_byte(window + 0x123), EXCEPTION_VE, 0);
    CHECK_EQUAL(area->reason, 48);
    CHECK_EQUAL(area->busy, UINT32_MAX);
    CHECK_EQUAL(area->linear, window + 0x123);
    CHECK_EQUAL(area->gpa, nic_bar(need_nic(), POSTERN_BAR_WINDOW) + 0x123);
    CHECK_EQUAL(area->qualification & 7, 1);
    CHECK_EQUAL(area->view, 0);
    area->busy = 0;
    CHECK_TRAP(write_byte(window + SECTION_SIZE), EXCEPTION_VE, 0);
    CHECK_EQUAL(area->gpa, nic_bar(need_nic(), POSTERN_BAR_WINDOW) + SECTION_SIZE);
    ve_end();
}

CLAIM(ve_read_only_section,
      "a write to the peer's section of an open link is #VE for who registered")
{
    uint64_t peers;

    (void)open_view();
    peers = window_of(OPEN_PORT) + SECTION_SIZE;
    CHECK_TRAP(write_byte(peers), EXCEPTION_GP, 0);
    CHECK_NO_TRAP(read_byte(peers));
    ve_begin();
    CHECK_TRAP(write_byte(peers), EXCEPTION_VE, 0);
    CHECK_EQUAL(area->linear, peers);
    CHECK((area->qualification & 2) != 0);
    CHECK_NO_TRAP(read_byte(peers));
    ve_end();
}

CLAIM(ve_one_at_a_time, "while the busy word is set there is no #VE but #GP")
{
    uint64_t window;

    (void)open_view();
    window = window_of(GATED_PORT);
    ve_begin();
    CHECK_TRAP(read_byte(window), EXCEPTION_VE, 0);
    CHECK_TRAP(read_byte(window), EXCEPTION_GP, 0);
    area->busy = 0;
    CHECK_TRAP(read_byte(window), EXCEPTION_VE, 0);
    area->busy = 1;
    CHECK_TRAP(read_byte(window), EXCEPTION_GP, 0);
    ve_end();
}

CLAIM(ve_off, "who is no longer registered gets #GP")
{
    uint64_t window;

    (void)open_view();
    window = window_of(GATED_PORT);
    ve_begin();
    ve_end();
    CHECK_TRAP(read_byte(window), EXCEPTION_GP, 0);
    CHECK_EQUAL(area->reason, 0);
}

static void touch(void *argument)
{
    *(volatile uint8_t *)argument = 1;
}

CLAIM(ve_is_of_one_vcpu, "one vCPU's registration is not another's")
{
    need_cpu(1);
    (void)open_view();
    uint64_t window = window_of(GATED_PORT);

    ve_begin();
    cpu_run(1, touch, (void *)window);
    CHECK_TRAP(cpu_wait(1, 100), EXCEPTION_GP, 0);
    CHECK_EQUAL(area->reason, 0);
    ve_end();
}

static void vmfunc_then(void *argument)
{
    __asm__ volatile("vmfunc; nop" : : "a"(0), "c"(argument) : "memory");
}

CLAIM(ve_vmfunc_outside, "VMFUNC outside the gate is #VE for who registered, with the view in it")
{
    uint32_t view = open_view();
    struct trap trap;

    if (!views_are_native()) {
        skip("VMFUNC is not there");
    }
    ve_begin();
    trap = trap_of(vmfunc_then, (void *)(uint64_t)view);
    CHECK_EQUAL(trap.vector, EXCEPTION_VE);
    CHECK_EQUAL(area->view, view);
    CHECK_EQUAL(area->linear, trap.rip);
    CHECK_EQUAL(area->qualification & 4, 4);
    ve_end();
}

CLAIM(ve_not_in_the_gate, "a fault in mid-crossing is the crossing's result, not a #VE")
{
    uint32_t view = open_view();
    uint64_t window = window_of(GATED_PORT);

    ve_begin();
    CHECK_EQUAL(gate_store(view, window + SECTION_SIZE, 1), POSTERN_ERR_FAULT);
    CHECK_EQUAL(area->reason, 0);
    ve_end();
}

CLAIM(ve_not_for_devices, "accesses to devices, to the gate and to nothing at all are no #VE")
{
    (void)open_view();
    ve_begin();
    CHECK_NO_TRAP(read_byte(GUEST_IOAPIC_BASE));
    CHECK_TRAP(write_byte(gate_address()), EXCEPTION_GP, 0);
    CHECK_NO_TRAP(read_byte(0xfeb00000));
    CHECK_EQUAL(area->reason, 0);
    ve_end();
}

CLAIM(ve_bad_page, "a page that is no page of RAM cannot be registered")
{
    uint64_t bad[] = {1, 0x800, ram_size(), GUEST_GATE_BASE, BIT(40), UINT64_MAX - 1, BIT(63)};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK_EQUAL(hypercall(POSTERN_HC_VE, bad[i], 0, 0), POSTERN_ERR_ARGUMENT);
    }
}

/* A handler that opens the view and lets the program cross: open on demand. */
static uint64_t opened;

static void open_on_demand(struct frame *frame)
{
    opened = (uint64_t)hypercall(POSTERN_HC_VIEW_OPEN, GATED_PORT, 0, 0);
    area->busy = 0;
    frame->rip += 2; /* over the access, movb (%rbx), %al */
}

CLAIM(ve_opens_on_demand, "a #VE handler may open the view that was missing")
{
    uint32_t view = open_view();
    uint64_t window = window_of(GATED_PORT);

    CHECK_EQUAL(hypercall(POSTERN_HC_VIEW_CLOSE, GATED_PORT, 0, 0), 0);
    ve_begin();
    opened = 0;
    vector_handle(EXCEPTION_VE, open_on_demand);
    __asm__ volatile("movb (%%rbx), %%al" : : "b"(window) : "rax", "memory");
    CHECK_EQUAL(opened, view);
    CHECK_EQUAL(cross(view, POSTERN_GATE_NOTHING, NULL), 0);
    ve_end();
}
