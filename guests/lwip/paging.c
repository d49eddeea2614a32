/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/paging.h"

#define PAGE_TABLE    3ull
#define PAGE_2M       0x83ull
#define NOT_EXECUTE   (1ull << 63)
#define ACCESSED      0x20ull /* which the CPU sets */
#define ENTRIES       512u
#define SIZE_2M       (1ull << 21)
#define LOW_GIBIBYTES 4u /* start.S has mapped them */

/* start.S: an entry for each GiB of the first 512. */
extern uint64_t page_directory_pointers[ENTRIES];

static uint64_t directories[2][ENTRIES] __attribute__((aligned(4096)));
static unsigned directories_used;

/* The directory of a gibibyte, or NULL. */
static uint64_t *directory_of(uint64_t gibibyte)
{
    uint64_t *pointer = &page_directory_pointers[gibibyte];

    for (unsigned i = 0; i < directories_used; i++) {
        if ((*pointer & ~ACCESSED) == ((uint64_t)directories[i] | PAGE_TABLE)) {
            return directories[i];
        }
    }
    if (directories_used == 2) {
        return NULL;
    }
    *pointer = (uint64_t)directories[directories_used] | PAGE_TABLE;
    return directories[directories_used++];
}

void *map_memory(uint64_t address, size_t size)
{
    uint64_t gibibyte = address >> 30;
    uint64_t *directory;

    if (gibibyte < LOW_GIBIBYTES) {
        return (void *)address;
    }
    directory = gibibyte < ENTRIES ? directory_of(gibibyte) : NULL;
    if (directory == NULL) {
        return NULL;
    }
    /* The first 2 MiB page may hold more than a small window. */
    for (uint64_t at = address & ~(SIZE_2M - 1); at < address + size; at += SIZE_2M) {
        directory[at / SIZE_2M % ENTRIES] = at | PAGE_2M | NOT_EXECUTE;
    }
    return (void *)address;
}
