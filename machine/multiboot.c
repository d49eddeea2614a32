/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/multiboot.h"

#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "machine/guest_map.h"

#define HEADER_MAGIC      0x1badb002u
#define HEADER_SEARCH     8192u /* the header lies in these bytes, on a multiple of 4 */
#define HEADER_SIZE       12u
#define HEADER_ADDRESSES  32u         /* its size with the address fields */
#define FLAG_ADDRESSES    BIT32(16)   /* the address fields are valid */
#define FLAGS_DEMANDS     0x0000ffffu /* a loader that does not know one of them must refuse */
#define FLAGS_KNOWN       (BIT32(0) | BIT32(1)) /* modules on pages, memory information */

#define ELF_MAGIC         0x464c457fu
#define ELF_CLASS_32      1u
#define ELF_LITTLE_ENDIAN 1u
#define ELF_EXECUTABLE    2u
#define ELF_MACHINE_386   3u
#define ELF_LOAD          1u
#define ELF_SEGMENTS_MAX  64u

#define INFO_MEMORY       BIT32(0)
#define INFO_CMDLINE      BIT32(2)
#define INFO_MODULES      BIT32(3)
#define INFO_MEMORY_MAP   BIT32(6)
#define INFO_LOADER_NAME  BIT32(9)

/* Where things lie in low memory. */
#define INFO           0x10000u
#define MEMORY_MAP     0x10100u
#define MODULES        0x10200u
#define LOADER_NAME    0x10300u
#define GDT            0x10400u
#define INFO_END       0x11000u
#define CMDLINE        0x20000u
#define CMDLINE_MAX    4096u
#define CODE_SELECTOR  0x08u
#define DATA_SELECTOR  0x10u
#define STACK_TOP      0x19000u
#define MAP_ENTRY_SIZE 24u /* its first word, the size of the rest, included */

struct header {
    uint32_t magic, flags, checksum;
    uint32_t header_address, load_address, load_end, bss_end, entry; /* with FLAG_ADDRESSES */
};

struct elf_header {
    uint32_t magic;
    uint8_t class, data, version, padding[9];
    uint16_t type, machine;
    uint32_t elf_version, entry, program_headers, section_headers, flags;
    uint16_t header_size, program_header_size, program_header_count;
    uint16_t section_header_size, section_header_count, section_names;
};
_Static_assert(sizeof(struct elf_header) == 52, "ELF32 file header");

struct elf_segment {
    uint32_t type, offset, linear, physical, file_size, memory_size, flags, alignment;
};

struct info {
    uint32_t flags, memory_low, memory_high, boot_device, cmdline;
    uint32_t module_count, modules, symbols[4];
    uint32_t map_length, map, drives_length, drives, config_table, loader_name;
    uint32_t apm_table, vbe[4];
};
_Static_assert(offsetof(struct info, loader_name) == 64, "multiboot information");

struct module {
    uint32_t start, end, string, reserved;
};

/* A piece of the file and where it goes; the rest of its memory is zeros. */
struct piece {
    uint64_t offset, address, file_size, memory_size;
};

struct plan {
    uint32_t piece_count;
    struct piece pieces[ELF_SEGMENTS_MAX];
    uint64_t end; /* of the kernel's memory */
    uint64_t module;
    uint32_t entry;
};

static status_t fail(status_t status, char *error, size_t size, const char *text)
{
    (void)string_copy(error, size, text);
    return status;
}

/* The header's offset in the file, UINT64_MAX for none. Fields beyond the file's end read 0. */
static uint64_t find_header(const uint8_t *file, uint64_t size, struct header *header)
{
    uint64_t end = size < HEADER_SEARCH ? size : HEADER_SEARCH;

    for (uint64_t at = 0; at + HEADER_SIZE <= end; at += 4) {
        uint64_t length = size - at < sizeof(*header) ? size - at : sizeof(*header);
        memset(header, 0, sizeof(*header));
        memcpy(header, file + at, length);
        if (header->magic == HEADER_MAGIC &&
            header->magic + header->flags + header->checksum == 0) {
            return at;
        }
    }
    return UINT64_MAX;
}

bool multiboot_recognise(const uint8_t *file, uint64_t size)
{
    struct header header;

    return find_header(file, size, &header) != UINT64_MAX;
}

