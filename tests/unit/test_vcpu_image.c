/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/defs/msr.h"
#include "arch/x86/defs/registers.h"
#include "arch/x86/defs/vmcs.h"
#include "core/vcpu_image.h"
#include "lib/bits.h"
#include "lib/types.h"

#define XSAVE_SIZE 832u
#define TSC_AHEAD  1000u

static const struct vcpu_image_limits limits = {
    .id = 0,
    .kernel = GUEST_KERNEL_LINUX,
    .cr4_hidden = CR4_VMXE | CR4_SMXE,
    .xcr0_allowed = 0xe7,
};

/* One that is good. */
static struct vcpu_image good(void)
{
    struct vcpu_image image = {.cr0 = CR0_PE | CR0_PG, .cr4 = CR4_PAE, .xcr0 = 7};

    image.state = VCPU_IMAGE_RUNNABLE;
    image.lapic.mode = LAPIC_X2APIC;
    image.lapic.deadline = UINT64_MAX;
    msr_state_reset(&image.msrs, true, false);
    return image;
}

static const char *judge(const struct vcpu_image *image)
{
    static char error[SNAPSHOT_ERROR_SIZE];

    return vcpu_image_is_valid(image, &limits, error) ? "good" : error;
}

#define expect(member, value, why)                      \
    do {                                                \
        struct vcpu_image changed_ = good();            \
        changed_.member = (value);                      \
        assert_non_null(strstr(judge(&changed_), why)); \
    } while (0)

static void good_ones_pass(void **state)
{
    const struct vcpu_image image = good();

    (void)state;
    assert_string_equal(judge(&image), "good");
    expect(xcr0, 1, "good");
    expect(xcr0, 0xe7, "good");
    expect(lstar, 0xffff800000000000ull, "good");
    expect(lstar, 0x00007fffffffffffull, "good");
    expect(event, EVENT_VALID | EVENT_TYPE_NMI | EXCEPTION_NMI, "good");
    expect(event, EVENT_VALID | EVENT_TYPE_EXTERNAL | 0xff, "good");
    expect(event, EVENT_VALID | EVENT_TYPE_EXCEPTION | EVENT_ERROR_CODE | EXCEPTION_PF, "good");
    expect(state, VCPU_IMAGE_HALTED, "good");
    expect(lapic.lvts[0], 0x400ff, "good");
    expect(msrs.misc_enable, good().msrs.misc_enable ^ 1, "good");
}

static void what_the_hypervisor_would_fault_on_is_refused(void **state)
{
    (void)state;
    expect(lstar, 0x0000800000000000ull, "MSRs");
    expect(cstar, BIT(63), "MSRs");
    expect(kernel_gs_base, 0xffff7fffffffffffull, "MSRs");
    expect(fmask, BIT(32), "MSRs");
    expect(tsc_aux, BIT(32), "MSRs");
    expect(dr6, BIT(32), "debug registers");
    expect(xcr0, 0, "XCR0");
    expect(xcr0, 5, "XCR0");
    expect(xcr0, 0x27, "XCR0");
    expect(xcr0, 0xe3, "XCR0");
    expect(xcr0, BIT(9) | 7, "XCR0");
    expect(xcr0, BIT(63) | 7, "XCR0");
}

static void what_no_guest_may_have_is_refused(void **state)
{
    (void)state;
    expect(cr0, BIT(32), "CR0");
    expect(cr4, CR4_VMXE, "CR4");
    expect(cr4, BIT(32), "CR4");
    expect(state, VCPU_IMAGE_HALTED + 1, "state");
    expect(interruptibility, BIT32(2), "state");
    expect(nmis_pending, 3, "state");
    expect(event, EVENT_TYPE_NMI | EXCEPTION_NMI, "event");
    expect(event, EVENT_VALID | EVENT_TYPE_NMI | 3, "event");
    expect(event, EVENT_VALID | (7u << 8), "event");
    expect(event, EVENT_VALID | (1u << 8), "event");
    expect(event, EVENT_VALID | EVENT_TYPE_EXCEPTION | 32, "event");
    expect(event, EVENT_VALID | BIT32(12), "event");
    expect(msrs.apic_base, APIC_BASE_ENABLE | APIC_BASE_X2APIC, "emulated MSRs");
    expect(msrs.misc_enable, BIT(63), "emulated MSRs");
    expect(msrs.mtrr_def_type, BIT(12), "emulated MSRs");
    expect(msrs.tsc_adjust, 1, "emulated MSRs");
}

static void what_no_apic_can_be_is_refused(void **state)
{
    (void)state;
    expect(lapic.mode, LAPIC_XAPIC, "local APIC");
    expect(lapic.mode, 3, "local APIC");
    expect(msrs.apic_base, good().msrs.apic_base & ~APIC_BASE_ENABLE, "local APIC");
    expect(msrs.apic_base, good().msrs.apic_base & ~APIC_BASE_X2APIC, "local APIC");
    expect(lapic.tpr, 0x100, "local APIC");
    expect(lapic.svr, BIT32(10), "local APIC");
    expect(lapic.icr, BIT32(31), "local APIC");
    expect(lapic.divide, 4, "local APIC");
    expect(lapic.lvts[0], BIT32(31), "local APIC");
    expect(lapic.lvts[5], BIT32(10), "local APIC");
    expect(lapic.isr[0], 1, "local APIC");
    expect(lapic.irr[0], BIT32(15), "local APIC");
}

