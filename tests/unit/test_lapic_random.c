/* SPDX-License-Identifier: BSD-2-Clause */
/* A local APIC beside a model of its priorities, and under hostile accesses. */
#include "tests/unit/lapic_fixture.h"
#include "tests/unit/random.h"

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
        cmocka_unit_test(test_random_priorities),
        cmocka_unit_test(test_random_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
