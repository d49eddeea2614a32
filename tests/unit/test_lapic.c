/* SPDX-License-Identifier: BSD-2-Clause */
/* A local APIC through its MSRs, beside a model of priorities where the order matters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bits.h"
#include "machine/lapic.h"
#include "tests/unit/random.h"

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

static void on_ipi(void *context, const struct lapic_ipi *ipi)
{
    struct fixture *f = context;

    f->ipis++;
    f->ipi = *ipi;
}

static void on_eoi(void *context, uint8_t vector)
{
    struct fixture *f = context;

    f->eois++;
    f->eoi = vector;
}

static const struct lapic_ops ops = {.send_ipi = on_ipi, .eoi = on_eoi};

static void start_as(struct fixture *f, uint32_t id)
{
    memset(f, 0, sizeof(*f));
    f->page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
    assert_non_null(f->page);
    memset(f->page, 0xee, PAGE_SIZE);
    f->lapic.page = f->page;
    f->now = 1000000;
    lapic_init(&f->lapic, &ops, f, id, TSC_PER_TICK);
    lapic_reset(&f->lapic);
}

static void start(struct fixture *f)
{
    start_as(f, 0);
}

static void stop(struct fixture *f)
{
    free(f->page);
}

static uint64_t rd(struct fixture *f, uint32_t msr)
{
    uint64_t value = 0xdead;

    assert_true(lapic_read_msr(&f->lapic, msr, f->now, &value));
    return value;
}

static void wr(struct fixture *f, uint32_t msr, uint64_t value)
{
    assert_true(lapic_write_msr(&f->lapic, msr, f->now, value));
}

static void refuses_write(struct fixture *f, uint32_t msr, uint64_t value)
{
    assert_false(lapic_write_msr(&f->lapic, msr, f->now, value));
}

static void refuses_read(struct fixture *f, uint32_t msr)
{
    uint64_t value = 0;

    assert_false(lapic_read_msr(&f->lapic, msr, f->now, &value));
}

static void request(struct fixture *f, uint8_t vector, bool level)
{
    (void)lapic_post(&f->lapic, vector, level);
    lapic_sync_posted(&f->lapic);
}

static bool has(struct fixture *f, uint32_t base, unsigned vector)
{
    return (rd(f, base + vector / 32) >> vector % 32 & 1) != 0;
}

static void test_reset_state(void **state)
{
    struct fixture f;

    (void)state;
    start_as(&f, 3);
    assert_int_equal(rd(&f, ID), 3);
    assert_int_equal(rd(&f, VERSION) & 0xff, 0x14); /* an integrated APIC */
    assert_int_equal(rd(&f, LDR), 1 << 3);
    assert_int_equal(rd(&f, SVR), 0xff);
    assert_int_equal(rd(&f, TPR) | rd(&f, PPR) | rd(&f, ESR) | rd(&f, ICR) | rd(&f, DIVIDE), 0);
    for (uint32_t msr = ISR; msr < ESR; msr++) {
        assert_int_equal(rd(&f, msr), 0);
    }
    for (uint32_t msr = LVT_TIMER; msr <= LVT_TIMER + 5; msr++) {
        assert_int_equal(rd(&f, msr), MASKED);
    }
    /* As many LVT entries as the version register says: the last is the error's, at 0x837. */
    assert_int_equal(rd(&f, VERSION) >> 16, 5);
    assert_int_equal(lapic_pending(&f.lapic), -1);
    assert_true(lapic_timer_deadline(&f.lapic) == UINT64_MAX);
    stop(&f);
    start_as(&f, 0x25);
    assert_int_equal(rd(&f, LDR), 2 << 16 | 1 << 5);
    stop(&f);
}

static void test_reset_forgets(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    wr(&f, TPR, 0x20);
    wr(&f, LVT_TIMER, TSC_DEADLINE | 0x40);
    lapic_write_tsc_deadline(&f.lapic, 5);
    request(&f, 0x55, true);
    lapic_accept(&f.lapic, 0x55);
    request(&f, 0x66, false);
    (void)lapic_post(&f.lapic, 0x77, true);
    lapic_reset(&f.lapic);
    lapic_sync_posted(&f.lapic);
    assert_int_equal(lapic_pending(&f.lapic), -1);
    assert_int_equal(lapic_rvi(&f.lapic) | lapic_svi(&f.lapic), 0);
    assert_true(lapic_timer_deadline(&f.lapic) == UINT64_MAX);
    assert_int_equal(rd(&f, TPR), 0);
    stop(&f);
}

