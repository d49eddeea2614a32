/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/uefi/efi_state.h"

#include "arch/x86/uefi/mp_services.h"

#define PROCESSOR_ENABLED 2u

struct processor_information {
    UINT64 id; /* the local APIC id */
    UINT32 status;
    UINT32 package, core, thread;
    UINT32 extended[6]; /* later revisions write up to here */
};

struct mp_services;
typedef EFI_STATUS(EFIAPI *get_count_t)(struct mp_services *self, UINTN *count, UINTN *enabled);
typedef EFI_STATUS(EFIAPI *get_information_t)(struct mp_services *self, UINTN number,
                                              struct processor_information *information);

struct mp_services {
    get_count_t get_count;
    get_information_t get_information;
};

status_t mp_services_list_cpus(struct boot_info *info)
{
    EFI_GUID guid = {0x3fdda605, 0xa76e, 0x4f46, {0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08}};
    struct mp_services *services = NULL;
    UINTN count = 0, enabled = 0;

    if (efi_boot->LocateProtocol(&guid, NULL, (void **)&services) != EFI_SUCCESS ||
        services->get_count(services, &count, &enabled) != EFI_SUCCESS) {
        return STATUS_NOT_FOUND;
    }
    for (UINTN i = 0; i < count && info->cpu_count < BOOT_MAX_CPUS; i++) {
        struct processor_information processor = {0};
        if (services->get_information(services, i, &processor) == EFI_SUCCESS &&
            (processor.status & PROCESSOR_ENABLED) != 0) {
            info->cpus[info->cpu_count++] = (uint32_t)processor.id;
        }
    }
    return info->cpu_count > 0 ? STATUS_OK : STATUS_NOT_FOUND;
}
