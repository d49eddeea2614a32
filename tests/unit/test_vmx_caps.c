/* SPDX-License-Identifier: BSD-2-Clause */
/* The capability logic over made-up CPUs: each required and each wanted control taken away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/defs/msr.h"
#include "arch/x86/defs/vmx_controls.h"
#include "arch/x86/vmx_caps.h"
#include "lib/bits.h"
#include "lib/string.h"
#include "tests/unit/random.h"

#define REPORT_SIZE 16384u
#define ALL         (~0ull << 32) /* a control word that allows everything and demands nothing */

struct report {
    char text[REPORT_SIZE];
    size_t size;
};

static void take(void *context, const char *bytes, size_t size)
{
    struct report *report = context;

    assert_true(report->size + size < REPORT_SIZE);
    memcpy(report->text + report->size, bytes, size);
    report->size += size;
    report->text[report->size] = '\0';
}

static void make_report(const struct vmx_raw *raw, bool only_missing, struct report *report)
{
    report->size = 0;
    report->text[0] = '\0';
    vmx_caps_report(raw, only_missing, take, report);
}

static unsigned count_lines(const char *text)
{
    unsigned lines = 0;

    for (; *text != '\0'; text++) {
        lines += *text == '\n';
    }
    return lines;
}

/* A CPU with everything. */
static struct vmx_raw whole(void)
{
    return (struct vmx_raw){
        .intel_vmx = true,
        .x2apic = true,
        .tsc_deadline = true,
        .xsave = true,
        .feature_control = FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX_OUTSIDE,
        .misc = 5,
        .ept_vpid = ~0ull,
        .vmfunc = ~0ull,
        .pin = ALL,
        .proc = ALL,
        .proc2 = ALL,
        .exit = ALL,
        .entry = ALL,
    };
}

static uint64_t *word(struct vmx_raw *raw, size_t offset)
{
    return (uint64_t *)(void *)((char *)raw + offset);
}

#define PIN        offsetof(struct vmx_raw, pin)
#define PROC       offsetof(struct vmx_raw, proc)
#define PROC2      offsetof(struct vmx_raw, proc2)
#define EXIT       offsetof(struct vmx_raw, exit)
#define ENTRY      offsetof(struct vmx_raw, entry)
#define EPT        offsetof(struct vmx_raw, ept_vpid)
#define HIGH(bits) ((uint64_t)(bits) << 32)

/* One bit of a capability word each, and the name in the report that must tell of its absence. */
struct need {
    size_t word;
    uint64_t bit;
    const char *name;
};

/* Required, but on only at times, or only without a virtual APIC. */
#define NOT_AT_START HIGH(PROC_CR8_LOAD_EXITING | PROC_CR8_STORE_EXITING | PROC_NMI_WINDOW_EXITING)

