/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/linux_boot.h"

#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "machine/guest_map.h"

/* Offsets in boot_params and, from 0x1f1 on, in the kernel's setup header. */
#define BP_ACPI_RSDP     0x070u
#define BP_E820_ENTRIES  0x1e8u
#define HDR_SETUP_SECTS  0x1f1u
#define HDR_BOOT_FLAG    0x1feu
#define HDR_JUMP         0x200u
#define HDR_MAGIC        0x202u
#define HDR_VERSION      0x206u
#define HDR_LOADER_TYPE  0x210u
#define HDR_RAMDISK      0x218u
#define HDR_RAMDISK_LEN  0x21cu
#define HDR_CMDLINE      0x228u
#define HDR_INITRD_MAX   0x22cu
#define HDR_ALIGNMENT    0x230u
#define HDR_RELOCATABLE  0x234u
#define HDR_XLOADFLAGS   0x236u
#define HDR_CMDLINE_SIZE 0x238u
#define HDR_PREF_ADDRESS 0x258u
#define HDR_INIT_SIZE    0x260u
#define BP_E820_TABLE    0x2d0u

#define BOOT_FLAG        0xaa55u
#define HDRS_MAGIC       0x53726448u
#define VERSION_MIN      0x020cu /* xloadflags and 64-bit entry */
#define XLF_KERNEL_64    BIT32(0)
#define LOADER_UNDEFINED 0xffu
#define SECTOR           512u
#define HEADER_END_MAX   0x290u /* where boot_params' own fields go on */
#define ENTRY_64         0x200u

/* Where things lie in low memory. */
#define BOOT_PARAMS  0x10000u
#define PAGE_TABLES  0x11000u /* PML4, PDPT, four page directories */
#define GDT          0x17000u
#define STACK_TOP    0x19000u
#define CMDLINE      0x20000u
#define CMDLINE_MAX  4096u
#define IDENTITY_GIB 4u
#define PTE_LARGE_RW 0x83u
#define PTE_TABLE    0x03u

struct kernel {
    uint64_t setup_size; /* bytes before the protected-mode part */
    uint64_t address, init_size, code_size;
    uint64_t initrd_max;
    uint64_t header_end;
};

static uint64_t get(const uint8_t *base, uint32_t offset, size_t size)
{
    uint64_t value = 0;

    memcpy(&value, base + offset, size);
    return value;
}

static void put(uint8_t *base, uint32_t offset, uint64_t value, size_t size)
{
    memcpy(base + offset, &value, size);
}

static status_t fail(status_t status, char *error, size_t size, const char *text)
{
    (void)string_copy(error, size, text);
    return status;
}

static status_t check_header(const struct guest_kernel_request *r, struct kernel *k, char *error,
                             size_t size)
{
    if (r->kernel_size < HEADER_END_MAX) {
        return fail(STATUS_INVALID, error, size, "the file is too short for a kernel's header");
    }
    if (get(r->kernel, HDR_BOOT_FLAG, 2) != BOOT_FLAG ||
        get(r->kernel, HDR_MAGIC, 4) != HDRS_MAGIC) {
        return fail(STATUS_INVALID, error, size,
                    "not a bzImage: boot_flag or header magic is wrong");
    }
    if (get(r->kernel, HDR_VERSION, 2) < VERSION_MIN ||
        (get(r->kernel, HDR_XLOADFLAGS, 2) & XLF_KERNEL_64) == 0) {
        return fail(STATUS_INVALID, error, size,
                    "the kernel has no 64-bit entry (boot protocol 2.12, xloadflags)");
    }
    uint64_t sectors = get(r->kernel, HDR_SETUP_SECTS, 1);
    k->setup_size = ((sectors == 0 ? 4 : sectors) + 1) * SECTOR;
    if (k->setup_size >= r->kernel_size) {
        return fail(STATUS_INVALID, error, size, "setup_sects is beyond the file's end");
    }
    k->code_size = r->kernel_size - k->setup_size;
    if (k->code_size <= ENTRY_64) {
        return fail(STATUS_INVALID, error, size, "the 64-bit entry is beyond the file's end");
    }
    k->init_size = get(r->kernel, HDR_INIT_SIZE, 4);
    k->initrd_max = get(r->kernel, HDR_INITRD_MAX, 4);
    k->header_end = HDR_MAGIC + get(r->kernel, HDR_JUMP + 1, 1);
    if (k->header_end > HEADER_END_MAX || k->header_end < HDR_INIT_SIZE + 4) {
        return fail(STATUS_INVALID, error, size, "the setup header's length is wrong");
    }
    if (strlen(r->cmdline) >= CMDLINE_MAX ||
        strlen(r->cmdline) > get(r->kernel, HDR_CMDLINE_SIZE, 4)) {
        return fail(STATUS_INVALID, error, size, "the command line is longer than cmdline_size");
    }
    return STATUS_OK;
}

static status_t place_kernel(const struct guest_kernel_request *r, struct kernel *k, char *error,
                             size_t size)
{
    uint64_t alignment = get(r->kernel, HDR_ALIGNMENT, 4);
    bool relocatable = get(r->kernel, HDR_RELOCATABLE, 1) != 0;
    uint64_t needed = k->init_size > k->code_size ? k->init_size : k->code_size;

    k->address = get(r->kernel, HDR_PREF_ADDRESS, 8);
    if (!is_power_of_two(alignment) || k->address < GUEST_HIGH_RAM_BASE) {
        return fail(STATUS_INVALID, error, size, "kernel_alignment or pref_address is wrong");
    }
    if (!range_within(k->address, needed, 0, r->ram_size) && relocatable) {
        k->address = align_up(GUEST_HIGH_RAM_BASE, alignment);
    }
    if (!range_within(k->address, needed, 0, r->ram_size)) {
        (void)format_string(error, size, "the kernel needs %llu MiB of memory from 0x%llx on",
                            (unsigned long long)(needed + MIB(1) - 1) >> 20,
                            (unsigned long long)k->address);
        return STATUS_NO_MEMORY;
    }
    k->init_size = needed;
    return STATUS_OK;
}