/* The registers that exist, by the SDM's table of x2APIC MSRs; all others are #GP. */
static void test_which_registers(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    for (uint32_t msr = 0x800; msr <= 0x8ff; msr++) {
        bool readable = msr == ID || msr == VERSION || msr == TPR || msr == PPR || msr == LDR ||
                        msr == SVR || (msr >= ISR && msr <= ESR) || msr == ICR ||
                        (msr >= LVT_TIMER && msr <= CURRENT) || msr == DIVIDE;
        bool writable = msr == TPR || msr == EOI || msr == SVR || msr == ESR || msr == ICR ||
                        (msr >= LVT_TIMER && msr <= INITIAL) || msr == DIVIDE || msr == SELF_IPI;
        uint64_t value = 0;
        assert_int_equal(lapic_read_msr(&f.lapic, msr, f.now, &value), readable);
        assert_int_equal(lapic_write_msr(&f.lapic, msr, f.now, 0), writable);
        assert_false(lapic_write_msr(&f.lapic, msr, f.now, 0x8000000000000000ull) && msr != ICR);
    }
    stop(&f);
}

static void test_reserved_bits(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    refuses_write(&f, TPR, 0x100);
    refuses_write(&f, EOI, 1);
    refuses_write(&f, ESR, 1);
    refuses_write(&f, SVR, 0x400);
    refuses_write(&f, LVT_TIMER, 1u << 20);
    refuses_write(&f, LVT_TIMER, 0x100ull << 32);
    refuses_write(&f, LVT_LINT0, 1u << 20);
    refuses_write(&f, INITIAL, 1ull << 32);
    refuses_write(&f, DIVIDE, 4);
    refuses_write(&f, SELF_IPI, 0x100);
    for (unsigned bit = 20; bit < 32; bit++) {
        refuses_write(&f, ICR, BIT(bit) | 0x40);
    }
    refuses_write(&f, ICR, BIT(13) | 0x40);
    refuses_write(&f, ICR, BIT(16) | 0x40);
    refuses_write(&f, ICR, BIT(17) | 0x40);
    assert_int_equal(f.ipis, 0);
    refuses_read(&f, EOI);
    refuses_read(&f, SELF_IPI);
    stop(&f);
}

static void test_delivery(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    assert_true(lapic_post(&f.lapic, 0x31, false));
    assert_false(lapic_post(&f.lapic, 0x31, false)); /* on its way already: no second kick */
    assert_true(lapic_post(&f.lapic, 0x91, true));
    assert_int_equal(lapic_pending(&f.lapic), -1); /* not seen before the sync */
    lapic_sync_posted(&f.lapic);
    assert_true(has(&f, IRR, 0x31) && has(&f, IRR, 0x91));
    assert_true(!has(&f, TMR, 0x31) && has(&f, TMR, 0x91));
    assert_int_equal(lapic_pending(&f.lapic), 0x91);
    assert_int_equal(lapic_rvi(&f.lapic), 0x91);
    lapic_accept(&f.lapic, 0x91);
    assert_true(has(&f, ISR, 0x91) && !has(&f, IRR, 0x91));
    assert_int_equal(lapic_svi(&f.lapic), 0x91);
    assert_int_equal(lapic_rvi(&f.lapic), 0x31);
    assert_int_equal(rd(&f, PPR), 0x90);
    assert_int_equal(lapic_pending(&f.lapic), -1); /* of a lower class */
    request(&f, 0x9f, false);
    assert_int_equal(lapic_pending(&f.lapic), -1); /* of the same class */
    request(&f, 0xa0, false);
    assert_int_equal(lapic_pending(&f.lapic), 0xa0);
    lapic_accept(&f.lapic, 0xa0);
    wr(&f, EOI, 0); /* ends the highest, which is edge-triggered */
    assert_int_equal(f.eois, 0);
    assert_int_equal(lapic_svi(&f.lapic), 0x91);
    wr(&f, EOI, 0);
    assert_int_equal(f.eois, 1);
    assert_int_equal(f.eoi, 0x91);
    assert_int_equal(rd(&f, PPR), 0);
    assert_int_equal(lapic_pending(&f.lapic), 0x9f);
    wr(&f, EOI, 0); /* one too many */
    assert_int_equal(f.eois, 1);
    stop(&f);
}