static const struct need required[] = {
    {PIN, HIGH(PIN_EXTERNAL_INTERRUPT_EXITING), "external-interrupt exiting"},
    {PIN, HIGH(PIN_NMI_EXITING), "NMI exiting"},
    {PIN, HIGH(PIN_PREEMPTION_TIMER), "preemption timer"},
    {PIN, HIGH(PIN_VIRTUAL_NMIS), "virtual NMIs"},
    {PROC, HIGH(PROC_CR8_LOAD_EXITING), "CR8 exiting"},
    {PROC, HIGH(PROC_CR8_STORE_EXITING), "CR8 exiting"},
    {PROC, HIGH(PROC_NMI_WINDOW_EXITING), "NMI-window exiting"},
    {PROC, HIGH(PROC_TSC_OFFSETTING), "TSC offsetting"},
    {PROC, HIGH(PROC_HLT_EXITING), "HLT exiting"},
    {PROC, HIGH(PROC_RDPMC_EXITING), "RDPMC exiting"},
    {PROC, HIGH(PROC_MWAIT_EXITING), "MONITOR and MWAIT exiting"},
    {PROC, HIGH(PROC_MONITOR_EXITING), "MONITOR and MWAIT exiting"},
    {PROC, HIGH(PROC_UNCONDITIONAL_IO_EXITING), "unconditional I/O exiting"},
    {PROC, HIGH(PROC_MSR_BITMAPS), "MSR bitmaps"},
    {PROC, HIGH(PROC_SECONDARY_CONTROLS), "secondary controls"},
    {PROC2, HIGH(PROC2_EPT), "EPT"},
    {PROC2, HIGH(PROC2_UNRESTRICTED_GUEST), "unrestricted guest"},
    {EXIT, HIGH(EXIT_HOST_64BIT), "64-bit host"},
    {EXIT, HIGH(EXIT_ACKNOWLEDGE_INTERRUPT), "acknowledge interrupt on exit"},
    {EXIT, HIGH(EXIT_SAVE_EFER), "save and load EFER on exit"},
    {EXIT, HIGH(EXIT_LOAD_EFER), "save and load EFER on exit"},
    {EXIT, HIGH(EXIT_SAVE_PAT), "save and load PAT on exit"},
    {EXIT, HIGH(EXIT_LOAD_PAT), "save and load PAT on exit"},
    {ENTRY, HIGH(ENTRY_LOAD_EFER), "load EFER on entry"},
    {ENTRY, HIGH(ENTRY_LOAD_PAT), "load PAT on entry"},
    {EPT, EPT_CAP_WALK_4, "EPT 4-level walk"},
    {EPT, EPT_CAP_WRITE_BACK, "EPT write-back"},
    {EPT, EPT_CAP_2M, "EPT 2 MiB pages"},
    {EPT, EPT_CAP_INVEPT, "INVEPT"},
    {EPT, EPT_CAP_INVEPT_SINGLE, "INVEPT"},
    {EPT, EPT_CAP_INVEPT_ALL, "INVEPT"},
};

/* The lines "name TAB required TAB missing TAB what to do", nothing else. */
static void expect_only_missing(const struct vmx_raw *raw, const char *name)
{
    struct report report;
    char start[80];

    assert_int_equal(vmx_caps_missing(raw), 1);
    make_report(raw, true, &report);
    assert_int_equal(count_lines(report.text), 1);
    format_string(start, sizeof(start), "%s\trequired\tmissing\t", name);
    assert_memory_equal(report.text, start, strlen(start));
    assert_true(report.size > strlen(start) + 5); /* and a remedy */
}

static void test_whole(void **state)
{
    struct vmx_raw raw = whole();
    struct vmx_caps caps;
    struct report report;

    (void)state;
    assert_int_equal(vmx_caps_missing(&raw), 0);
    make_report(&raw, true, &report);
    assert_int_equal(report.size, 0);
    make_report(&raw, false, &report);
    assert_memory_equal(report.text, "feature\tneed\tstate\tnote\n", 24);
    assert_null(strstr(report.text, "missing"));
    vmx_caps_choose(&raw, false, &caps);
    assert_true(caps.vpid && caps.xsaves && caps.rdtscp && caps.invpcid);
    assert_true(caps.x2apic_virtualization && caps.virtual_interrupt_delivery);
    assert_true(caps.ept_1g && caps.ept_execute_only && caps.ept_accessed_dirty);
    assert_true(caps.eptp_switching && caps.virtualization_exceptions && caps.pml);
    assert_true(caps.tsc_scaling && caps.pause_loop_exiting);
    assert_int_equal(caps.preemption_timer_shift, 5);
    for (unsigned i = 0; i < ARRAY_SIZE(required); i++) {
        const struct need *r = &required[i];
        uint32_t chosen = r->word == PIN     ? caps.pin
                          : r->word == PROC  ? caps.proc
                          : r->word == PROC2 ? caps.proc2
                          : r->word == EXIT  ? caps.exit
                                             : caps.entry;
        bool now = r->word != EPT && (r->word != PROC || (r->bit & NOT_AT_START) == 0);
        assert_true(!now || (chosen & r->bit >> 32) != 0);
    }
    assert_true((caps.proc2 & PROC2_VPID) && (caps.proc2 & PROC2_RDTSCP));
    assert_true((caps.proc2 & PROC2_INVPCID) && (caps.proc2 & PROC2_XSAVES));
    /* What is there only for later, or for a while, must not be on. */
    assert_false(caps.proc2 &
                 (PROC2_VE | PROC2_PML | PROC2_TSC_SCALING | PROC2_PAUSE_LOOP_EXITING));
    assert_true(caps.posted_interrupts && (caps.pin & PIN_POSTED_INTERRUPTS) != 0);
    assert_false(caps.proc & (PROC_INTERRUPT_WINDOW_EXITING | PROC_NMI_WINDOW_EXITING));
}

