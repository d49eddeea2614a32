/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/uefi/efi_state.h"

#include "arch/x86/uefi/uefi.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/string.h"

/* Descriptors that may appear between sizing the map and fetching it. */
#define MAP_SLACK  16u
#define EXIT_TRIES 8u
#define LOW_MEMORY MIB(1)

void *efi_pages(UINTN bytes, UINT64 limit)
{
    EFI_PHYSICAL_ADDRESS address = limit;
    EFI_ALLOCATE_TYPE type = limit == ~0ull ? AllocateAnyPages : AllocateMaxAddress;
    UINTN pages = (bytes + PAGE_SIZE - 1) / PAGE_SIZE;

    if (efi_boot->AllocatePages(type, EfiLoaderData, pages, &address) != EFI_SUCCESS) {
        return NULL;
    }
    return (void *)address;
}

static enum boot_region_type region_type(const EFI_MEMORY_DESCRIPTOR *d)
{
    switch (d->Type) {
    case EfiLoaderCode:
    case EfiLoaderData:
        return BOOT_REGION_OURS;
    case EfiBootServicesCode:
    case EfiBootServicesData:
    case EfiConventionalMemory:
        return d->PhysicalStart < LOW_MEMORY ? BOOT_REGION_FIRMWARE : BOOT_REGION_FREE;
    case EfiACPIReclaimMemory:
    case EfiACPIMemoryNVS:
        return BOOT_REGION_ACPI;
    case EfiMemoryMappedIO:
    case EfiMemoryMappedIOPortSpace:
        return BOOT_REGION_MMIO;
    default:
        return BOOT_REGION_FIRMWARE;
    }
}

/* Inserts in order of base, and merges with the neighbour below where it continues it. */
static bool add_region(struct boot_info *info, struct boot_region region)
{
    uint32_t at = info->region_count;

    while (at > 0 && info->regions[at - 1].base > region.base) {
        at--;
    }
    if (at > 0 && info->regions[at - 1].type == region.type &&
        info->regions[at - 1].base + info->regions[at - 1].size == region.base) {
        info->regions[at - 1].size += region.size;
        return true;
    }
    if (info->region_count == BOOT_MAX_REGIONS) {
        return false;
    }
    memmove(&info->regions[at + 1], &info->regions[at], (info->region_count - at) * sizeof(region));
    info->regions[at] = region;
    info->region_count++;
    return true;
}

static bool convert(struct boot_info *info, const uint8_t *map, UINTN size, UINTN step)
{
    info->region_count = 0;
    for (UINTN at = 0; at + step <= size; at += step) {
        const EFI_MEMORY_DESCRIPTOR *d = (const EFI_MEMORY_DESCRIPTOR *)(const void *)(map + at);
        struct boot_region region = {
            .base = d->PhysicalStart,
            .size = d->NumberOfPages * PAGE_SIZE,
            .type = region_type(d),
        };
        if (region.size != 0 && !add_region(info, region)) {
            return false;
        }
    }
    return true;
}

/* The map as it stands, in pages of their own; NULL if there is no memory for it. */
static uint8_t *allocate_map(UINTN *capacity, UINTN *step)
{
    UINTN size = 0, key = 0;
    UINT32 version = 0;

    (void)efi_boot->GetMemoryMap(&size, NULL, &key, step, &version);
    *capacity = size + MAP_SLACK * *step;
    return efi_pages(*capacity, ~0ull);
}

uint64_t uefi_free_memory(void)
{
    UINTN size = 0, key = 0, step = 0;
    UINT32 version = 0;
    uint64_t free = 0;
    uint8_t *map = allocate_map(&size, &step);
    UINTN pages = (size + PAGE_SIZE - 1) / PAGE_SIZE;

    if (map == NULL) {
        return 0;
    }
    if (efi_boot->GetMemoryMap(&size, (EFI_MEMORY_DESCRIPTOR *)(void *)map, &key, &step,
                               &version) == EFI_SUCCESS) {
        for (UINTN at = 0; at + step <= size; at += step) {
            const EFI_MEMORY_DESCRIPTOR *d =
                (const EFI_MEMORY_DESCRIPTOR *)(const void *)(map + at);
            free += region_type(d) == BOOT_REGION_FREE ? d->NumberOfPages * PAGE_SIZE : 0;
        }
    }
    (void)efi_boot->FreePages((EFI_PHYSICAL_ADDRESS)map, pages);
    return free;
}

status_t uefi_exit_boot_services(struct boot_info *info)
{
    UINTN capacity = 0, size = 0, key = 0, step = 0;
    UINT32 version = 0;
    uint8_t *map = allocate_map(&capacity, &step);

    if (map == NULL) {
        log_error("no memory for the firmware's memory map of %llu bytes",
                  (unsigned long long)capacity);
        return STATUS_NO_MEMORY;
    }
    /* A timer event of the firmware between the two calls makes the key stale: then the map is
     * fetched again (UEFI "EFI_BOOT_SERVICES.ExitBootServices()"). After a failed first call only
     * these two services may be used, so nothing is logged here. */
    for (unsigned i = 0; i < EXIT_TRIES; i++) {
        size = capacity;
        if (efi_boot->GetMemoryMap(&size, (EFI_MEMORY_DESCRIPTOR *)(void *)map, &key, &step,
                                   &version) == EFI_SUCCESS &&
            efi_boot->ExitBootServices(efi_image, key) == EFI_SUCCESS) {
            if (!convert(info, map, size, step)) {
                /* There is no firmware to go back to any more. */
                panic("the memory map has more than %u regions", BOOT_MAX_REGIONS);
            }
            return STATUS_OK;
        }
    }
    return STATUS_IO;
}