/* The same vector may come by edge after it came by level. */
static void test_trigger_mode_changes(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    request(&f, 0x40, true);
    lapic_accept(&f.lapic, 0x40);
    wr(&f, EOI, 0);
    assert_int_equal(f.eois, 1);
    request(&f, 0x40, false);
    assert_false(has(&f, TMR, 0x40));
    lapic_accept(&f.lapic, 0x40);
    wr(&f, EOI, 0);
    assert_int_equal(f.eois, 1);
    stop(&f);
}

static void test_task_priority(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    request(&f, 0x5a, false);
    wr(&f, TPR, 0x5f);
    assert_int_equal(rd(&f, PPR), 0x5f);
    assert_int_equal(lapic_pending(&f.lapic), -1);
    wr(&f, TPR, 0x4f);
    assert_int_equal(lapic_pending(&f.lapic), 0x5a);
    lapic_accept(&f.lapic, 0x5a);
    assert_int_equal(rd(&f, PPR), 0x50);
    wr(&f, TPR, 0x53); /* the same class: the task's priority shows */
    assert_int_equal(rd(&f, PPR), 0x53);
    wr(&f, TPR, 0xff);
    request(&f, 0xff, false);
    assert_int_equal(lapic_pending(&f.lapic), -1);
    stop(&f);
}

static void test_ipis(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    wr(&f, ICR, 5ull << 32 | 0x4000 | 0x41);
    assert_int_equal(f.ipis, 1);
    assert_true(f.ipi.mode == 0 && f.ipi.vector == 0x41 && !f.ipi.logical &&
                f.ipi.shorthand == LAPIC_SHORTHAND_NONE && f.ipi.destination == 5);
    assert_int_equal(rd(&f, ICR), 5ull << 32 | 0x4041);
    wr(&f, ICR, 0xffffffffull << 32 | BIT(11) | 4 << 8);
    assert_true(f.ipi.mode == 4 && f.ipi.logical && f.ipi.destination == 0xffffffff);
    wr(&f, ICR, 3ull << 18 | 5 << 8);
    assert_true(f.ipi.mode == 5 && f.ipi.shorthand == LAPIC_SHORTHAND_OTHERS);
    wr(&f, ICR, 2ull << 18 | 6 << 8 | 0x9a);
    assert_true(f.ipi.mode == 6 && f.ipi.vector == 0x9a && f.ipi.shorthand == LAPIC_SHORTHAND_ALL);
    wr(&f, SELF_IPI, 0x77);
    assert_int_equal(f.ipis, 5);
    assert_true(f.ipi.mode == 0 && f.ipi.vector == 0x77 && f.ipi.shorthand == LAPIC_SHORTHAND_SELF);
    /* Vectors below 16 do not exist: no message, an error bit, which a write clears. */
    wr(&f, ICR, 5ull << 32 | 0x0f);
    wr(&f, SELF_IPI, 0);
    assert_int_equal(f.ipis, 5);
    assert_int_equal(rd(&f, ESR), 1 << 5);
    wr(&f, ESR, 0);
    assert_int_equal(rd(&f, ESR), 0);
    wr(&f, ICR, 5ull << 32 | 5 << 8); /* INIT's vector is 0 */
    assert_int_equal(f.ipis, 6);
    stop(&f);
}