/* A CPU that has some MSRs, and faults at others. */
struct made_up_cpu {
    uint64_t basic, proc, proc2;
    uint32_t absent[4];
};

static uint64_t read_made_up(void *context, uint32_t msr)
{
    const struct made_up_cpu *cpu = context;

    for (unsigned i = 0; i < ARRAY_SIZE(cpu->absent); i++) {
        assert_true(msr != cpu->absent[i]);
    }
    switch (msr) {
    case MSR_IA32_VMX_BASIC:
        return cpu->basic;
    case MSR_IA32_VMX_PROCBASED:
    case MSR_IA32_VMX_TRUE_PROCBASED:
        return cpu->proc;
    case MSR_IA32_VMX_PROCBASED2:
        return cpu->proc2;
    default:
        return ALL | msr;
    }
}

static void test_read(void **state)
{
    const uint32_t features = BIT32(5) | BIT32(24);
    struct made_up_cpu old = {.absent = {MSR_IA32_VMX_TRUE_PINBASED, MSR_IA32_VMX_PROCBASED2,
                                         MSR_IA32_VMX_VMFUNC, MSR_IA32_VMX_EPT_VPID_CAP}};
    struct made_up_cpu new = {VMX_BASIC_TRUE_CONTROLS, ALL, ALL, {MSR_IA32_VMX_PINBASED, 0, 0, 0}};
    struct made_up_cpu middle = {0, ALL, HIGH(PROC2_EPT), {MSR_IA32_VMX_VMFUNC, 0, 0, 0}};
    struct vmx_raw raw;

    (void)state;
    vmx_raw_read(&raw, features, read_made_up, &old);
    assert_true(raw.intel_vmx && raw.tsc_deadline && !raw.x2apic && !raw.xsave);
    assert_true(raw.pin == (ALL | MSR_IA32_VMX_PINBASED) && raw.proc2 == 0 && raw.ept_vpid == 0);
    vmx_raw_read(&raw, features, read_made_up, &new);
    assert_true(raw.pin == (ALL | MSR_IA32_VMX_TRUE_PINBASED) && raw.vmfunc != 0);
    assert_true(raw.entry == (ALL | MSR_IA32_VMX_TRUE_ENTRY));
    vmx_raw_read(&raw, features, read_made_up, &middle);
    assert_true(raw.ept_vpid == (ALL | MSR_IA32_VMX_EPT_VPID_CAP) && raw.vmfunc == 0);
    /* Without VMX none of them is there. */
    vmx_raw_read(&raw, ~features, NULL, NULL);
    assert_true(!raw.intel_vmx && raw.x2apic && raw.xsave && raw.basic == 0);
}

static void test_no_vmx(void **state)
{
    struct vmx_raw raw = {.x2apic = true, .tsc_deadline = true, .xsave = true};
    struct report report;

    (void)state;
    /* All the rest is missing, too, but says nothing. */
    assert_true(vmx_caps_missing(&raw) > 20);
    make_report(&raw, true, &report);
    assert_int_equal(count_lines(report.text), 1);
    assert_memory_equal(report.text, "VMX\trequired\tmissing\t", 21);
    assert_non_null(strstr(report.text, "VT-x"));
    make_report(&raw, false, &report);
    assert_true(count_lines(report.text) > 40);
}

static void test_feature_control(void **state)
{
    static const struct {
        uint64_t value;
        bool usable;
    } cases[] = {
        {0, true}, /* unlocked: Postern sets and locks it */
        {FEATURE_CONTROL_VMX_OUTSIDE, true},
        {FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX_OUTSIDE, true},
        {FEATURE_CONTROL_LOCKED, false},
        {FEATURE_CONTROL_LOCKED | 2, false}, /* VMX inside SMX only */
        {~FEATURE_CONTROL_VMX_OUTSIDE, false},
        {~0ull, true},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vmx_raw raw = whole();
        raw.feature_control = cases[i].value;
        if (cases[i].usable) {
            assert_int_equal(vmx_caps_missing(&raw), 0);
        } else {
            struct report report;
            expect_only_missing(&raw, "VMX not locked off");
            make_report(&raw, true, &report);
            assert_non_null(strstr(report.text, "firmware"));
        }
    }
}

