/* SPDX-License-Identifier: BSD-2-Clause */
/* What the firmware knows of processors, clocks and tables. */
#include "arch/x86/uefi/efi_state.h"

#include "arch/x86/acpi_tables.h"
#include "arch/x86/cpu.h"
#include "arch/x86/uefi/mp_services.h"
#include "arch/x86/uefi/uefi.h"
#include "lib/log.h"
#include "lib/string.h"

#define LOW_LIMIT      0x9ffffull
#define STALL_US       50000u
#define IOAPIC_DEFAULT 0xfec00000ull

static const EFI_GUID acpi20_guid = {
    0x8868e871, 0xe4f1, 0x11d3, {0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81}};
static const EFI_GUID acpi10_guid = {
    0xeb9d2d30, 0x2d88, 0x11d3, {0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}};

static uint64_t find_table(const EFI_GUID *guid)
{
    for (UINTN i = 0; i < efi_system->NumberOfTableEntries; i++) {
        EFI_CONFIGURATION_TABLE *table = &efi_system->ConfigurationTable[i];
        if (memcmp(&table->VendorGuid, guid, sizeof(*guid)) == 0) {
            return (uint64_t)table->VendorTable;
        }
    }
    return 0;
}

/* The frequency that CPUID 15H and the crystal tell, 0 if it does not. */
static uint64_t tsc_hz_of_cpuid(void)
{
    if (cpuid(0, 0).eax < 0x15) {
        return 0;
    }
    struct cpuid_result r = cpuid(0x15, 0);
    return r.eax != 0 ? (uint64_t)r.ecx * r.ebx / r.eax : 0;
}

static uint64_t tsc_hz_measured(void)
{
    uint64_t best = UINT64_MAX;

    /* An interrupt of the firmware can only make a measurement longer. */
    for (unsigned i = 0; i < 3; i++) {
        uint64_t start = rdtsc();
        efi_boot->Stall(STALL_US);
        uint64_t ticks = rdtsc() - start;
        best = ticks < best ? ticks : best;
    }
    return best * (1000000 / STALL_US);
}

static void set_clocks(struct boot_info *info)
{
    uint64_t told = tsc_hz_of_cpuid();
    uint64_t measured = tsc_hz_measured();
    uint64_t difference = told > measured ? told - measured : measured - told;
    EFI_TIME t = {0};

    info->tsc_hz = measured;
    if (told != 0 && difference < measured / 100) {
        info->tsc_hz = told;
    } else if (told != 0) {
        log_warning("CPUID tells a TSC of %llu Hz, measured are %llu Hz: using the measurement",
                    (unsigned long long)told, (unsigned long long)measured);
    }
    if (efi_system->RuntimeServices->GetTime(&t, NULL) == EFI_SUCCESS) {
        info->wall_clock = days_since_1970(t.Year, t.Month, t.Day) * 86400ull + t.Hour * 3600ull +
                           t.Minute * 60ull + t.Second;
    }
    info->wall_clock_tsc = rdtsc();
}

static status_t list_cpus(struct boot_info *info)
{
    if (info->rsdp != 0 && acpi_read_madt(info->rsdp, info) == STATUS_OK) {
        return STATUS_OK;
    }
    return mp_services_list_cpus(info);
}

/* cpus[0] is the one that runs this. */
static void put_this_cpu_first(struct boot_info *info)
{
    uint32_t id = cpuid(0, 0).eax >= 0xb && cpuid(0xb, 0).ebx != 0 ? cpuid(0xb, 0).edx
                                                                   : cpuid(1, 0).ebx >> 24;

    for (uint32_t i = 1; i < info->cpu_count; i++) {
        if (info->cpus[i] == id) {
            info->cpus[i] = info->cpus[0];
            info->cpus[0] = id;
        }
    }
}

status_t uefi_collect(struct boot_info *info)
{
    info->rsdp = find_table(&acpi20_guid);
    info->rsdp = info->rsdp != 0 ? info->rsdp : find_table(&acpi10_guid);
    info->ioapic_base = IOAPIC_DEFAULT;
    /* COM1 and COM3 share ISA interrupt 4, COM2 and COM4 have 3. */
    info->uart_gsi = (info->uart_port & 0x100) != 0 ? 4 : 3;
    status_t status = list_cpus(info);
    if (status != STATUS_OK) {
        log_error("the firmware lists no processors, neither by ACPI nor by MP services");
        return status;
    }
    put_this_cpu_first(info);
    set_clocks(info);
    info->low_page = (uint64_t)efi_pages(PAGE_SIZE, LOW_LIMIT);
    if (info->low_page == 0) {
        log_error("no free page below 1 MiB, where processors start");
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}
