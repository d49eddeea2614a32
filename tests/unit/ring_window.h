/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link's window for tests, as the EPT gives it: each section is mapped twice, writable for its
 * owner and read-only for the peer, with pages around it that nobody may touch.
 */
#ifndef POSTERN_TESTS_UNIT_RING_WINDOW_H
#define POSTERN_TESTS_UNIT_RING_WINDOW_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define WINDOW_GUARD 4096u

struct ring_window {
    size_t section_size;
    uint8_t *writable[2];
    const uint8_t *readable[2];
};

static inline void *window_map(int file, size_t size, int protection)
{
    uint8_t *base =
        mmap(NULL, size + 2 * WINDOW_GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (base == MAP_FAILED) {
        abort();
    }
    if (mmap(base + WINDOW_GUARD, size, protection, MAP_SHARED | MAP_FIXED, file, 0) ==
        MAP_FAILED) {
        abort();
    }
    return base + WINDOW_GUARD;
}

static inline void window_create(struct ring_window *window, size_t section_size)
{
    window->section_size = section_size;
    for (unsigned end = 0; end < 2; end++) {
        char name[] = "/tmp/ring_window.XXXXXX";
        int file = mkstemp(name);

        if (file < 0 || unlink(name) != 0 || ftruncate(file, (off_t)section_size) != 0) {
            abort();
        }
        window->writable[end] = window_map(file, section_size, PROT_READ | PROT_WRITE);
        window->readable[end] = window_map(file, section_size, PROT_READ);
        (void)close(file);
    }
}

static inline void window_unmap(const uint8_t *section, size_t size)
{
    (void)munmap((void *)(uintptr_t)(section - WINDOW_GUARD), size + 2 * WINDOW_GUARD);
}

static inline void window_destroy(struct ring_window *window)
{
    for (unsigned end = 0; end < 2; end++) {
        window_unmap(window->writable[end], window->section_size);
        window_unmap(window->readable[end], window->section_size);
    }
}

#endif
