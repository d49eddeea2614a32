/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/guest_kernel.h"

#include "machine/guest_map.h"
#include "machine/linux_boot.h"
#include "machine/multiboot.h"

status_t guest_kernel_check(const struct guest_kernel_request *request, char *error,
                            size_t error_size)
{
    return multiboot_recognise(request->kernel, request->kernel_size)
               ? multiboot_check(request, error, error_size)
               : linux_boot_check(request, error, error_size);
}

status_t guest_kernel_load(const struct guest_kernel_request *request, struct guest_entry *entry,
                           char *error, size_t error_size)
{
    return multiboot_recognise(request->kernel, request->kernel_size)
               ? multiboot_load(request, entry, error, error_size)
               : linux_boot_load(request, entry, error, error_size);
}

void guest_memory_map(uint64_t ram_size, struct guest_memory_range map[GUEST_MEMORY_RANGES])
{
    map[0] = (struct guest_memory_range){0, GUEST_LOW_RAM_END, GUEST_MEMORY_RAM};
    map[1] = (struct guest_memory_range){GUEST_ACPI_BASE, GUEST_HIGH_RAM_BASE - GUEST_ACPI_BASE,
                                         GUEST_MEMORY_RESERVED};
    map[2] = (struct guest_memory_range){GUEST_HIGH_RAM_BASE, ram_size - GUEST_HIGH_RAM_BASE,
                                         GUEST_MEMORY_RAM};
}