static void test_cpu_features(void **state)
{
    struct vmx_raw raw = whole();

    (void)state;
    raw.x2apic = false;
    expect_only_missing(&raw, "x2APIC");
    raw = whole();
    raw.tsc_deadline = false;
    expect_only_missing(&raw, "TSC-deadline timer");
    raw = whole();
    raw.xsave = false;
    expect_only_missing(&raw, "XSAVE");
}

static void test_each_required(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(required); i++) {
        struct vmx_raw raw = whole();
        *word(&raw, required[i].word) &= ~required[i].bit;
        expect_only_missing(&raw, required[i].name);
    }
}

/* A CPU without any EPT feature: all of them are named, each on its line. */
static void test_no_ept(void **state)
{
    static const char *const names[] = {
        "EPT\t",    "EPT 4-level walk\t",  "EPT write-back\t", "EPT 2 MiB pages\t",
        "INVEPT\t", "unrestricted guest\t"};
    struct vmx_raw raw = whole();
    struct report report;

    (void)state;
    raw.ept_vpid = 0;
    raw.proc2 &= ~HIGH(PROC2_EPT | PROC2_UNRESTRICTED_GUEST);
    assert_int_equal(vmx_caps_missing(&raw), ARRAY_SIZE(names));
    make_report(&raw, true, &report);
    assert_int_equal(count_lines(report.text), ARRAY_SIZE(names));
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        assert_non_null(strstr(report.text, names[i]));
    }
}

struct wanted {
    size_t word;
    uint64_t bit;
    const char *name;
    size_t flag; /* in struct vmx_caps */
    uint32_t proc2;
};

static const struct wanted wanted[] = {
    {EPT, EPT_CAP_1G, "EPT 1 GiB pages", offsetof(struct vmx_caps, ept_1g), 0},
    {EPT, EPT_CAP_EXECUTE_ONLY, "EPT execute-only", offsetof(struct vmx_caps, ept_execute_only), 0},
    {EPT, EPT_CAP_ACCESSED_DIRTY, "EPT accessed and dirty bits",
     offsetof(struct vmx_caps, ept_accessed_dirty), 0},
    {PROC2, HIGH(PROC2_PAUSE_LOOP_EXITING), "PAUSE-loop exiting",
     offsetof(struct vmx_caps, pause_loop_exiting), 0},
    {PROC2, HIGH(PROC2_VPID), "VPID", offsetof(struct vmx_caps, vpid), PROC2_VPID},
    {EPT, EPT_CAP_INVVPID, "INVVPID", offsetof(struct vmx_caps, vpid), PROC2_VPID},
    {EPT, EPT_CAP_INVVPID_SINGLE, "INVVPID", offsetof(struct vmx_caps, vpid), PROC2_VPID},
    {PROC2, HIGH(PROC2_RDTSCP), "RDTSCP", offsetof(struct vmx_caps, rdtscp), PROC2_RDTSCP},
    {PROC2, HIGH(PROC2_INVPCID), "INVPCID", offsetof(struct vmx_caps, invpcid), PROC2_INVPCID},
    {PROC2, HIGH(PROC2_XSAVES), "XSAVES", offsetof(struct vmx_caps, xsaves), PROC2_XSAVES},
    {PROC, HIGH(PROC_TPR_SHADOW), "TPR shadow", offsetof(struct vmx_caps, x2apic_virtualization),
     PROC2_VIRTUALIZE_X2APIC | PROC2_APIC_REGISTER | PROC2_VIRTUAL_INTERRUPT_DELIVERY},
    {PROC2, HIGH(PROC2_VIRTUALIZE_X2APIC), "x2APIC virtualization",
     offsetof(struct vmx_caps, x2apic_virtualization),
     PROC2_VIRTUALIZE_X2APIC | PROC2_APIC_REGISTER | PROC2_VIRTUAL_INTERRUPT_DELIVERY},
    {PROC2, HIGH(PROC2_APIC_REGISTER), "APIC-register virtualization",
     offsetof(struct vmx_caps, x2apic_virtualization),
     PROC2_VIRTUALIZE_X2APIC | PROC2_APIC_REGISTER | PROC2_VIRTUAL_INTERRUPT_DELIVERY},
    {PROC2, HIGH(PROC2_VIRTUAL_INTERRUPT_DELIVERY), "virtual-interrupt delivery",
     offsetof(struct vmx_caps, virtual_interrupt_delivery),
     PROC2_VIRTUALIZE_X2APIC | PROC2_APIC_REGISTER | PROC2_VIRTUAL_INTERRUPT_DELIVERY},
    {PROC2, HIGH(PROC2_VIRTUAL_INTERRUPT_DELIVERY), "virtual-interrupt delivery",
     offsetof(struct vmx_caps, posted_interrupts), PROC2_VIRTUAL_INTERRUPT_DELIVERY},
    {PIN, HIGH(PIN_POSTED_INTERRUPTS), "posted interrupts",
     offsetof(struct vmx_caps, posted_interrupts), 0},
    {PROC2, HIGH(PROC2_VM_FUNCTIONS), "VM functions", offsetof(struct vmx_caps, eptp_switching), 0},
    {offsetof(struct vmx_raw, vmfunc), VMFUNC_CAP_EPTP_SWITCHING, "EPTP switching",
     offsetof(struct vmx_caps, eptp_switching), 0},
    {PROC2, HIGH(PROC2_VE), "virtualization exceptions",
     offsetof(struct vmx_caps, virtualization_exceptions), 0},
    {PROC2, HIGH(PROC2_PML), "page-modification logging", offsetof(struct vmx_caps, pml), 0},
    {PROC2, HIGH(PROC2_TSC_SCALING), "TSC scaling", offsetof(struct vmx_caps, tsc_scaling), 0},
};

