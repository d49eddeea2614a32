/* SPDX-License-Identifier: BSD-2-Clause */
/* A local APIC for its tests, driven through its MSRs. */
#ifndef POSTERN_TESTS_UNIT_LAPIC_FIXTURE_H
#define POSTERN_TESTS_UNIT_LAPIC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bits.h"
#include "machine/lapic.h"

#define ID           0x802u
#define VERSION      0x803u
#define TPR          0x808u
#define PPR          0x80au
#define EOI          0x80bu
#define LDR          0x80du
#define SVR          0x80fu
#define ISR          0x810u
#define TMR          0x818u
#define IRR          0x820u
#define ESR          0x828u
#define ICR          0x830u
#define LVT_TIMER    0x832u
#define LVT_LINT0    0x835u
#define INITIAL      0x838u
#define CURRENT      0x839u
#define DIVIDE       0x83eu
#define SELF_IPI     0x83fu
#define ONE_SHOT     0u
#define PERIODIC     (1u << 17)
#define TSC_DEADLINE (2u << 17)
#define MASKED       (1u << 16)
#define BY_1         0xbu
#define BY_2         0x0u
#define TSC_PER_TICK 3u

struct fixture {
    struct lapic lapic;
    uint8_t *page; /* a heap block of its own, for the address sanitizer */
    uint64_t now;
    unsigned ipis, eois;
    struct lapic_ipi ipi;
    uint8_t eoi;
};

static inline void on_ipi(void *context, const struct lapic_ipi *ipi)
{
    struct fixture *f = context;

    f->ipis++;
    f->ipi = *ipi;
}

static inline void on_eoi(void *context, uint8_t vector)
{
    struct fixture *f = context;

    f->eois++;
    f->eoi = vector;
}

static const struct lapic_ops fixture_ops = {.send_ipi = on_ipi, .eoi = on_eoi};

static inline void start_as(struct fixture *f, uint32_t id)
{
    memset(f, 0, sizeof(*f));
    f->page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
    assert_non_null(f->page);
    memset(f->page, 0xee, PAGE_SIZE);
    f->lapic.page = f->page;
    f->now = 1000000;
    lapic_init(&f->lapic, &fixture_ops, f, id, TSC_PER_TICK);
    lapic_reset(&f->lapic, LAPIC_X2APIC);
}

static inline void start(struct fixture *f)
{
    start_as(f, 0);
}

static inline void stop(struct fixture *f)
{
    free(f->page);
}

static inline uint64_t rd(struct fixture *f, uint32_t msr)
{
    uint64_t value = 0xdead;

    assert_true(lapic_read_msr(&f->lapic, msr, f->now, &value));
    return value;
}

static inline void wr(struct fixture *f, uint32_t msr, uint64_t value)
{
    assert_true(lapic_write_msr(&f->lapic, msr, f->now, value));
}

static inline void request(struct fixture *f, uint8_t vector, bool level)
{
    (void)lapic_post(&f->lapic, vector, level);
    lapic_sync_posted(&f->lapic);
}

static inline bool has(struct fixture *f, uint32_t base, unsigned vector)
{
    return (rd(f, base + vector / 32) >> vector % 32 & 1) != 0;
}

#endif