static void test_destinations(void **state)
{
    struct fixture f;

    (void)state;
    start_as(&f, 0x12);
    assert_true(lapic_target_matches(&f.lapic, 0x12, false));
    assert_false(lapic_target_matches(&f.lapic, 0x13, false));
    assert_true(lapic_target_matches(&f.lapic, 0xffffffff, false));
    assert_true(lapic_target_matches(&f.lapic, 0xffffffff, true));
    /* Logical: cluster 1, member 2. */
    assert_true(lapic_target_matches(&f.lapic, 0x10004, true));
    assert_true(lapic_target_matches(&f.lapic, 0x1ffff, true));
    assert_false(lapic_target_matches(&f.lapic, 0x1fffb, true));
    assert_false(lapic_target_matches(&f.lapic, 0x00004, true));
    assert_false(lapic_target_matches(&f.lapic, 0x20004, true));
    assert_false(lapic_target_matches(&f.lapic, 0x10000, true));
    assert_false(lapic_target_matches(&f.lapic, 0x12, true));
    stop(&f);
    assert_int_equal(lapic_extend_destination(0xff), 0xffffffff);
    assert_int_equal(lapic_extend_destination(0xfe), 0xfe);
    assert_int_equal(lapic_extend_destination(0), 0);
}

static void test_one_shot(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    wr(&f, LVT_TIMER, ONE_SHOT | 0x30);
    wr(&f, DIVIDE, BY_2);
    wr(&f, INITIAL, 100);
    uint64_t due = f.now + 100 * 2 * TSC_PER_TICK;
    assert_true(lapic_timer_deadline(&f.lapic) == due);
    assert_int_equal(rd(&f, CURRENT), 100);
    f.now += 50 * 2 * TSC_PER_TICK;
    assert_int_equal(rd(&f, CURRENT), 50);
    assert_false(lapic_timer_expire(&f.lapic, due - 1));
    assert_true(lapic_timer_expire(&f.lapic, due));
    lapic_sync_posted(&f.lapic);
    assert_int_equal(lapic_pending(&f.lapic), 0x30);
    assert_false(has(&f, TMR, 0x30));
    lapic_accept(&f.lapic, 0x30);
    f.now = due;
    assert_int_equal(rd(&f, CURRENT), 0);
    assert_false(lapic_timer_expire(&f.lapic, due + 1000000)); /* once */
    /* A count of 0 stops it. */
    wr(&f, INITIAL, 7);
    wr(&f, INITIAL, 0);
    assert_true(lapic_timer_deadline(&f.lapic) == UINT64_MAX);
    assert_int_equal(rd(&f, CURRENT), 0);
    stop(&f);
}

static void test_dividers(void **state)
{
    static const struct {
        uint32_t value;
        unsigned divisor;
    } cases[] = {{0, 2}, {1, 4}, {2, 8}, {3, 16}, {8, 32}, {9, 64}, {10, 128}, {11, 1}};
    struct fixture f;

    (void)state;
    start(&f);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        wr(&f, DIVIDE, cases[i].value);
        wr(&f, INITIAL, 0xffffffff);
        assert_true(lapic_timer_deadline(&f.lapic) ==
                    f.now + 0xffffffffull * cases[i].divisor * TSC_PER_TICK);
        assert_int_equal(rd(&f, CURRENT), 0xffffffff);
    }
    stop(&f);
}

static void test_periodic(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    wr(&f, LVT_TIMER, PERIODIC | 0x31);
    wr(&f, DIVIDE, BY_1);
    wr(&f, INITIAL, 1000);
    uint64_t period = 1000 * TSC_PER_TICK, due = f.now + period;
    for (unsigned i = 0; i < 3; i++) {
        assert_true(lapic_timer_deadline(&f.lapic) == due);
        assert_true(lapic_timer_expire(&f.lapic, due + 5)); /* lateness does not add up */
        due += period;
    }
    /* Kept away for ten periods: one interrupt, and the next at its proper time. */
    assert_true(lapic_timer_expire(&f.lapic, due + 10 * period + 1));
    assert_true(lapic_timer_deadline(&f.lapic) == due + 11 * period);
    /* Masked, it goes on and interrupts nobody. */
    lapic_sync_posted(&f.lapic);
    lapic_accept(&f.lapic, 0x31);
    wr(&f, LVT_TIMER, PERIODIC | MASKED | 0x31);
    assert_true(lapic_timer_expire(&f.lapic, due + 11 * period));
    lapic_sync_posted(&f.lapic);
    assert_int_equal(lapic_rvi(&f.lapic), 0);
    assert_true(lapic_timer_deadline(&f.lapic) == due + 12 * period);
    stop(&f);
}

