/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/views/views.h"

uint64_t gate_address(void)
{
    return (uint64_t)hypercall(POSTERN_HC_GATE, 0, 0, 0) & ~0xfffull;
}

uint32_t gate_page_count(void)
{
    return (uint32_t)hypercall(POSTERN_HC_GATE, 0, 0, 0) & 0xfff;
}

int64_t cross(uint32_t view, uint32_t function, void *arguments)
{
    postern_gate_t gate = (postern_gate_t)gate_address();

    return gate(view, function, arguments);
}

/* PCI functions come in the order of the links. */
static uint32_t function_of(uint32_t port)
{
    return need_nic() + PCI_DEVICE(port);
}

uint32_t open_view(void)
{
    (void)need_nic();
    (void)hypercall(POSTERN_HC_VE, POSTERN_VE_OFF, 0, 0);
    (void)hypercall(POSTERN_HC_WINDOW_GRANT, GATED_PORT, 1, 0);
    int64_t view = hypercall(POSTERN_HC_VIEW_OPEN, GATED_PORT, POSTERN_ALL_VCPUS, 0);

    if (view < 1) {
        error("the view cannot be opened: %lld", (long long)view);
    }
    return (uint32_t)view;
}

uint64_t window_of(uint32_t port)
{
    uint32_t function = function_of(port);

    pci_write(function, 4, pci_read(function, 4) | 2); /* memory space */
    return (uint64_t)map_physical(nic_bar(function, POSTERN_BAR_WINDOW), 2 * SECTION_SIZE);
}

int64_t gate_load(uint32_t view, uint64_t address, uint64_t *value)
{
    struct postern_gate_access access = {.window = address};
    int64_t result = cross(view, POSTERN_GATE_LOAD, &access);

    *value = access.value;
    return result;
}

int64_t gate_store(uint32_t view, uint64_t address, uint64_t value)
{
    struct postern_gate_access access = {address, value};

    return cross(view, POSTERN_GATE_STORE, &access);
}

int64_t gate_copy(uint32_t view, uint64_t to, uint64_t from, uint64_t size)
{
    struct postern_gate_copy copy = {to, from, size};

    return cross(view, POSTERN_GATE_COPY, &copy);
}

struct trap try_vmfunc(uint32_t leaf, uint64_t view)
{
    return TRY("vmfunc", : : "a"(leaf), "c"(view) : "memory");
}

bool views_are_native(void)
{
    return (cpuid(POSTERN_CPUID_ABI, 0).ebx & POSTERN_NATIVE_VMFUNC) != 0;
}
