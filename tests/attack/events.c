/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions whose delivery the guest has broken, in crossings and outside. */
#include "tests/attack/enter.h"
#include "tests/kit/percpu.h"

#define HOLE  0xd0000000ull
#define ALIAS (CLAIM_BASE + 0x30000000ull)

struct PACKED pointer {
    uint16_t limit;
    uint64_t base;
};

static void load_idt(uint64_t base, uint16_t limit)
{
    struct pointer pointer = {limit, base};

    __asm__ volatile("lidt %0" : : "m"(pointer));
}

/* The VM ends, starts again, and the claim goes on. */
static bool first_time(void)
{
    if (claim_phase() != 0) {
        return false;
    }
    restart_expected();
    return true;
}

static void undefined(void)
{
    __asm__ volatile("ud2");
}

CLAIM(idt_in_device, "an IDT where no memory is ends the VM by a triple fault, and no more")
{
    if (first_time()) {
        page_map(ALIAS, HOLE, SIZE_4K, 0);
        load_idt(ALIAS, 0xfff);
        undefined();
    }
}

CLAIM(idt_in_window, "an IDT in the gated window ends the VM by a triple fault, and no more")
{
    if (first_time()) {
        load_idt((uint64_t)window_map(PORT_GATED), 0xfff);
        undefined();
    }
}

CLAIM(idt_in_peer_section,
      "an IDT in the peer's open section is the peer's words: a fault of the guest's own")
{
    if (first_time()) {
        load_idt((uint64_t)window_map(PORT_OPEN) + SECTION_SIZE + CANARY_OFFSET, 0xfff);
        undefined();
    }
}

CLAIM(gdt_in_device, "a GDT where no memory is ends the VM by a triple fault, and no more")
{
    if (first_time()) {
        struct pointer pointer = {0x3f, ALIAS};
        page_map(ALIAS, HOLE, SIZE_4K, 0);
        __asm__ volatile("lgdt %0" : : "m"(pointer));
        undefined();
    }
}

CLAIM(tss_in_device,
      "interrupt stacks where no memory is end the VM by a triple fault, and no more")
{
    if (first_time()) {
        page_map(ALIAS, HOLE, SIZE_4K, PTE_WRITE);
        exceptions_use_ist();
        for (unsigned i = 0; i < ARRAY_SIZE(this_cpu()->tss.ist); i++) {
            this_cpu()->tss.ist[i] = ALIAS + 0x800;
        }
        undefined();
    }
}

/* A copy to where the guest's tables have nothing: #PF in the view. */
static void fault_in_view(void *unused)
{
    uint64_t view = view_open(PORT_GATED);

    (void)unused;
    (void)cross_copy(view, (void *)(ALIAS + SIZE_1G), &view, 8);
}

CLAIM(triple_fault_in_view,
      "a triple fault in the view ends the VM, whose window is closed when it is back")
{
    if (first_time()) {
        load_idt(0, 0);
        fault_in_view(NULL);
    }
    CHECK_TRAP(try_switch(1), EXCEPTION_UD, 0);
}

CLAIM(idt_in_view_only, "an IDT that only the view has leads an exception of the view no further")
{
    if (!first_time()) {
        return;
    }
    uint64_t view = view_open(PORT_GATED);
    uint8_t *window = window_map(PORT_GATED);
    struct PACKED {
        uint16_t limit;
        uint64_t base;
    } idtr;
    __asm__ volatile("sidt %0" : "=m"(idtr));
    CHECK_EQUAL(cross_copy(view, window + 0xa000, (void *)idtr.base, 0x1000), 0);
    load_idt((uint64_t)window + 0xa000, 0xfff);
    /* Delivered in the view by the window's IDT. Its handler runs in the default view, which has
     * none of it. */
    CHECK_EQUAL(trap_of(fault_in_view, NULL).vector, EXCEPTION_PF);
    undefined();
}

CLAIM(crash_of_second_vcpu, "a vCPU that crashes while the other crosses ends the VM, and no more")
{
    if (first_time()) {
        need_cpu(1);
        cpu_run(1, (void (*)(void *))(uint64_t)undefined, NULL);
        uint64_t view = view_open(PORT_GATED);
        uint8_t *window = window_map(PORT_GATED);
        (void)cpu_wait(1, 1000);
        load_idt(0, 0);
        for (unsigned i = 0; i < 10; i++) {
            (void)cross_copy(view, window + 0xa000, &view, 8);
        }
        undefined();
    }
}