/* A wanted feature that is missing does not stop anything, turns its own flag off and is named
 * with what is done instead. */
static void test_each_wanted(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++) {
        const struct wanted *w = &wanted[i];
        struct vmx_raw raw = whole();
        struct vmx_caps caps;
        struct report report;
        char line[80];
        *word(&raw, w->word) &= ~w->bit;
        assert_int_equal(vmx_caps_missing(&raw), 0);
        vmx_caps_choose(&raw, false, &caps);
        assert_false(*((bool *)(void *)&caps + w->flag));
        assert_false(caps.proc2 & w->proc2);
        assert_int_equal((caps.pin & PIN_POSTED_INTERRUPTS) != 0, caps.posted_interrupts);
        make_report(&raw, false, &report);
        size_t length = format_string(line, sizeof(line), "\n%s\twanted\tmissing\t", w->name);
        const char *found = strstr(report.text, line);
        assert_non_null(found);
        assert_true(found[length] != '\n'); /* the fallback */
    }
}

static void test_no_apicv(void **state)
{
    struct vmx_raw raw = whole();
    struct vmx_caps caps;

    (void)state;
    vmx_caps_choose(&raw, true, &caps);
    assert_false(caps.x2apic_virtualization || caps.virtual_interrupt_delivery);
    assert_false(caps.posted_interrupts || (caps.pin & PIN_POSTED_INTERRUPTS) != 0);
    assert_false(caps.proc & PROC_TPR_SHADOW);
    /* CR8 must not reach the machine's own TPR. */
    assert_true((caps.proc & PROC_CR8_LOAD_EXITING) != 0);
    assert_true((caps.proc & PROC_CR8_STORE_EXITING) != 0);
    assert_false(caps.proc2 & (PROC2_VIRTUALIZE_X2APIC | PROC2_APIC_REGISTER |
                               PROC2_VIRTUAL_INTERRUPT_DELIVERY));
}

static void test_mwait(void **state)
{
    struct vmx_raw raw = whole();
    struct vmx_caps caps;

    (void)state;
    vmx_caps_choose(&raw, false, &caps);
    assert_true(caps.mwait);
    raw.proc |= PROC_MWAIT_EXITING; /* it cannot be off */
    vmx_caps_choose(&raw, false, &caps);
    assert_false(caps.mwait);
    raw = whole();
    raw.proc |= PROC_MONITOR_EXITING;
    vmx_caps_choose(&raw, false, &caps);
    assert_false(caps.mwait);
}

