/* SPDX-License-Identifier: BSD-2-Clause */
/* Views that are opened, closed and revoked. */
#include "tests/views/views.h"

CLAIM(window_is_closed_in_default_view, "without a crossing the window is not there: #GP, no bus")
{
    uint64_t window;

    (void)open_view();
    window = window_of(GATED_PORT);
    CHECK_TRAP(TRY("movq (%0), %%rax", : : "r"(window) : "rax"), EXCEPTION_GP, 0);
    CHECK_TRAP(TRY("movq %%rax, (%0)", : : "r"(window) : "memory"), EXCEPTION_GP, 0);
    CHECK_TRAP(TRY("movq (%0), %%rax", : : "r"(window + SECTION_SIZE) : "rax"), EXCEPTION_GP, 0);
}

CLAIM(view_index_is_stable, "to open a view again returns the same index, for every vCPU")
{
    int64_t view = open_view();

    CHECK_EQUAL(hypercall(POSTERN_HC_VIEW_OPEN, GATED_PORT, POSTERN_ALL_VCPUS, 0), view);
    CHECK_EQUAL(hypercall(POSTERN_HC_VIEW_OPEN, GATED_PORT, 0, 0), view);
    CHECK_EQUAL(hypercall(POSTERN_HC_VIEW_OPEN, GATED_PORT, 1, 0), view);
}

CLAIM(view_arguments, "ports and vCPUs that do not exist are refused, and ports of mode open")
{
    uint64_t calls[] = {POSTERN_HC_VIEW_OPEN, POSTERN_HC_VIEW_CLOSE};

    (void)open_view();
    for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
        CHECK_EQUAL(hypercall(calls[i], PORTS, 0, 0), POSTERN_ERR_ARGUMENT);
        CHECK_EQUAL(hypercall(calls[i], BIT(32), 0, 0), POSTERN_ERR_ARGUMENT);
        CHECK_EQUAL(hypercall(calls[i], UINT64_MAX, 0, 0), POSTERN_ERR_ARGUMENT);
        CHECK_EQUAL(hypercall(calls[i], GATED_PORT, 2, 0), POSTERN_ERR_ARGUMENT);
        CHECK_EQUAL(hypercall(calls[i], GATED_PORT, UINT64_MAX - 1, 0), POSTERN_ERR_ARGUMENT);
    }
    CHECK_EQUAL(hypercall(POSTERN_HC_VIEW_OPEN, OPEN_PORT, 0, 0), POSTERN_ERR_MODE);
    CHECK_EQUAL(hypercall(POSTERN_HC_WINDOW_GRANT, OPEN_PORT, 0, 0), POSTERN_ERR_MODE);
    CHECK_EQUAL(hypercall(POSTERN_HC_WINDOW_GRANT, GATED_PORT, 2, 0), POSTERN_ERR_ARGUMENT);
    CHECK_EQUAL(hypercall(POSTERN_HC_WINDOW_GRANT, PORTS, 0, 0), POSTERN_ERR_ARGUMENT);
}

CLAIM(view_closes, "a closed view is not open, until it is opened again")
{
    uint32_t view = open_view();

    CHECK_EQUAL(hypercall(POSTERN_HC_VIEW_CLOSE, GATED_PORT, POSTERN_ALL_VCPUS, 0), 0);
    CHECK_EQUAL(cross(view, POSTERN_GATE_NOTHING, NULL), POSTERN_ERR_NOT_OPEN);
    CHECK_EQUAL(hypercall(POSTERN_HC_VIEW_CLOSE, GATED_PORT, POSTERN_ALL_VCPUS, 0), 0);
    CHECK_EQUAL(open_view(), view);
    CHECK_EQUAL(cross(view, POSTERN_GATE_NOTHING, NULL), 0);
}

static int64_t other_result;

static void cross_elsewhere(void *argument)
{
    other_result = cross((uint32_t)(uint64_t)argument, POSTERN_GATE_NOTHING, NULL);
}

static int64_t cross_on_cpu_1(uint32_t view)
{
    other_result = 1;
    cpu_run(1, cross_elsewhere, (void *)(uint64_t)view);
    CHECK_NO_TRAP(cpu_wait(1, 100));
    return other_result;
}

