/* SPDX-License-Identifier: BSD-2-Clause */
/* The MSR policy over every register that a bitmap covers: each is passed, emulated, the local
 * APIC's, or #GP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/defs/msr.h"
#include "lib/bits.h"
#include "machine/lapic.h"
#include "machine/msr_policy.h"
#include "tests/unit/random.h"

/* The bitmap in a heap block of its exact size. */
static uint8_t *fill(bool virtual_x2apic, bool tsc_aux)
{
    uint8_t *bitmap = malloc(MSR_BITMAP_SIZE);

    assert_non_null(bitmap);
    memset(bitmap, 0x5a, MSR_BITMAP_SIZE);
    msr_policy_fill_bitmap(bitmap, virtual_x2apic, tsc_aux);
    return bitmap;
}

/* As the SDM lays it out: low reads, high reads, low writes, high writes, 1 KiB each. */
static bool exits(const uint8_t *bitmap, uint32_t msr, bool write)
{
    uint32_t offset = (write ? 2048u : 0) + (msr >= 0xc0000000 ? 1024u : 0);

    return (bitmap[offset + (msr & 0x1fff) / 8] >> (msr & 7) & 1) != 0;
}

/* All registers that a bitmap can name. */
#define FOR_EACH_MSR(msr) \
    for (uint32_t msr = 0; msr != 0xc0002000u; msr = msr == 0x1fffu ? 0xc0000000u : msr + 1)

/* What is passed to the guest: switched by the VMCS or with the vCPU. */
static bool may_pass(uint32_t msr, bool write, bool tsc_aux)
{
    static const uint32_t switched[] = {
        MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP, MSR_IA32_PAT,
        MSR_IA32_EFER,        MSR_IA32_STAR,         MSR_IA32_LSTAR,        MSR_IA32_CSTAR,
        MSR_IA32_FMASK,       MSR_IA32_FS_BASE,      MSR_IA32_GS_BASE,      MSR_IA32_KERNEL_GS_BASE,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(switched); i++) {
        if (msr == switched[i]) {
            return true;
        }
    }
    return (msr == MSR_IA32_TSC && !write) || (msr == MSR_IA32_TSC_AUX && tsc_aux);
}

static void test_bitmap_passes_only_these(void **state)
{
    (void)state;
    for (unsigned tsc_aux = 0; tsc_aux < 2; tsc_aux++) {
        uint8_t *bitmap = fill(false, tsc_aux);
        FOR_EACH_MSR(msr)
        {
            assert_int_equal(exits(bitmap, msr, false), !may_pass(msr, false, tsc_aux));
            assert_int_equal(exits(bitmap, msr, true), !may_pass(msr, true, tsc_aux));
        }
        free(bitmap);
    }
}

/* What passes has no second, emulated meaning. */
static void test_bitmap_agrees(void **state)
{
    struct msr_state msrs;
    uint64_t value = 0;

    (void)state;
    msr_state_reset(&msrs, true, false);
    for (unsigned virtual_x2apic = 0; virtual_x2apic < 2; virtual_x2apic++) {
        uint8_t *bitmap = fill(virtual_x2apic, true);
        FOR_EACH_MSR(msr)
        {
            if (!exits(bitmap, msr, false)) {
                assert_false(msr_emulate_read(&msrs, msr, &value));
            }
            if (!exits(bitmap, msr, true)) {
                assert_false(msr_emulate_write(&msrs, msr, 0));
            }
        }
        free(bitmap);
    }
}

/* A vCPU that has its CPU's timer to itself: one more register, in both directions. */
static void test_own_timer(void **state)
{
    uint8_t *bitmap = fill(false, false), *plain = fill(false, false);

    (void)state;
    msr_policy_pass_timer(bitmap);
    FOR_EACH_MSR(msr)
    {
        bool timer = msr == MSR_IA32_TSC_DEADLINE;
        assert_int_equal(exits(bitmap, msr, false), exits(plain, msr, false) && !timer);
        assert_int_equal(exits(bitmap, msr, true), exits(plain, msr, true) && !timer);
    }
    free(bitmap);
    free(plain);
}

static void no_ipi(void *context, const struct lapic_ipi *ipi)
{
    (void)context;
    (void)ipi;
}

static void no_eoi(void *context, uint8_t vector)
{
    (void)context;
    (void)vector;
}

