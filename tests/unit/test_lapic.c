/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/lapic_fixture.h"

static void refuses_write(struct fixture *f, uint32_t msr, uint64_t value)
{
    assert_false(lapic_write_msr(&f->lapic, msr, f->now, value));
}

static void refuses_read(struct fixture *f, uint32_t msr)
{
    uint64_t value = 0;

    assert_false(lapic_read_msr(&f->lapic, msr, f->now, &value));
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
    lapic_reset(&f.lapic, LAPIC_X2APIC);
    lapic_sync_posted(&f.lapic);
    assert_int_equal(lapic_pending(&f.lapic), -1);
    assert_int_equal(lapic_rvi(&f.lapic) | lapic_svi(&f.lapic), 0);
    assert_true(lapic_timer_deadline(&f.lapic) == UINT64_MAX);
    assert_int_equal(rd(&f, TPR), 0);
    /* The trigger mode of what was on its way is forgotten, too. */
    request(&f, 0x77, false);
    assert_false(has(&f, TMR, 0x77));
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
    /* Vectors below 16 do not exist: no message, an error bit, which a write to ESR shows. */
    wr(&f, ICR, 5ull << 32 | 0x0f);
    wr(&f, SELF_IPI, 0);
    assert_int_equal(f.ipis, 5);
    assert_int_equal(rd(&f, ESR), 0);
    wr(&f, ESR, 0);
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
    /* Off, it hears nothing. */
    lapic_set_mode(&f.lapic, LAPIC_OFF);
    assert_false(lapic_target_matches(&f.lapic, 0x12, false));
    assert_false(lapic_target_matches(&f.lapic, 0xffffffff, false));
    stop(&f);
    assert_int_equal(lapic_extend_destination(0xff), 0xffffffff);
    assert_int_equal(lapic_extend_destination(0xfe), 0xfe);
    assert_int_equal(lapic_extend_destination(0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset_state),     cmocka_unit_test(test_reset_forgets),
        cmocka_unit_test(test_which_registers), cmocka_unit_test(test_reserved_bits),
        cmocka_unit_test(test_delivery),        cmocka_unit_test(test_trigger_mode_changes),
        cmocka_unit_test(test_task_priority),   cmocka_unit_test(test_ipis),
        cmocka_unit_test(test_destinations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