/* A multiboot kernel may have its APIC in any mode that there is. */
static void kernels_differ(void **state)
{
    struct vcpu_image_limits multiboot = limits;
    struct vcpu_image image = good();
    char error[SNAPSHOT_ERROR_SIZE];

    (void)state;
    multiboot.kernel = GUEST_KERNEL_MULTIBOOT;
    image.msrs.apic_base &= ~APIC_BASE_X2APIC;
    image.lapic.mode = LAPIC_XAPIC;
    assert_true(vcpu_image_is_valid(&image, &multiboot, error));
    image.msrs.apic_base &= ~APIC_BASE_ENABLE;
    assert_false(vcpu_image_is_valid(&image, &multiboot, error));
    image.lapic.mode = LAPIC_OFF;
    assert_true(vcpu_image_is_valid(&image, &multiboot, error));
    image.msrs.apic_base |= APIC_BASE_X2APIC;
    assert_false(vcpu_image_is_valid(&image, &multiboot, error));
}

static bool area_is_valid(size_t offset, uint8_t value)
{
    char error[SNAPSHOT_ERROR_SIZE];
    uint8_t area[XSAVE_SIZE] = {0};

    area[offset] = value;
    return vcpu_xsave_is_valid(area, sizeof(area), &limits, error);
}

static void areas_that_fault_are_refused(void **state)
{
    char error[SNAPSHOT_ERROR_SIZE];
    uint8_t area[XSAVE_SIZE] = {0};

    (void)state;
    assert_true(area_is_valid(0, 0xff));
    assert_true(area_is_valid(512, 7));
    assert_true(area_is_valid(600, 0xff));
    assert_true(area_is_valid(24, 0x80));
    assert_false(area_is_valid(26, 1));  /* MXCSR */
    assert_false(area_is_valid(513, 2)); /* PKRU: no guest has it */
    assert_false(area_is_valid(519, 128));
    assert_false(area_is_valid(527, 128)); /* the compacted format */
    assert_false(area_is_valid(528, 1));
    assert_false(area_is_valid(575, 1));
    assert_false(vcpu_xsave_is_valid(area, 575, &limits, error));
}

/* A local APIC that is saved and loaded behaves as the first one. */
static void apics_go_over(void **state)
{
    static const struct lapic_ops ops = {0};
    static uint8_t pages[2][PAGE_SIZE];
    struct lapic one = {.page = pages[0]}, other = {.page = pages[1]};
    struct lapic_image image, again;

    (void)state;
    lapic_init(&one, &ops, NULL, 0, 2);
    lapic_init(&other, &ops, NULL, 0, 2);
    lapic_reset(&one, LAPIC_X2APIC);
    lapic_reset(&other, LAPIC_X2APIC);
    /* A periodic timer of 100 counts, divided by 2, vector 0x40. */
    assert_true(lapic_write_msr(&one, MSR_X2APIC_LVT_TIMER, 0, 0x20040));
    assert_true(lapic_write_msr(&one, 0x838, 50, 100));
    assert_true(lapic_post(&one, 0x31, false));
    assert_true(lapic_post(&one, 0x52, true));
    lapic_save(&one, TSC_AHEAD, &image);
    assert_true(lapic_image_is_valid(&image));
    assert_int_equal(image.deadline, 50 + 400 + TSC_AHEAD);
    lapic_load(&other, TSC_AHEAD + 7, &image);
    assert_int_equal(lapic_timer_deadline(&other), 443);
    assert_int_equal(lapic_pending(&other), 0x52);
    assert_int_equal(lapic_level_triggered(&other, 1), BIT(0x52 - 64));
    assert_true(lapic_timer_expire(&other, 443));
    assert_int_equal(lapic_timer_deadline(&other), 843);
    lapic_load(&other, TSC_AHEAD, &image);
    lapic_save(&other, TSC_AHEAD, &again);
    /* The timer's vector is there besides. */
    assert_int_equal(again.irr[2], image.irr[2] | 1);
    again.irr[2] = image.irr[2];
    assert_memory_equal(&again, &image, sizeof(image));
    /* Its timer stands still, and goes on 1000 ticks later with what was left of its time. */
    assert_int_equal(lapic_hold_timer(&other, TSC_AHEAD), image.deadline);
    assert_false(lapic_timer_expire(&other, 5000));
    lapic_save(&other, TSC_AHEAD, &again);
    assert_int_equal(again.deadline, UINT64_MAX);
    lapic_release_timer(&other, TSC_AHEAD - 1000, image.deadline);
    assert_int_equal(lapic_timer_deadline(&other), 1450);
    lapic_release_timer(&other, TSC_AHEAD, lapic_hold_timer(&one, TSC_AHEAD));
    assert_int_equal(lapic_timer_deadline(&other), 450);
    assert_int_equal(lapic_hold_timer(&one, TSC_AHEAD), UINT64_MAX);
    lapic_release_timer(&one, TSC_AHEAD, UINT64_MAX);
    assert_int_equal(lapic_timer_deadline(&one), UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones_pass),
        cmocka_unit_test(what_the_hypervisor_would_fault_on_is_refused),
        cmocka_unit_test(what_no_guest_may_have_is_refused),
        cmocka_unit_test(what_no_apic_can_be_is_refused),
        cmocka_unit_test(kernels_differ),
        cmocka_unit_test(areas_that_fault_are_refused),
        cmocka_unit_test(apics_go_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