static void test_tsc_deadline(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    lapic_write_tsc_deadline(&f.lapic, 5000); /* in another mode: ignored */
    assert_int_equal(lapic_read_tsc_deadline(&f.lapic), 0);
    assert_true(lapic_timer_deadline(&f.lapic) == UINT64_MAX);
    wr(&f, LVT_TIMER, TSC_DEADLINE | 0x32);
    lapic_write_tsc_deadline(&f.lapic, 2000000);
    assert_int_equal(lapic_read_tsc_deadline(&f.lapic), 2000000);
    assert_int_equal(rd(&f, CURRENT), 0);
    wr(&f, INITIAL, 50); /* of the other modes */
    assert_true(lapic_timer_deadline(&f.lapic) == 2000000);
    assert_false(lapic_timer_expire(&f.lapic, 1999999));
    assert_true(lapic_timer_expire(&f.lapic, 2000000));
    assert_int_equal(lapic_read_tsc_deadline(&f.lapic), 0); /* disarmed */
    lapic_sync_posted(&f.lapic);
    assert_int_equal(lapic_pending(&f.lapic), 0x32);
    lapic_write_tsc_deadline(&f.lapic, 1); /* in the past: at once */
    assert_true(lapic_timer_expire(&f.lapic, f.now));
    lapic_write_tsc_deadline(&f.lapic, 9000000);
    lapic_write_tsc_deadline(&f.lapic, 0);
    assert_true(lapic_timer_deadline(&f.lapic) == UINT64_MAX);
    /* A change of mode disarms, in both directions. */
    lapic_write_tsc_deadline(&f.lapic, 9000000);
    wr(&f, LVT_TIMER, ONE_SHOT | 0x32);
    assert_true(lapic_timer_deadline(&f.lapic) == UINT64_MAX);
    wr(&f, INITIAL, 50);
    wr(&f, LVT_TIMER, TSC_DEADLINE | 0x32);
    assert_true(lapic_timer_deadline(&f.lapic) == UINT64_MAX);
    assert_int_equal(lapic_read_tsc_deadline(&f.lapic), 0);
    stop(&f);
}

/* A timer whose vector is not one interrupts nobody. */
static void test_timer_illegal_vector(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    wr(&f, LVT_TIMER, TSC_DEADLINE | 0x0f);
    lapic_write_tsc_deadline(&f.lapic, 1);
    assert_true(lapic_timer_expire(&f.lapic, f.now));
    lapic_sync_posted(&f.lapic);
    assert_int_equal(lapic_rvi(&f.lapic), 0);
    stop(&f);
}

/* Priorities against sets of vectors. */
struct model {
    bool irr[256], isr[256], level[256];
    uint8_t tpr;
};

static int top(const bool *set)
{
    for (int v = 255; v >= 0; v--) {
        if (set[v]) {
            return v;
        }
    }
    return -1;
}

static int model_pending(const struct model *m)
{
    int irr = top(m->irr), isr = top(m->isr);

    return irr >= 0 && irr / 16 > m->tpr / 16 && (isr < 0 || irr / 16 > isr / 16) ? irr : -1;
}

static void model_step(struct fixture *f, struct model *m, struct random *random)
{
    uint8_t vector = (uint8_t)(16 + random_below(random, 240));
    int pending = model_pending(m);
    unsigned eois = f->eois;

    switch (random_below(random, 5)) {
    case 0:
    case 1: {
        bool level = random_below(random, 2) == 0;
        request(f, vector, level);
        m->irr[vector] = true;
        m->level[vector] = level;
        break;
    }
    case 2:
        if (pending >= 0) {
            lapic_accept(&f->lapic, (uint8_t)pending);
            m->irr[pending] = false;
            m->isr[pending] = true;
        }
        break;
    case 3: {
        int isr = top(m->isr);
        wr(f, EOI, 0);
        if (isr >= 0) {
            m->isr[isr] = false;
            assert_int_equal(f->eois, eois + m->level[isr]);
            assert_true(!m->level[isr] || f->eoi == isr);
        }
        break;
    }
    default:
        m->tpr = (uint8_t)(random_below(random, 4) == 0 ? random_next(random) : 0);
        wr(f, TPR, m->tpr);
        break;
    }
}