static void test_without_views(void **state)
{
    struct vmx_raw raw = whole();
    struct vmx_caps caps;

    (void)state;
    vmx_caps_choose(&raw, false, &caps);
    assert_true(caps.eptp_switching && caps.virtualization_exceptions);
    assert_true(caps.proc2 & PROC2_VM_FUNCTIONS);
    assert_false(caps.proc2 & PROC2_VE); /* only for a vCPU that registers */
    vmx_caps_without_views(&caps);
    assert_false(caps.eptp_switching || caps.virtualization_exceptions);
    assert_false(caps.proc2 & PROC2_VM_FUNCTIONS);
}

/* Any CPU: what is chosen is what its words allow, and features agree with controls. */
static void test_random_words(void **state)
{
    struct random random = {99};

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        struct vmx_raw raw = whole();
        struct vmx_caps caps;
        size_t words[] = {PIN, PROC, PROC2, EXIT, ENTRY};
        for (unsigned w = 0; w < ARRAY_SIZE(words); w++) {
            uint64_t may = random_next(&random) | random_next(&random);
            uint64_t must = random_next(&random) & random_next(&random) & may;
            *word(&raw, words[w]) = may << 32 | must;
        }
        raw.ept_vpid = (uint64_t)random_next(&random) << 32 | random_next(&random);
        vmx_caps_choose(&raw, random_below(&random, 2) == 0, &caps);
        const uint32_t chosen[] = {caps.pin, caps.proc, caps.proc2, caps.exit, caps.entry};
        for (unsigned w = 0; w < ARRAY_SIZE(words); w++) {
            uint64_t allowed = *word(&raw, words[w]);
            assert_int_equal(chosen[w] & ~(allowed >> 32), 0);
            assert_int_equal((uint32_t)allowed & ~chosen[w], 0);
        }
        assert_true(!caps.vpid || (caps.proc2 & PROC2_VPID) != 0);
        assert_true(!caps.rdtscp || (caps.proc2 & PROC2_RDTSCP) != 0);
        assert_true(!caps.invpcid || (caps.proc2 & PROC2_INVPCID) != 0);
        assert_true(!caps.xsaves || (caps.proc2 & PROC2_XSAVES) != 0);
        assert_int_equal(caps.x2apic_virtualization, caps.virtual_interrupt_delivery);
        assert_true(!caps.x2apic_virtualization || (caps.proc & PROC_TPR_SHADOW) != 0);
        assert_true(!caps.posted_interrupts ||
                    (caps.virtual_interrupt_delivery && (caps.pin & PIN_POSTED_INTERRUPTS) != 0));
    }
}

static void test_same(void **state)
{
    static const size_t words[] = {
        PIN, PROC, PROC2, EXIT, ENTRY, EPT, offsetof(struct vmx_raw, vmfunc)};
    struct vmx_raw raw = whole();

    (void)state;
    assert_true(vmx_caps_same(&raw, &raw));
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        struct vmx_raw other = whole();
        *word(&other, words[i]) ^= BIT(40);
        assert_false(vmx_caps_same(&raw, &other));
    }
    struct vmx_raw none = whole();
    none.intel_vmx = false;
    assert_false(vmx_caps_same(&raw, &none));
    /* The firmware may have locked one CPU and not another: Postern locks that one itself. */
    struct vmx_raw unlocked = whole();
    unlocked.feature_control = 0;
    assert_true(vmx_caps_same(&raw, &unlocked));
    unlocked.feature_control = FEATURE_CONTROL_LOCKED;
    assert_false(vmx_caps_same(&raw, &unlocked));
    struct vmx_raw other = whole();
    other.misc = 6; /* another rate of the preemption timer */
    assert_false(vmx_caps_same(&raw, &other));
    other = whole();
    other.basic = 1; /* another VMCS revision */
    assert_false(vmx_caps_same(&raw, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),         cmocka_unit_test(test_read),
        cmocka_unit_test(test_no_vmx),        cmocka_unit_test(test_feature_control),
        cmocka_unit_test(test_cpu_features),  cmocka_unit_test(test_each_required),
        cmocka_unit_test(test_no_ept),        cmocka_unit_test(test_each_wanted),
        cmocka_unit_test(test_no_apicv),      cmocka_unit_test(test_mwait),
        cmocka_unit_test(test_without_views), cmocka_unit_test(test_random_words),
        cmocka_unit_test(test_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
