/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest's kernel from a hostile file, through either loader. */
#ifndef POSTERN_TESTS_FUZZ_FUZZ_KERNEL_H
#define POSTERN_TESTS_FUZZ_FUZZ_KERNEL_H

#include "tests/fuzz/fuzz.h"

#include "machine/guest_kernel.h"

#define FUZZ_RAM_SIZE (8u << 20)

typedef status_t (*fuzz_check_t)(const struct guest_kernel_request *request, char *error,
                                 size_t error_size);
typedef status_t (*fuzz_load_t)(const struct guest_kernel_request *request,
                                struct guest_entry *entry, char *error, size_t error_size);

/* The input: a byte of options, one with the initrd's size in units of 64 KiB, the file. `check`
 * and `load` have to agree, and an entry that is promised has to be in the guest's memory. */
static inline void fuzz_kernel(const uint8_t *data, size_t size, fuzz_check_t check,
                               fuzz_load_t load)
{
    static uint8_t *ram, initrd[255u << 16];
    struct fuzz_input input = {data, size};
    uint8_t options = fuzz_byte(&input);
    size_t initrd_size = (size_t)fuzz_byte(&input) << 16;
    uint8_t *kernel = fuzz_copy(input.at, input.left);
    char error[120] = "", error_of_check[120] = "";
    struct guest_entry entry = {0};

    if (ram == NULL) {
        ram = malloc(FUZZ_RAM_SIZE);
        FUZZ_CHECK(ram != NULL);
    }
    struct guest_kernel_request request = {
        .ram_size = FUZZ_RAM_SIZE,
        .kernel = kernel,
        .kernel_size = input.left,
        .initrd = (options & 1) != 0 ? initrd : NULL,
        .initrd_size = (options & 1) != 0 ? initrd_size : 0,
        .cmdline = (options & 2) != 0 ? "console=ttyS0 quiet" : "",
        .rsdp = (options & 4) != 0 ? 0xe0000 : 0,
    };
    status_t checked = check(&request, error_of_check, sizeof(error_of_check));
    request.ram = ram;
    status_t loaded = load(&request, &entry, error, sizeof(error));
    free(kernel);
    FUZZ_CHECK(checked == loaded && strcmp(error, error_of_check) == 0);
    FUZZ_CHECK((loaded == STATUS_OK) == (error[0] == '\0'));
    if (loaded == STATUS_OK) {
        FUZZ_CHECK(entry.rip < FUZZ_RAM_SIZE && entry.rsp <= FUZZ_RAM_SIZE);
        FUZZ_CHECK(entry.gdt_base + entry.gdt_limit < FUZZ_RAM_SIZE);
        FUZZ_CHECK(!entry.long_mode || entry.cr3 < FUZZ_RAM_SIZE);
    }
}

#endif
