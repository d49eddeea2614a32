/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/paging.h"

#define PAGE_TABLE    3ull
#define PAGE_2M       0x83ull
#define NOT_EXECUTE   (1ull << 63)
#define ENTRIES       512u
#define SIZE_2M       (1ull << 21)
#define LOW_GIBIBYTES 4u /* start.S has mapped them */

/* start.S: an entry for each GiB of the first 512. */
extern uint64_t page_directory_pointers[ENTRIES];

static uint64_t directory[ENTRIES] __attribute__((aligned(4096)));

void *map_window(uint64_t address, size_t size)
{
    uint64_t gibibyte = address >> 30;

    if (gibibyte < LOW_GIBIBYTES) {
        return (void *)address;
    }
    if (gibibyte >= ENTRIES) {
        return NULL;
    }
    /* The first 2 MiB page may hold more than a small window. */
    for (uint64_t at = address & ~(SIZE_2M - 1); at < address + size; at += SIZE_2M) {
        directory[at / SIZE_2M % ENTRIES] = at | PAGE_2M | NOT_EXECUTE;
    }
    page_directory_pointers[gibibyte] = (uint64_t)directory | PAGE_TABLE;
    return (void *)address;
}