CLAIM(view_of_one_vcpu, "a vCPU sees only the views that were opened for it")
{
    uint32_t view;

    need_cpu(1);
    view = open_view();
    CHECK_EQUAL(cross_on_cpu_1(view), 0);
    CHECK_EQUAL(hypercall(POSTERN_HC_VIEW_CLOSE, GATED_PORT, 1, 0), 0);
    CHECK_EQUAL(cross_on_cpu_1(view), POSTERN_ERR_NOT_OPEN);
    CHECK_EQUAL(cross(view, POSTERN_GATE_NOTHING, NULL), 0);
    CHECK_EQUAL(hypercall(POSTERN_HC_VIEW_CLOSE, GATED_PORT, 0, 0), 0);
    CHECK_EQUAL(hypercall(POSTERN_HC_VIEW_OPEN, GATED_PORT, 1, 0), view);
    CHECK_EQUAL(cross(view, POSTERN_GATE_NOTHING, NULL), POSTERN_ERR_NOT_OPEN);
    CHECK_EQUAL(cross_on_cpu_1(view), 0);
}

/* The other vCPU copies into the window again and again, until it is told to stop or fails. */
static uint32_t copying_view;
static volatile bool stop;
static volatile uint64_t copies;
static volatile int64_t last;
static uint8_t source[4096];

static void copy_for_ever(void *argument)
{
    uint64_t window = (uint64_t)argument;

    while (!stop) {
        last = gate_copy(copying_view, window, (uint64_t)source, sizeof(source));
        copies = copies + 1;
    }
}

static void start_copying(uint64_t window)
{
    stop = false;
    copies = 0;
    cpu_run(1, copy_for_ever, (void *)window);
    while (copies < 3) {
        cpu_pause();
    }
    CHECK_EQUAL(last, 0);
}

static void stop_copying(void)
{
    stop = true;
    CHECK_NO_TRAP(cpu_wait(1, 100));
}

CLAIM(view_closes_under_a_crossing, "once a close has returned no copy on another vCPU goes on")
{
    need_cpu(1);
    copying_view = open_view();
    start_copying(window_of(GATED_PORT));
    for (unsigned i = 0; i < 50; i++) {
        CHECK_EQUAL(hypercall(POSTERN_HC_VIEW_CLOSE, GATED_PORT, 1, 0), 0);
        uint64_t after = copies;
        while (copies < after + 2) {
            cpu_pause();
        }
        CHECK_EQUAL(last, POSTERN_ERR_NOT_OPEN);
        (void)open_view();
        after = copies;
        while (copies < after + 2) {
            cpu_pause();
        }
        CHECK_EQUAL(last, 0);
    }
    stop_copying();
}

CLAIM(revoked_section_stays_the_owners, "who revokes its section still writes it")
{
    uint32_t view = open_view();
    uint64_t window = window_of(GATED_PORT);
    uint64_t value = 0;

    CHECK_EQUAL(hypercall(POSTERN_HC_WINDOW_GRANT, GATED_PORT, 0, 0), 0);
    CHECK_EQUAL(hypercall(POSTERN_HC_WINDOW_GRANT, GATED_PORT, 0, 0), 0);
    CHECK_EQUAL(gate_store(view, window, 77), 0);
    CHECK_EQUAL(gate_load(view, window, &value), 0);
    CHECK_EQUAL(value, 77);
    CHECK_EQUAL(hypercall(POSTERN_HC_WINDOW_GRANT, GATED_PORT, 1, 0), 0);
}

CLAIM(window_moves_with_its_bar, "BAR 2 moves the window in the view")
{
    uint32_t view = open_view();
    uint32_t function = need_nic();
    uint64_t old = nic_bar(function, POSTERN_BAR_WINDOW);
    uint64_t to = old + SIZE_1G;
    uint64_t value = 0;

    CHECK_EQUAL(gate_store(view, window_of(GATED_PORT), 4711), 0);
    pci_write(function, 0x1c, (uint32_t)(to >> 32));
    pci_write(function, 0x18, (uint32_t)to);
    uint64_t moved = (uint64_t)map_physical(to, 2 * SECTION_SIZE);
    uint64_t before = (uint64_t)map_physical(old, 2 * SECTION_SIZE);
    CHECK_EQUAL(gate_load(view, moved, &value), 0);
    CHECK_EQUAL(value, 4711);
    CHECK_EQUAL(gate_load(view, before, &value), POSTERN_ERR_FAULT);
    pci_write(function, 0x1c, (uint32_t)(old >> 32));
    pci_write(function, 0x18, (uint32_t)old);
    CHECK_EQUAL(gate_load(view, before, &value), 0);
    CHECK_EQUAL(value, 4711);
}

CLAIM(five_level_paging_is_hidden, "CR4.LA57 cannot be set: tables in views have four levels")
{
    uint64_t cr4 = read_cr4();

    CHECK_EQUAL(cpuid(7, 0).ecx & BIT32(16), 0);
    CHECK_TRAP(TRY("mov %0, %%cr4", : : "r"(cr4 | BIT(12))), EXCEPTION_GP, 0);
}