/* Takes a piece into the plan once it is known to lie in the file and in the guest's memory. */
static status_t add_piece(const struct guest_kernel_request *r, struct plan *plan,
                          const struct piece *piece, char *error, size_t size)
{
    if (piece->memory_size == 0) {
        return STATUS_OK;
    }
    if (piece->file_size > piece->memory_size ||
        !range_within(piece->offset, piece->file_size, 0, r->kernel_size)) {
        return fail(STATUS_INVALID, error, size, "a segment lies beyond the file's end");
    }
    if (piece->address < GUEST_HIGH_RAM_BASE) {
        return fail(STATUS_INVALID, error, size, "a segment is to be loaded below 1 MiB");
    }
    if (!range_within(piece->address, piece->memory_size, 0, r->ram_size)) {
        (void)format_string(error, size, "a segment needs memory from 0x%llx to 0x%llx",
                            (unsigned long long)piece->address,
                            (unsigned long long)(piece->address + piece->memory_size));
        return STATUS_NO_MEMORY;
    }
    uint64_t end = piece->address + piece->memory_size;
    plan->end = end > plan->end ? end : plan->end;
    plan->pieces[plan->piece_count++] = *piece;
    return STATUS_OK;
}

static status_t plan_elf(const struct guest_kernel_request *r, struct plan *plan, char *error,
                         size_t size)
{
    struct elf_header elf;
    struct elf_segment segment;

    if (r->kernel_size < sizeof(elf)) {
        return fail(STATUS_INVALID, error, size, "the ELF header is cut off");
    }
    memcpy(&elf, r->kernel, sizeof(elf));
    if (elf.class != ELF_CLASS_32 || elf.data != ELF_LITTLE_ENDIAN ||
        elf.machine != ELF_MACHINE_386 || elf.type != ELF_EXECUTABLE) {
        return fail(STATUS_INVALID, error, size, "not an ELF32 executable for the 386");
    }
    if (elf.program_header_size != sizeof(segment) || elf.program_header_count > ELF_SEGMENTS_MAX ||
        !range_within(elf.program_headers, (uint64_t)elf.program_header_count * sizeof(segment), 0,
                      r->kernel_size)) {
        return fail(STATUS_INVALID, error, size, "the ELF program headers are wrong");
    }
    for (uint32_t i = 0; i < elf.program_header_count; i++) {
        memcpy(&segment, r->kernel + elf.program_headers + i * sizeof(segment), sizeof(segment));
        if (segment.type != ELF_LOAD) {
            continue;
        }
        struct piece piece = {segment.offset, segment.physical, segment.file_size,
                              segment.memory_size};
        status_t status = add_piece(r, plan, &piece, error, size);
        if (status != STATUS_OK) {
            return status;
        }
    }
    plan->entry = elf.entry;
    return STATUS_OK;
}

/* A file that is no ELF says in the header itself where it goes. */
static status_t plan_addresses(const struct guest_kernel_request *r, const struct header *header,
                               uint64_t at, struct plan *plan, char *error, size_t size)
{
    if ((header->flags & FLAG_ADDRESSES) == 0) {
        return fail(STATUS_INVALID, error, size,
                    "a multiboot kernel that is no ELF32 file and has no address fields");
    }
    if (r->kernel_size - at < HEADER_ADDRESSES) {
        return fail(STATUS_INVALID, error, size, "the multiboot header is cut off");
    }
    uint64_t before = (uint64_t)header->header_address - header->load_address;
    if (header->header_address < header->load_address || before > at) {
        return fail(STATUS_INVALID, error, size, "the multiboot header's addresses are wrong");
    }
    struct piece piece = {.offset = at - before, .address = header->load_address};
    /* An end of 0: the whole file, or no bss. */
    piece.file_size = r->kernel_size - piece.offset;
    if (header->load_end != 0) {
        piece.file_size = (uint64_t)header->load_end - header->load_address;
    }
    piece.memory_size = piece.file_size;
    if (header->bss_end != 0) {
        piece.memory_size = (uint64_t)header->bss_end - header->load_address;
    }
    if ((header->load_end != 0 && header->load_end < header->load_address) ||
        (header->bss_end != 0 && header->bss_end < header->load_address)) {
        return fail(STATUS_INVALID, error, size, "the multiboot header's addresses are wrong");
    }
    plan->entry = header->entry;
    return add_piece(r, plan, &piece, error, size);
}

/* The entry has to be code that was loaded. */
static bool entry_is_loaded(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->piece_count; i++) {
        const struct piece *piece = &plan->pieces[i];
        if (range_within(plan->entry, 1, piece->address, piece->file_size)) {
            return true;
        }
    }
    return false;
}

