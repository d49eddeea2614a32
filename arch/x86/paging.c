/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/paging.h"

#include "arch/x86/cpu.h"
#include "arch/x86/defs/msr.h"
#include "arch/x86/defs/registers.h"
#include "lib/bits.h"
#include "lib/pages.h"

#define ENTRY_PRESENT BIT(0)
#define ENTRY_LARGE   BIT(7)
#define ENTRY_ADDRESS MASK(51, 12)
#define LEVELS        4u
#define ENTRIES       512u
/* The PAT after a reset, but for entry 1 (PWT alone): write combining in place of write through. */
#define PAT_VALUE 0x0007040600070106ull

/* The image's parts, from the linker script. */
extern char image_text_start[] __asm__("__text_start"), image_text_end[] __asm__("__text_end");
extern char image_rodata_start[] __asm__("__rodata_start"), image_rodata_end[] __asm__(
                                                                "__rodata_end");
extern char image_data_start[] __asm__("__data_start"), image_data_end[] __asm__("__data_end");

static uint64_t *root;
static unsigned largest_level; /* of a leaf: 2 has 2 MiB pages, 3 has 1 GiB */

static uint64_t level_size(unsigned level)
{
    return PAGE_SIZE << (9 * (level - 1));
}

static uint64_t *entry_of(uint64_t *table, uint64_t address, unsigned level)
{
    return &table[(address >> (12 + 9 * (level - 1))) % ENTRIES];
}

/* The table below `entry`, made if need be; a large page is split into equal smaller ones. */
static uint64_t *table_below(uint64_t *entry, unsigned level)
{
    if ((*entry & ENTRY_PRESENT) != 0 && (*entry & ENTRY_LARGE) == 0) {
        return (uint64_t *)(*entry & ENTRY_ADDRESS);
    }
    uint64_t *table = page_alloc();
    if (table == NULL) {
        return NULL;
    }
    if ((*entry & ENTRY_PRESENT) != 0) {
        uint64_t leaf = level - 1 == 1 ? *entry & ~ENTRY_LARGE : *entry;
        for (unsigned i = 0; i < ENTRIES; i++) {
            table[i] = leaf + i * level_size(level - 1);
        }
    }
    *entry = (uint64_t)table | ENTRY_PRESENT | PAGING_WRITE;
    return table;
}

/* Writes `leaf` (an entry without its address, 0 to unmap) for the page at `address` of `level`. */
static status_t set_leaf(uint64_t address, unsigned level, uint64_t leaf)
{
    uint64_t *table = root;

    for (unsigned at = LEVELS; at > level; at--) {
        table = table_below(entry_of(table, address, at), at);
        if (table == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    uint64_t large = level > 1 ? ENTRY_LARGE : 0;
    *entry_of(table, address, level) = leaf == 0 ? 0 : address | leaf | large;
    return STATUS_OK;
}

static bool has_table(uint64_t address, unsigned level)
{
    uint64_t *table = root;

    for (unsigned at = LEVELS; at >= level; at--) {
        uint64_t entry = *entry_of(table, address, at);
        if ((entry & ENTRY_PRESENT) == 0 || (entry & ENTRY_LARGE) != 0) {
            return false;
        }
        table = (uint64_t *)(entry & ENTRY_ADDRESS);
    }
    return true;
}

status_t paging_map(uint64_t base, uint64_t size, uint64_t flags)
{
    uint64_t address = align_down(base, PAGE_SIZE);
    uint64_t end = align_up(base + size, PAGE_SIZE);
    uint64_t leaf = ENTRY_PRESENT | (flags ^ PAGING_EXECUTE);

    while (address < end) {
        unsigned level = largest_level;
        while (level > 1 && (!is_aligned(address, level_size(level)) ||
                             end - address < level_size(level) || has_table(address, level))) {
            level--;
        }
        status_t status = set_leaf(address, level, leaf);
        if (status != STATUS_OK) {
            return status;
        }
        address += level_size(level);
    }
    return STATUS_OK;
}

status_t paging_unmap_page(uint64_t base)
{
    return set_leaf(base, 1, 0);
}

static status_t map_image(void)
{
    const struct {
        char *start, *end;
        uint64_t flags;
    } parts[] = {
        {image_text_start, image_text_end, PAGING_EXECUTE},
        {image_rodata_start, image_rodata_end, 0},
        {image_data_start, image_data_end, PAGING_WRITE},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        status_t status = paging_map((uint64_t)parts[i].start,
                                     (uint64_t)(parts[i].end - parts[i].start), parts[i].flags);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

status_t paging_build(const struct boot_info *info)
{
    root = page_alloc();
    if (root == NULL) {
        return STATUS_NO_MEMORY;
    }
    largest_level = (cpuid(0x80000001, 0).edx & BIT32(26)) != 0 ? 3 : 2;
    for (uint32_t i = 0; i < info->region_count; i++) {
        const struct boot_region *region = &info->regions[i];
        if (region->type == BOOT_REGION_MMIO || region->type == BOOT_REGION_FIRMWARE) {
            continue;
        }
        uint64_t base = region->base == 0 ? PAGE_SIZE : region->base;
        uint64_t flags = region->type == BOOT_REGION_ACPI ? 0 : PAGING_WRITE;
        status_t status = paging_map(base, region->base + region->size - base, flags);
        if (status != STATUS_OK) {
            return status;
        }
    }
    status_t status = map_image();
    if (status == STATUS_OK) {
        status = paging_map(info->low_page, PAGE_SIZE, PAGING_EXECUTE);
    }
    if (status == STATUS_OK) {
        status = paging_map(info->ioapic_base, PAGE_SIZE, PAGING_WRITE | PAGING_UNCACHED);
    }
    if (status == STATUS_OK && info->framebuffer.base != 0) {
        uint64_t size = (uint64_t)info->framebuffer.stride * info->framebuffer.height * 4;
        status = paging_map(info->framebuffer.base, size, PAGING_WRITE | PAGING_WRITE_COMBINING);
    }
    return status;
}

void paging_activate(void)
{
    wrmsr(MSR_IA32_EFER, rdmsr(MSR_IA32_EFER) | EFER_NXE);
    write_cr0((read_cr0() | CR0_WP | CR0_NE | CR0_MP) & ~(CR0_EM | CR0_TS));
    /* Before this nothing was read or written through the entry that changes. */
    wrmsr(MSR_IA32_PAT, PAT_VALUE);
    write_cr3((uint64_t)root);
    /* The firmware may have had global pages. */
    write_cr4(read_cr4() & ~CR4_PGE);
}

uint64_t paging_root(void)
{
    return (uint64_t)root;
}