/* With a virtual APIC the CPU reads what the model would, from the page, and no more; it writes
 * those that SDM "Virtualizing MSR-Based APIC Accesses" names. */
static void test_virtual_x2apic(void **state)
{
    static const struct lapic_ops ops = {no_ipi, no_eoi};
    struct lapic lapic = {.page = aligned_alloc(PAGE_SIZE, PAGE_SIZE)};
    uint8_t *bitmap = fill(true, true), *plain = fill(false, true);

    (void)state;
    assert_non_null(lapic.page);
    lapic_init(&lapic, &ops, NULL, 0, 1);
    lapic_reset(&lapic, LAPIC_X2APIC);
    FOR_EACH_MSR(msr)
    {
        uint64_t value = 0;
        if (msr < 0x800 || msr > 0x8ff) {
            assert_int_equal(exits(bitmap, msr, false), exits(plain, msr, false));
            assert_int_equal(exits(bitmap, msr, true), exits(plain, msr, true));
            continue;
        }
        bool readable = lapic_read_msr(&lapic, msr, 0, &value);
        bool counts = msr == MSR_X2APIC_CURRENT_COUNT; /* not in the page */
        assert_int_equal(exits(bitmap, msr, false), !readable || counts);
        assert_int_equal(exits(bitmap, msr, true), msr != MSR_X2APIC_TPR && msr != MSR_X2APIC_EOI &&
                                                       msr != MSR_X2APIC_SELF_IPI);
    }
    free(lapic.page);
    free(bitmap);
    free(plain);
}

/* These are not the table's: the vCPU's own code answers. */
static void test_others(void **state)
{
    static const uint32_t others[] = {MSR_IA32_TSC_DEADLINE, MSR_IA32_XSS, MSR_X2APIC_FIRST,
                                      MSR_X2APIC_ICR, MSR_X2APIC_LAST};
    struct msr_state msrs;
    uint64_t value = 0;

    (void)state;
    msr_state_reset(&msrs, true, false);
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
        assert_false(msr_emulate_read(&msrs, others[i], &value));
        assert_false(msr_emulate_write(&msrs, others[i], 0));
    }
}

static void test_unknown(void **state)
{
    static const uint32_t unknown[] = {0,          1,          0x48 /* SPEC_CTRL */,
                                       0x49,       0x10a,      0xc1 /* PMC0 */,
                                       0x186,      0x198,      0x1b0 /* EPB */,
                                       0x200,      0x250,      0x26f,
                                       0x345,      0x38f,      0x480 /* VMX */,
                                       0x48b,      0x491,      0x570 /* PT */,
                                       0x64b,      0x7ff,      0x900,
                                       0xd90,      0x1fff,     0x2000,
                                       0x40000000, 0x4b564d00, 0xc0000000,
                                       0xc0000085, 0xc0000104, 0xc0010015,
                                       0xc0002000, 0xffffffff};
    struct msr_state msrs;
    uint64_t value = 0;

    (void)state;
    msr_state_reset(&msrs, true, false);
    for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++) {
        assert_false(msr_emulate_read(&msrs, unknown[i], &value));
        assert_false(msr_emulate_write(&msrs, unknown[i], 0));
    }
}

static uint64_t rd(const struct msr_state *msrs, uint32_t msr)
{
    uint64_t value = 0xdead;

    assert_true(msr_emulate_read(msrs, msr, &value));
    return value;
}

static void test_values(void **state)
{
    struct msr_state msrs;

    (void)state;
    msr_state_reset(&msrs, true, false);
    assert_int_equal(rd(&msrs, MSR_IA32_APIC_BASE), 0xfee00000 | BIT(11) | BIT(10) | BIT(8));
    assert_int_equal(rd(&msrs, MSR_IA32_FEATURE_CONTROL), 1); /* locked, VMX off */
    assert_int_equal(rd(&msrs, MSR_IA32_MTRRCAP), 0);
    assert_int_equal(rd(&msrs, MSR_IA32_MTRR_DEF_TYPE), BIT(11) | 6);
    assert_int_equal(rd(&msrs, MSR_IA32_MCG_CAP), 0);
    assert_int_equal(rd(&msrs, MSR_IA32_TSC_ADJUST), 0);
    assert_int_equal(rd(&msrs, MSR_IA32_MISC_ENABLE), BIT(0) | BIT(11) | BIT(12));
    assert_true(rd(&msrs, MSR_IA32_BIOS_SIGN_ID) >> 32 != 0);
    msr_state_reset(&msrs, true, true);
    assert_int_equal(rd(&msrs, MSR_IA32_MISC_ENABLE), BIT(0) | BIT(11) | BIT(12) | BIT(18));
    msr_state_reset(&msrs, false, false);
    assert_int_equal(rd(&msrs, MSR_IA32_APIC_BASE), 0xfee00000 | BIT(11) | BIT(10));
}

