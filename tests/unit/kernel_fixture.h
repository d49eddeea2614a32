/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of the loaders: a guest's memory, a kernel that the test makes and an initrd, each a
 * heap block of its exact size, so that the address sanitizer sees each byte beyond. */
#ifndef POSTERN_TESTS_UNIT_KERNEL_FIXTURE_H
#define POSTERN_TESTS_UNIT_KERNEL_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "machine/guest_kernel.h"

#define MIB_SIZE  (1ull << 20)
#define RAM_SIZE  (64 * MIB_SIZE)
#define UNTOUCHED 0xa5 /* what all of the guest's memory is filled with */

struct fixture {
    uint8_t *ram;
    uint8_t *kernel;
    uint8_t *initrd;
    struct guest_kernel_request request;
    struct guest_entry entry;
    char error[120];
};

/* Numbers of `size` bytes, little endian. */
static inline void put(uint8_t *at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> 8 * i);
    }
}

static inline uint64_t get(const uint8_t *at, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value |= (uint64_t)at[i] << 8 * i;
    }
    return value;
}

static inline void start_with(struct fixture *f, uint64_t ram_size, size_t kernel_size,
                              void (*make_kernel)(uint8_t *kernel))
{
    memset(f, 0, sizeof(*f));
    f->ram = malloc(ram_size);
    f->kernel = malloc(kernel_size);
    f->initrd = malloc(5000);
    assert_true(f->ram != NULL && f->kernel != NULL && f->initrd != NULL);
    memset(f->ram, UNTOUCHED, ram_size);
    make_kernel(f->kernel);
    memset(f->initrd, 0x77, 5000);
    f->request = (struct guest_kernel_request){
        .ram = f->ram,
        .ram_size = ram_size,
        .kernel = f->kernel,
        .kernel_size = kernel_size,
        .initrd = f->initrd,
        .initrd_size = 5000,
        .cmdline = "console=ttyS0 quiet",
        .rsdp = 0xe0000,
    };
}

static inline void stop(struct fixture *f)
{
    free(f->ram);
    free(f->kernel);
    free(f->initrd);
}

#endif
