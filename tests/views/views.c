/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/views/views.h"

#define PEER_MS 5000u

uint64_t gate_address(void)
{
    uint32_t pages;

    return postern_gate_home(&pages);
}

uint32_t gate_page_count(void)
{
    uint32_t pages;

    (void)postern_gate_home(&pages);
    return pages;
}

int64_t cross(uint32_t view, uint32_t function, void *arguments)
{
    return postern_cross(gate_address(), view, function, arguments);
}

/* PCI functions come in the order of the links. */
uint32_t nic_of(uint32_t port)
{
    return need_nic() + PCI_DEVICE(port);
}

uint32_t open_view(void)
{
    (void)need_nic();
    (void)hypercall(POSTERN_HC_VE, POSTERN_VE_OFF, 0, 0);
    (void)postern_window_grant(GATED_PORT, 1);
    int64_t view = postern_view_open(GATED_PORT);

    if (view < 1) {
        error("the view cannot be opened: %lld", (long long)view);
    }
    return (uint32_t)view;
}

uint32_t direct_view(void)
{
    (void)need_nic();
    int64_t view = postern_view_open(DIRECT_PORT);

    if (view < 1) {
        error("the direct port's view cannot be opened: %lld", (long long)view);
    }
    return (uint32_t)view;
}

static uint64_t map_bar(uint32_t port, unsigned bar, uint64_t size)
{
    uint32_t function = nic_of(port);

    pci_write(function, 4, pci_read(function, 4) | 2); /* memory space */
    return (uint64_t)map_physical(nic_bar(function, bar), size);
}

uint64_t window_of(uint32_t port)
{
    return map_bar(port, POSTERN_BAR_WINDOW, 2 * QUEUES * SECTION_SIZE);
}

uint64_t pool_window(void)
{
    return map_bar(DIRECT_PORT, POSTERN_BAR_POOL, POOL_SIZE);
}

const volatile uint64_t *peer_rings(void)
{
    const volatile uint64_t *rings =
        (const volatile uint64_t *)(window_of(QUEUES_PORT) + QUEUES * SECTION_SIZE);

    for (uint64_t end = rdtsc() + PEER_MS * tsc_per_ms(); rings[QUEUES - 1] == 0;) {
        if (rdtsc() > end) {
            error("the peer does not listen");
        }
        cpu_pause();
    }
    return rings;
}

int64_t gate_load(uint32_t view, uint64_t address, uint64_t *value)
{
    return postern_gate_load(gate_address(), view, address, value);
}

int64_t gate_store(uint32_t view, uint64_t address, uint64_t value)
{
    return postern_gate_store(gate_address(), view, address, value);
}

int64_t gate_copy(uint32_t view, uint64_t to, uint64_t from, uint64_t size)
{
    return postern_gate_copy(gate_address(), view, to, from, size);
}

struct trap try_vmfunc(uint32_t leaf, uint64_t view)
{
    return TRY("vmfunc", : : "a"(leaf), "c"(view) : "memory");
}

bool views_are_native(void)
{
    return (cpuid(POSTERN_CPUID_ABI, 0).ebx & POSTERN_NATIVE_VMFUNC) != 0;
}
