/* SPDX-License-Identifier: BSD-2-Clause */
/* The local APIC's register page, on the model behind it. */
#include "arch/x86/defs/msr.h"
#include "machine/xapic.h"
#include "tests/unit/lapic_fixture.h"

#define BASE (0xfee00000ull | APIC_BASE_BSP)
#define OFF  BASE
#define ON   (BASE | APIC_BASE_ENABLE)
#define X2   (BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC)

static uint32_t get(struct fixture *f, uint32_t offset)
{
    return xapic_read(&f->lapic, offset, 4, f->now);
}

static void set(struct fixture *f, uint32_t offset, uint32_t value)
{
    xapic_write(&f->lapic, offset, 4, value, f->now);
}

static void test_registers(void **state)
{
    struct fixture f;

    (void)state;
    start_as(&f, 3);
    assert_int_equal(get(&f, 0x20), 3u << 24);
    assert_int_equal(get(&f, 0x30), rd(&f, VERSION));
    assert_int_equal(get(&f, 0xd0), 0);
    assert_int_equal(get(&f, 0xe0), 0xffffffff);
    set(&f, 0x80, 0x70);
    assert_int_equal(get(&f, 0x80), 0x70);
    assert_int_equal(rd(&f, TPR), 0x70);
    set(&f, 0x20, 0); /* the id is fixed */
    assert_int_equal(get(&f, 0x20), 3u << 24);
    stop(&f);
}

static void test_odd_accesses(void **state)
{
    static const struct {
        uint32_t offset;
        unsigned size;
    } odd[] = {{0x80, 1}, {0x80, 2}, {0x80, 8}, {0x84, 4}, {0x81, 4}, {0x3f0, 4}, {0xfff, 4}};
    struct fixture f;

    (void)state;
    start(&f);
    for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
        assert_int_equal(xapic_read(&f.lapic, odd[i].offset, odd[i].size, f.now), 0xffffffff);
        xapic_write(&f.lapic, odd[i].offset, odd[i].size, 0x40, f.now);
    }
    assert_int_equal(rd(&f, TPR), 0);
    assert_int_equal(f.ipis, 0);
    /* Every register, none of which may do harm. */
    for (uint32_t offset = 0; offset < PAGE_SIZE; offset += 16) {
        (void)get(&f, offset);
        set(&f, offset, 0xffffffff);
    }
    stop(&f);
}

static void test_icr(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    set(&f, 0x310, 5u << 24);
    assert_int_equal(get(&f, 0x310), 5u << 24);
    assert_int_equal(f.ipis, 0);
    set(&f, 0x300, 0x5041); /* with the read-only busy bit */
    assert_int_equal(f.ipis, 1);
    assert_true(f.ipi.destination == 5 && f.ipi.vector == 0x41 && !f.ipi.logical);
    assert_int_equal(get(&f, 0x300) & (1 << 12), 0); /* it is always sent at once */
    set(&f, 0x310, 0xffu << 24);
    set(&f, 0x300, 0x4041);
    assert_int_equal(f.ipi.destination, 0xffffffff); /* the broadcast of 8 bits */
    stop(&f);
}

static void test_logical_destinations(void **state)
{
    struct fixture f;

    (void)state;
    start_as(&f, 1);
    lapic_set_mode(&f.lapic, LAPIC_XAPIC);
    assert_false(lapic_target_matches(&f.lapic, 0x02, true)); /* not before LDR is set */
    assert_true(lapic_target_matches(&f.lapic, 1, false));
    assert_true(lapic_target_matches(&f.lapic, 0xffffffff, true));
    /* Flat: a bit for each. */
    set(&f, 0xd0, 0x24ffffff);
    assert_int_equal(get(&f, 0xd0), 0x24000000);
    assert_true(lapic_target_matches(&f.lapic, 0x04, true));
    assert_true(lapic_target_matches(&f.lapic, 0xa5, true));
    assert_false(lapic_target_matches(&f.lapic, 0xdb, true));
    assert_false(lapic_target_matches(&f.lapic, 0x10024, true)); /* no 8-bit one */
    /* Clusters: number and bits. */
    set(&f, 0xe0, 0);
    assert_int_equal(get(&f, 0xe0), 0x0fffffff);
    assert_true(lapic_target_matches(&f.lapic, 0x24, true));
    assert_true(lapic_target_matches(&f.lapic, 0x2f, true));
    assert_true(lapic_target_matches(&f.lapic, 0xf4, true)); /* in all clusters */
    assert_false(lapic_target_matches(&f.lapic, 0x14, true));
    assert_false(lapic_target_matches(&f.lapic, 0x2b, true));
    lapic_reset(&f.lapic, LAPIC_XAPIC);
    assert_int_equal(get(&f, 0xd0), 0);
    assert_int_equal(get(&f, 0xe0), 0xffffffff);
    assert_int_equal(lapic_mode(&f.lapic), LAPIC_XAPIC);
    /* The MSR of x2APIC mode has another LDR. */
    set(&f, 0xd0, 0x24000000);
    assert_int_equal(rd(&f, LDR), 0x2);
    stop(&f);
}

static void test_eoi(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    request(&f, 0x51, true);
    lapic_accept(&f.lapic, 0x51);
    assert_true(get(&f, 0x120) == 1u << 17);
    set(&f, 0xb0, 0x1234); /* any value */
    assert_int_equal(get(&f, 0x120), 0);
    assert_int_equal(f.eoi, 0x51);
    stop(&f);
}

static void test_modes(void **state)
{
    static const struct {
        uint64_t old, new;
        bool valid;
    } cases[] = {
        {OFF, OFF, true},
        {OFF, ON, true},
        {OFF, X2, false},
        {ON, OFF, true},
        {ON, ON, true},
        {ON, X2, true},
        {X2, OFF, true},
        {X2, ON, false},
        {X2, X2, true},
        {X2, OFF | APIC_BASE_X2APIC, false},
        {OFF, OFF | APIC_BASE_X2APIC, false},
        {ON, ON + PAGE_SIZE, false},
        {ON, ON & ~APIC_BASE_BSP, false},
        {ON, ON | 1ull << 63, false},
    };

    (void)state;
    assert_int_equal(xapic_base_mode(OFF), LAPIC_OFF);
    assert_int_equal(xapic_base_mode(ON), LAPIC_XAPIC);
    assert_int_equal(xapic_base_mode(X2), LAPIC_X2APIC);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(xapic_base_is_valid(cases[i].old, cases[i].new), cases[i].valid);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers), cmocka_unit_test(test_odd_accesses),
        cmocka_unit_test(test_icr),       cmocka_unit_test(test_eoi),
        cmocka_unit_test(test_modes),     cmocka_unit_test(test_logical_destinations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