static void test_writes(void **state)
{
    struct msr_state msrs;

    (void)state;
    msr_state_reset(&msrs, true, false);
    /* The APIC stays as it is: its own value may be written, no other. */
    uint64_t base = rd(&msrs, MSR_IA32_APIC_BASE);
    assert_true(msr_emulate_write(&msrs, MSR_IA32_APIC_BASE, base));
    for (unsigned bit = 0; bit < 64; bit++) {
        assert_false(msr_emulate_write(&msrs, MSR_IA32_APIC_BASE, base ^ BIT(bit)));
    }
    assert_int_equal(rd(&msrs, MSR_IA32_APIC_BASE), base);
    assert_true(msr_emulate_write(&msrs, MSR_IA32_TSC_ADJUST, 0));
    assert_false(msr_emulate_write(&msrs, MSR_IA32_TSC_ADJUST, 1));
    assert_true(msr_emulate_write(&msrs, MSR_IA32_MISC_ENABLE, BIT(11) | BIT(12)));
    assert_int_equal(rd(&msrs, MSR_IA32_MISC_ENABLE), BIT(11) | BIT(12));
    /* Switches that the guest has not: neither #GP nor a change. */
    assert_true(msr_emulate_write(&msrs, MSR_IA32_MISC_ENABLE, 0x400c51889));
    assert_int_equal(rd(&msrs, MSR_IA32_MISC_ENABLE), BIT(0) | BIT(11) | BIT(12));
    assert_true(msr_emulate_write(&msrs, MSR_IA32_MTRR_DEF_TYPE, 0));
    assert_int_equal(rd(&msrs, MSR_IA32_MTRR_DEF_TYPE), 0);
    assert_false(msr_emulate_write(&msrs, MSR_IA32_MTRR_DEF_TYPE, BIT(9)));
    assert_false(msr_emulate_write(&msrs, MSR_IA32_FEATURE_CONTROL, 5));
    assert_false(msr_emulate_write(&msrs, MSR_IA32_MTRRCAP, 0));
    /* Taken and forgotten. */
    assert_true(msr_emulate_write(&msrs, MSR_IA32_TSC, 12345));
    assert_true(msr_emulate_write(&msrs, MSR_IA32_BIOS_SIGN_ID, 0));
    assert_true(rd(&msrs, MSR_IA32_BIOS_SIGN_ID) != 0);
}

static void test_random_writes(void **state)
{
    struct random random = {0xc0000080};
    struct {
        uint64_t before;
        struct msr_state msrs;
        uint64_t after;
    } guarded = {.before = 1, .after = 2};

    (void)state;
    msr_state_reset(&guarded.msrs, true, false);
    for (unsigned i = 0; i < 300000; i++) {
        uint32_t msr = random_below(&random, 0x2000) | (random_below(&random, 2) ? 0xc0000000 : 0);
        uint64_t value = (uint64_t)random_next(&random) << 32 | random_next(&random);
        value &= ~0ull >> random_below(&random, 64);
        (void)msr_emulate_write(&guarded.msrs, msr, value);
        (void)msr_emulate_read(&guarded.msrs, msr, &value);
    }
    assert_int_equal(guarded.before, 1);
    assert_int_equal(guarded.after, 2);
    assert_int_equal(guarded.msrs.apic_base & 0xfff, BIT(11) | BIT(10) | BIT(8));
    assert_int_equal(guarded.msrs.tsc_adjust, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bitmap_passes_only_these),
        cmocka_unit_test(test_bitmap_agrees),
        cmocka_unit_test(test_own_timer),
        cmocka_unit_test(test_virtual_x2apic),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_writes),
        cmocka_unit_test(test_random_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
