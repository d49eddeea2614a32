/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/acpi_tables.h"

#include "lib/string.h"

#define RSDP_V1_SIZE      20u
#define HEADER_SIZE       36u
#define TABLE_MAX         MIB(1) /* no MADT or XSDT is nearly as large */
#define MADT_ENTRIES      44u
#define MADT_LOCAL_APIC   0u
#define MADT_IOAPIC       1u
#define MADT_OVERRIDE     2u
#define MADT_LOCAL_X2APIC 9u
#define CPU_ENABLED       1u

static uint32_t read32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static uint64_t read64(const uint8_t *at)
{
    return (uint64_t)read32(at + 4) << 32 | read32(at);
}

static bool sums_to_zero(const uint8_t *bytes, size_t size)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    return sum == 0;
}

/* The table at `address` if it bears `signature` and is whole, else NULL. */
static const uint8_t *table_at(uint64_t address, const char *signature)
{
    const uint8_t *table = (const uint8_t *)address;

    if (address == 0 || memcmp(table, signature, 4) != 0) {
        return NULL;
    }
    uint32_t length = read32(table + 4);
    if (length < HEADER_SIZE || length > TABLE_MAX || !sums_to_zero(table, length)) {
        return NULL;
    }
    return table;
}

static const uint8_t *find_madt(uint64_t rsdp)
{
    const uint8_t *pointer = (const uint8_t *)rsdp;

    if (memcmp(pointer, "RSD PTR ", 8) != 0 || !sums_to_zero(pointer, RSDP_V1_SIZE)) {
        return NULL;
    }
    /* Revision 2 brought the XSDT with 64-bit addresses. */
    bool extended = pointer[15] >= 2;
    const uint8_t *root =
        extended ? table_at(read64(pointer + 24), "XSDT") : table_at(read32(pointer + 16), "RSDT");
    size_t step = extended ? 8 : 4;
    if (root == NULL) {
        return NULL;
    }
    for (size_t at = HEADER_SIZE; at + step <= read32(root + 4); at += step) {
        uint64_t address = extended ? read64(root + at) : read32(root + at);
        const uint8_t *madt = table_at(address, "APIC");
        if (madt != NULL) {
            return madt;
        }
    }
    return NULL;
}

static void add_cpu(struct boot_info *info, uint32_t id, uint32_t flags)
{
    /* Some firmware lists a CPU both as a local APIC and as a local x2APIC. */
    for (uint32_t i = 0; i < info->cpu_count; i++) {
        if (info->cpus[i] == id) {
            return;
        }
    }
    if ((flags & CPU_ENABLED) != 0 && info->cpu_count < BOOT_MAX_CPUS) {
        info->cpus[info->cpu_count++] = id;
    }
}

static void read_entry(const uint8_t *entry, uint8_t length, uint32_t uart_irq,
                       uint32_t *lowest_gsi, struct boot_info *info)
{
    if (entry[0] == MADT_LOCAL_APIC && length >= 8) {
        add_cpu(info, entry[3], read32(entry + 4));
    } else if (entry[0] == MADT_LOCAL_X2APIC && length >= 16) {
        add_cpu(info, read32(entry + 4), read32(entry + 8));
    } else if (entry[0] == MADT_IOAPIC && length >= 12 && read32(entry + 8) < *lowest_gsi) {
        *lowest_gsi = read32(entry + 8);
        info->ioapic_base = read32(entry + 4);
    } else if (entry[0] == MADT_OVERRIDE && length >= 10 && entry[3] == uart_irq) {
        info->uart_gsi = read32(entry + 4);
    }
}

status_t acpi_read_madt(uint64_t rsdp, struct boot_info *info)
{
    const uint8_t *madt = find_madt(rsdp);
    uint32_t lowest_gsi = UINT32_MAX;
    uint32_t uart_irq = info->uart_gsi; /* an ISA interrupt, until an override is found */

    if (madt == NULL) {
        return STATUS_NOT_FOUND;
    }
    uint32_t size = read32(madt + 4);
    for (uint32_t at = MADT_ENTRIES; at + 2 <= size;) {
        uint8_t length = madt[at + 1];
        if (length < 2 || length > size - at) {
            break;
        }
        read_entry(madt + at, length, uart_irq, &lowest_gsi, info);
        at += length;
    }
    return info->cpu_count > 0 ? STATUS_OK : STATUS_NOT_FOUND;
}

uint64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};

    if (year < 1970 || month < 1 || month > 12 || day < 1) {
        return 0;
    }
    /* Leap days up to the end of the year before, counted from the years 1969, 1900 and 1600. */
    uint64_t past = year - 1;
    uint64_t leaps = (past / 4 - 492) - (past / 100 - 19) + (past / 400 - 4);
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return (year - 1970) * 365ull + leaps + before[month - 1] + (leap && month > 2) + day - 1;
}
