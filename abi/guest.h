/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls and gates for bare-metal guests in C: inline functions over abi/hypercall.h and
 * abi/gate.h, without a library. docs/abi.md says what each call does and costs. Errors are the
 * negative POSTERN_ERR_ numbers.
 */
#ifndef POSTERN_ABI_GUEST_H
#define POSTERN_ABI_GUEST_H

#include "abi/gate.h"
#include "abi/hypercall.h"

#define POSTERN_PAGE_MASK 0xfffull

/* Only in ring 0. Memory is clobbered: what was written before is there for the peer. */
static inline int64_t postern_hypercall3(uint64_t number, uint64_t first, uint64_t second,
                                         uint64_t third)
{
    int64_t result;

    __asm__ volatile("vmcall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third)
                     : "memory");
    return result;
}

static inline int64_t postern_hypercall(uint64_t number, uint64_t first, uint64_t second)
{
    return postern_hypercall3(number, first, second, 0);
}

/* Whether this is a Postern whose hypercalls are known here: ask before any other call. */
static inline int postern_is_here(void)
{
    const char *name = POSTERN_CPUID_SIGNATURE;
    uint32_t eax = POSTERN_CPUID_BASE, words[3];

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(words[0]), "=c"(words[1]), "=d"(words[2]) : "2"(0));
    for (unsigned i = 0; i < sizeof(words); i++) {
        if (((words[i / 4] >> (i % 4 * 8)) & 0xff) != (uint8_t)name[i]) {
            return 0;
        }
    }
    return eax >= POSTERN_CPUID_ABI &&
           postern_hypercall(POSTERN_HC_VERSION, 0, 0) == POSTERN_ABI_VERSION;
}

/* The guest-physical address of the gate's first page; it has *pages, side by side. */
static inline uint64_t postern_gate_home(uint32_t *pages)
{
    uint64_t answer = (uint64_t)postern_hypercall(POSTERN_HC_GATE, 0, 0);

    *pages = (uint32_t)(answer & POSTERN_PAGE_MASK);
    return answer & ~POSTERN_PAGE_MASK;
}

/* Opens a port's view for all vCPUs; its index. */
static inline int64_t postern_view_open(uint64_t port)
{
    return postern_hypercall(POSTERN_HC_VIEW_OPEN, port, POSTERN_ALL_VCPUS);
}

static inline int64_t postern_view_close(uint64_t port)
{
    return postern_hypercall(POSTERN_HC_VIEW_CLOSE, port, POSTERN_ALL_VCPUS);
}

/* Lets the peer see this end's section, or no longer. */
static inline int64_t postern_window_grant(uint64_t port, int granted)
{
    return postern_hypercall(POSTERN_HC_WINDOW_GRANT, port, granted != 0);
}

/* Lets the peer of a port in mode direct reach the page of RAM at `page` (guest-physical), as slot
 * `slot` of its BAR 4; or no longer: the slot may be POSTERN_POOL_ALL. */
static inline int64_t postern_pool_give(uint64_t port, uint64_t slot, uint64_t page, int writable)
{
    return postern_hypercall3(POSTERN_HC_POOL_GIVE, port, slot,
                              writable ? page | POSTERN_POOL_WRITE : page);
}

static inline int64_t postern_pool_take(uint64_t port, uint64_t slot)
{
    return postern_hypercall(POSTERN_HC_POOL_TAKE, port, slot);
}

/* Crossings; `gate` is the linear address at which the gate's pages are mapped. From any ring. */
static inline int64_t postern_cross(uint64_t gate, uint32_t view, uint32_t function,
                                    void *arguments)
{
    return ((postern_gate_t)gate)(view, function, arguments);
}

/* Between the window and RAM, or within; linear addresses. */
static inline int64_t postern_gate_copy(uint64_t gate, uint32_t view, uint64_t to, uint64_t from,
                                        uint64_t size)
{
    struct postern_gate_copy copy = {to, from, size};

    return postern_cross(gate, view, POSTERN_GATE_COPY, &copy);
}

/* One 64-bit word of the window, with acquire. */
static inline int64_t postern_gate_load(uint64_t gate, uint32_t view, uint64_t window,
                                        uint64_t *value)
{
    struct postern_gate_access access = {window, 0};
    int64_t result = postern_cross(gate, view, POSTERN_GATE_LOAD, &access);

    *value = access.value;
    return result;
}

/* The same with release. */
static inline int64_t postern_gate_store(uint64_t gate, uint32_t view, uint64_t window,
                                         uint64_t value)
{
    struct postern_gate_access access = {window, value};

    return postern_cross(gate, view, POSTERN_GATE_STORE, &access);
}

#endif