/* As high as it may be, so that it is out of the kernel's way. */
static status_t place_initrd(const struct guest_kernel_request *r, const struct kernel *k,
                             uint64_t *address, char *error, size_t size)
{
    uint64_t end = r->ram_size < k->initrd_max + 1 ? r->ram_size : k->initrd_max + 1;

    if (r->initrd_size > end ||
        align_down(end - r->initrd_size, PAGE_SIZE) < k->address + k->init_size) {
        (void)format_string(error, size, "no room for the initrd of %llu KiB behind the kernel",
                            (unsigned long long)(r->initrd_size >> 10));
        return STATUS_NO_MEMORY;
    }
    *address = align_down(end - r->initrd_size, PAGE_SIZE);
    return STATUS_OK;
}

static void put_e820(uint8_t *params, uint64_t ram_size)
{
    struct guest_memory_range map[GUEST_MEMORY_RANGES];

    guest_memory_map(ram_size, map);
    for (uint32_t i = 0; i < ARRAY_SIZE(map); i++) {
        put(params, BP_E820_TABLE + 20 * i, map[i].base, 8);
        put(params, BP_E820_TABLE + 20 * i + 8, map[i].size, 8);
        put(params, BP_E820_TABLE + 20 * i + 16, map[i].type, 4);
    }
    put(params, BP_E820_ENTRIES, ARRAY_SIZE(map), 1);
}

static void put_tables(uint8_t *ram)
{
    static const uint64_t gdt[] = {0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff};
    uint64_t *pml4 = (uint64_t *)(void *)(ram + PAGE_TABLES);
    uint64_t *pdpt = pml4 + 512;
    uint64_t *directories = pdpt + 512;

    memset(pml4, 0, 2 * PAGE_SIZE);
    pml4[0] = (PAGE_TABLES + PAGE_SIZE) | PTE_TABLE;
    for (uint64_t i = 0; i < IDENTITY_GIB; i++) {
        pdpt[i] = (PAGE_TABLES + (2 + i) * PAGE_SIZE) | PTE_TABLE;
    }
    for (uint64_t i = 0; i < IDENTITY_GIB * 512; i++) {
        directories[i] = i * MIB(2) | PTE_LARGE_RW;
    }
    memcpy(ram + GDT, gdt, sizeof(gdt));
}

static void put_params(const struct guest_kernel_request *r, const struct kernel *k,
                       uint64_t initrd)
{
    uint8_t *params = r->ram + BOOT_PARAMS;

    memset(params, 0, PAGE_SIZE);
    memcpy(params + HDR_SETUP_SECTS, r->kernel + HDR_SETUP_SECTS, k->header_end - HDR_SETUP_SECTS);
    put(params, HDR_LOADER_TYPE, LOADER_UNDEFINED, 1);
    put(params, HDR_CMDLINE, CMDLINE, 4);
    put(params, HDR_RAMDISK, initrd, 4);
    put(params, HDR_RAMDISK_LEN, r->initrd == NULL ? 0 : r->initrd_size, 4);
    put(params, BP_ACPI_RSDP, r->rsdp, 8);
    put_e820(params, r->ram_size);
    memcpy(r->ram + CMDLINE, r->cmdline, strlen(r->cmdline) + 1);
}

static status_t check(const struct guest_kernel_request *request, struct kernel *kernel,
                      uint64_t *initrd, char *error, size_t error_size)
{
    if (request->ram_size < 2 * GUEST_HIGH_RAM_BASE) {
        return fail(STATUS_NO_MEMORY, error, error_size, "less than 2 MiB of memory");
    }
    status_t status = check_header(request, kernel, error, error_size);
    if (status == STATUS_OK) {
        status = place_kernel(request, kernel, error, error_size);
    }
    if (status == STATUS_OK && request->initrd != NULL) {
        status = place_initrd(request, kernel, initrd, error, error_size);
    }
    return status;
}

status_t linux_boot_check(const struct guest_kernel_request *request, char *error,
                          size_t error_size)
{
    struct kernel kernel;
    uint64_t initrd = 0;

    return check(request, &kernel, &initrd, error, error_size);
}

status_t linux_boot_load(const struct guest_kernel_request *request, struct guest_entry *entry,
                         char *error, size_t error_size)
{
    struct kernel kernel;
    uint64_t initrd = 0;
    status_t status = check(request, &kernel, &initrd, error, error_size);

    if (status != STATUS_OK) {
        return status;
    }
    memcpy(request->ram + kernel.address, request->kernel + kernel.setup_size, kernel.code_size);
    if (request->initrd != NULL) {
        memcpy(request->ram + initrd, request->initrd, request->initrd_size);
    }
    put_params(request, &kernel, initrd);
    put_tables(request->ram);
    *entry = (struct guest_entry){
        .kind = GUEST_KERNEL_LINUX,
        .long_mode = true,
        .rip = kernel.address + ENTRY_64,
        .rsi = BOOT_PARAMS,
        .rsp = STACK_TOP,
        .cr3 = PAGE_TABLES,
        .gdt_base = GDT,
        .gdt_limit = 4 * 8 - 1,
        .code_selector = LINUX_BOOT_CS,
        .data_selector = LINUX_BOOT_DS,
    };
    return STATUS_OK;
}