static status_t place_module(const struct guest_kernel_request *r, struct plan *plan, char *error,
                             size_t size)
{
    plan->module = align_up(plan->end, PAGE_SIZE);
    if (!range_within(plan->module, r->initrd_size, 0, r->ram_size)) {
        (void)format_string(error, size, "no room for the initrd of %llu KiB behind the kernel",
                            (unsigned long long)(r->initrd_size >> 10));
        return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

static status_t check(const struct guest_kernel_request *r, struct plan *plan, char *error,
                      size_t size)
{
    struct header header;
    uint32_t magic = 0;
    uint64_t at = find_header(r->kernel, r->kernel_size, &header);

    *plan = (struct plan){0};
    if (at == UINT64_MAX) {
        return fail(STATUS_INVALID, error, size, "no multiboot header in the file's first 8 KiB");
    }
    if (r->ram_size < 2 * GUEST_HIGH_RAM_BASE) {
        return fail(STATUS_NO_MEMORY, error, size, "less than 2 MiB of memory");
    }
    if ((header.flags & FLAGS_DEMANDS & ~FLAGS_KNOWN) != 0) {
        return fail(STATUS_INVALID, error, size, "the multiboot header asks for what is unknown");
    }
    if (strlen(r->cmdline) >= CMDLINE_MAX) {
        return fail(STATUS_INVALID, error, size, "the command line is longer than 4095 bytes");
    }
    memcpy(&magic, r->kernel, sizeof(magic));
    status_t status = magic == ELF_MAGIC ? plan_elf(r, plan, error, size)
                                         : plan_addresses(r, &header, at, plan, error, size);
    if (status != STATUS_OK) {
        return status;
    }
    if (!entry_is_loaded(plan)) {
        return fail(STATUS_INVALID, error, size, "the entry point is in no segment");
    }
    return r->initrd != NULL ? place_module(r, plan, error, size) : STATUS_OK;
}

status_t multiboot_check(const struct guest_kernel_request *request, char *error, size_t error_size)
{
    struct plan plan;

    return check(request, &plan, error, error_size);
}

static void put_pieces(const struct guest_kernel_request *r, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->piece_count; i++) {
        const struct piece *piece = &plan->pieces[i];
        uint8_t *to = r->ram + piece->address;
        memcpy(to, r->kernel + piece->offset, piece->file_size);
        memset(to + piece->file_size, 0, piece->memory_size - piece->file_size);
    }
}

static void put_memory_map(const struct guest_kernel_request *r)
{
    struct guest_memory_range map[GUEST_MEMORY_RANGES];

    guest_memory_map(r->ram_size, map);
    for (uint32_t i = 0; i < GUEST_MEMORY_RANGES; i++) {
        uint8_t *entry = r->ram + MEMORY_MAP + i * MAP_ENTRY_SIZE;
        uint32_t rest = MAP_ENTRY_SIZE - sizeof(rest);
        memcpy(entry, &rest, 4);
        memcpy(entry + 4, &map[i].base, 8);
        memcpy(entry + 12, &map[i].size, 8);
        memcpy(entry + 20, &map[i].type, 4);
    }
}

static void put_info(const struct guest_kernel_request *r, const struct plan *plan)
{
    static const char name[] = "Postern";
    static const uint64_t gdt[] = {0, 0x00cf9b000000ffff, 0x00cf93000000ffff};
    struct info info = {
        .flags = INFO_MEMORY | INFO_CMDLINE | INFO_MEMORY_MAP | INFO_LOADER_NAME,
        .memory_low = GUEST_LOW_RAM_END >> 10,
        .memory_high = (uint32_t)((r->ram_size - GUEST_HIGH_RAM_BASE) >> 10),
        .cmdline = CMDLINE,
        .map_length = GUEST_MEMORY_RANGES * MAP_ENTRY_SIZE,
        .map = MEMORY_MAP,
        .loader_name = LOADER_NAME,
    };

    memset(r->ram + INFO, 0, INFO_END - INFO);
    if (r->initrd != NULL) {
        struct module module = {(uint32_t)plan->module, (uint32_t)(plan->module + r->initrd_size),
                                LOADER_NAME + sizeof(name) - 1 /* an empty string */, 0};
        info.flags |= INFO_MODULES;
        info.module_count = 1;
        info.modules = MODULES;
        memcpy(r->ram + MODULES, &module, sizeof(module));
        memcpy(r->ram + plan->module, r->initrd, r->initrd_size);
    }
    memcpy(r->ram + INFO, &info, sizeof(info));
    memcpy(r->ram + LOADER_NAME, name, sizeof(name));
    memcpy(r->ram + GDT, gdt, sizeof(gdt));
    memcpy(r->ram + CMDLINE, r->cmdline, strlen(r->cmdline) + 1);
}

status_t multiboot_load(const struct guest_kernel_request *request, struct guest_entry *entry,
                        char *error, size_t error_size)
{
    struct plan plan;
    status_t status = check(request, &plan, error, error_size);

    if (status != STATUS_OK) {
        return status;
    }
    put_pieces(request, &plan);
    put_info(request, &plan);
    put_memory_map(request);
    *entry = (struct guest_entry){
        .kind = GUEST_KERNEL_MULTIBOOT,
        .rip = plan.entry,
        .rsp = STACK_TOP,
        .rax = MULTIBOOT_ENTRY_MAGIC,
        .rbx = INFO,
        .gdt_base = GDT,
        .gdt_limit = 3 * 8 - 1,
        .code_selector = CODE_SELECTOR,
        .data_selector = DATA_SELECTOR,
    };
    return STATUS_OK;
}