static void test_random_priorities(void **state)
{
    struct random random = {12};
    struct fixture f;
    struct model m = {.tpr = 0};
    unsigned delivered = 0;

    (void)state;
    start(&f);
    for (unsigned i = 0; i < 100000; i++) {
        model_step(&f, &m, &random);
        int isr = top(m.isr), irr = top(m.irr);
        assert_int_equal(lapic_pending(&f.lapic), model_pending(&m));
        assert_int_equal(lapic_svi(&f.lapic), isr < 0 ? 0 : isr);
        assert_int_equal(lapic_rvi(&f.lapic), irr < 0 ? 0 : irr);
        assert_int_equal(rd(&f, PPR) >> 4, isr / 16 > m.tpr / 16 ? isr / 16 : m.tpr / 16);
        delivered += model_pending(&m) >= 0;
    }
    assert_true(delivered > 1000);
    stop(&f);
}

/* Anything at all, also on a page that a guest may have written (the CPU works on it): no access
 * beyond the page, no endless timer, no message that cannot be. */
static void test_random_hostile(void **state)
{
    static const uint32_t often[] = {TPR, EOI, ICR, LVT_TIMER, INITIAL, DIVIDE, SELF_IPI};
    struct random random = {4711};
    struct fixture f;

    (void)state;
    start(&f);
    for (unsigned i = 0; i < 300000; i++) {
        uint32_t msr = random_below(&random, 2) == 0
                           ? 0x800 + random_below(&random, 256)
                           : often[random_below(&random, ARRAY_SIZE(often))];
        uint64_t value = (uint64_t)random_next(&random) << 32 | random_next(&random);
        value = random_below(&random, 4) == 0 ? 0 : value >> random_below(&random, 64);
        unsigned ipis = f.ipis;
        switch (random_below(&random, 8)) {
        case 0:
            (void)lapic_post(&f.lapic, (uint8_t)value, (value & 256) != 0);
            lapic_sync_posted(&f.lapic);
            break;
        case 1:
            lapic_write_tsc_deadline(&f.lapic, value);
            break;
        case 2:
            f.now += random_next(&random);
            if (lapic_timer_expire(&f.lapic, f.now)) {
                assert_true(lapic_timer_deadline(&f.lapic) > f.now);
            }
            break;
        case 3:
            if (lapic_pending(&f.lapic) >= 0) {
                lapic_accept(&f.lapic, (uint8_t)lapic_pending(&f.lapic));
            }
            break;
        case 4:
            f.page[random_next(&random) % PAGE_SIZE] = (uint8_t)value;
            break;
        case 5:
            (void)lapic_read_msr(&f.lapic, msr, f.now, &value);
            break;
        default:
            (void)lapic_write_msr(&f.lapic, msr, f.now, value);
            break;
        }
        if (f.ipis != ipis) {
            assert_true(f.ipi.mode < 8);
            assert_true(f.ipi.mode > 1 || f.ipi.vector >= 16);
            assert_true(f.ipi.shorthand <= LAPIC_SHORTHAND_OTHERS);
        }
    }
    assert_true(f.ipis > 100 && f.eois > 100);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset_state),       cmocka_unit_test(test_reset_forgets),
        cmocka_unit_test(test_which_registers),   cmocka_unit_test(test_reserved_bits),
        cmocka_unit_test(test_delivery),          cmocka_unit_test(test_trigger_mode_changes),
        cmocka_unit_test(test_task_priority),     cmocka_unit_test(test_ipis),
        cmocka_unit_test(test_destinations),      cmocka_unit_test(test_one_shot),
        cmocka_unit_test(test_dividers),          cmocka_unit_test(test_periodic),
        cmocka_unit_test(test_tsc_deadline),      cmocka_unit_test(test_timer_illegal_vector),
        cmocka_unit_test(test_random_priorities), cmocka_unit_test(test_random_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
