/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/uefi/efi_state.h"

#include "arch/x86/uefi/runtime.h"

#include "arch/x86/cpu.h"
#include "arch/x86/paging.h"
#include "lib/log.h"

void uefi_power_off(const struct boot_info *info)
{
    for (uint32_t i = 0; i < info->region_count; i++) {
        const struct boot_region *region = &info->regions[i];
        bool runtime = region->type == BOOT_REGION_FIRMWARE || region->type == BOOT_REGION_MMIO;
        if (runtime && region->base != 0 &&
            paging_map(region->base, region->size, PAGING_WRITE | PAGING_EXECUTE) != STATUS_OK) {
            log_error("no memory for the firmware's mappings");
            halt_forever();
        }
    }
    write_cr3(read_cr3());
    efi_system->RuntimeServices->ResetSystem(EfiResetShutdown, EFI_SUCCESS, 0, NULL);
    log_error("the firmware does not switch the machine off: do it by hand");
    halt_forever();
}
