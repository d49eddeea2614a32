/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/msr_policy.h"

#include "arch/x86/defs/msr.h"
#include "lib/bits.h"
#include "lib/string.h"

#define APIC_BASE_ADDRESS   0xfee00000ull
#define MISC_ENABLE_STRINGS BIT(0)
#define MISC_ENABLE_NO_BTS  BIT(11)
#define MISC_ENABLE_NO_PEBS BIT(12)
#define MISC_ENABLE_MONITOR BIT(18)
#define MTRR_WRITE_BACK     6u
#define MTRR_ENABLED        BIT(11)
#define MTRR_DEF_WRITABLE   (MTRR_ENABLED | BIT(10) | 0xffull)
#define MICROCODE_REVISION  (1ull << 32)
#define X2APIC_VERSION      0x803u
#define X2APIC_PPR          0x80au
#define X2APIC_LDR          0x80du
#define X2APIC_ESR          0x828u
#define X2APIC_DIVIDE       0x83eu

enum action {
    PASS,      /* the guest's own, switched with the vCPU: no exit */
    PASS_READ, /* reads are the CPU's, with no exit; writes do nothing */
    FIXED,     /* reads `value`; writes are #GP */
    IGNORE,    /* reads `value`; writes do nothing */
    FIELD,     /* kept in struct msr_state; a change of other bits than `value` is #GP */
    FIELD_SOFT /* the same, but other bits stay as they are */
};

static const struct rule {
    uint32_t first, last;
    enum action action;
    uint64_t value; /* FIXED and IGNORE: what it reads; FIELDs: the bits that may be written */
    size_t field;
} rules[] = {
    {MSR_IA32_TSC, MSR_IA32_TSC, PASS_READ, 0, 0}, /* the CPU adds the offset */
    {MSR_IA32_PLATFORM_ID, MSR_IA32_PLATFORM_ID, FIXED, 0, 0},
    /* Fixed at x2APIC mode: the bits that could leave it are not writable. */
    {MSR_IA32_APIC_BASE, MSR_IA32_APIC_BASE, FIELD, 0, offsetof(struct msr_state, apic_base)},
    {MSR_SMI_COUNT, MSR_SMI_COUNT, FIXED, 0, 0},
    {MSR_IA32_FEATURE_CONTROL, MSR_IA32_FEATURE_CONTROL, FIXED, FEATURE_CONTROL_LOCKED, 0},
    /* Linux writes what it read. A change would need an offset for each vCPU: refused. */
    {MSR_IA32_TSC_ADJUST, MSR_IA32_TSC_ADJUST, FIELD, 0, offsetof(struct msr_state, tsc_adjust)},
    {MSR_IA32_BIOS_SIGN_ID, MSR_IA32_BIOS_SIGN_ID, IGNORE, MICROCODE_REVISION, 0},
    {MSR_PLATFORM_INFO, MSR_PLATFORM_INFO, FIXED, 0, 0},
    {MSR_IA32_MTRRCAP, MSR_IA32_MTRRCAP, FIXED, 0, 0}, /* no ranges: the default type is all */
    {MSR_MISC_FEATURES_ENABLES, MSR_MISC_FEATURES_ENABLES, IGNORE, 0, 0},
    {MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_EIP, PASS, 0, 0},
    {MSR_IA32_MCG_CAP, MSR_IA32_MCG_STATUS, FIXED, 0, 0},
    /* Each CPU has other switches here, for what a guest is not offered; some are read-only. */
    {MSR_IA32_MISC_ENABLE, MSR_IA32_MISC_ENABLE, FIELD_SOFT, MISC_ENABLE_STRINGS,
     offsetof(struct msr_state, misc_enable)},
    {MSR_IA32_DEBUGCTL, MSR_IA32_DEBUGCTL, IGNORE, 0, 0},
    {MSR_IA32_PAT, MSR_IA32_PAT, PASS, 0, 0},
    {MSR_IA32_MTRR_DEF_TYPE, MSR_IA32_MTRR_DEF_TYPE, FIELD, MTRR_DEF_WRITABLE,
     offsetof(struct msr_state, mtrr_def_type)},
    {MSR_PPERF, MSR_PPERF, FIXED, 0, 0},
    {MSR_IA32_EFER, MSR_IA32_FMASK, PASS, 0, 0},
    {MSR_IA32_FS_BASE, MSR_IA32_KERNEL_GS_BASE, PASS, 0, 0},
};

void msr_state_reset(struct msr_state *state, bool first, bool mwait)
{
    *state = (struct msr_state){
        .apic_base =
            APIC_BASE_ADDRESS | APIC_BASE_ENABLE | APIC_BASE_X2APIC | (first ? APIC_BASE_BSP : 0),
        .misc_enable = MISC_ENABLE_STRINGS | MISC_ENABLE_NO_BTS | MISC_ENABLE_NO_PEBS |
                       (mwait ? MISC_ENABLE_MONITOR : 0),
        .mtrr_def_type = MTRR_ENABLED | MTRR_WRITE_BACK,
    };
}

bool msr_state_is_valid(const struct msr_state *state, bool first, bool mwait)
{
    struct msr_state reset;

    msr_state_reset(&reset, first, mwait);
    return ((state->apic_base ^ reset.apic_base) & ~(APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == 0 &&
           ((state->misc_enable ^ reset.misc_enable) & ~MISC_ENABLE_STRINGS) == 0 &&
           (state->mtrr_def_type & ~MTRR_DEF_WRITABLE) == 0 &&
           state->tsc_adjust == reset.tsc_adjust;
}

static const struct rule *find(uint32_t msr)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rules); i++) {
        if (msr >= rules[i].first && msr <= rules[i].last) {
            return &rules[i];
        }
    }
    return NULL;
}

static bool is_field(const struct rule *rule)
{
    return rule->action == FIELD || rule->action == FIELD_SOFT;
}

bool msr_emulate_read(const struct msr_state *state, uint32_t msr, uint64_t *value)
{
    const struct rule *rule = find(msr);

    if (rule == NULL || rule->action == PASS || rule->action == PASS_READ) {
        return false;
    }
    *value = is_field(rule) ? *(const uint64_t *)(const void *)((const char *)state + rule->field)
                            : rule->value;
    return true;
}

bool msr_emulate_write(struct msr_state *state, uint32_t msr, uint64_t value)
{
    const struct rule *rule = find(msr);

    if (rule == NULL || rule->action == PASS || rule->action == FIXED) {
        return false;
    }
    if (is_field(rule)) {
        uint64_t *field = (uint64_t *)(void *)((char *)state + rule->field);
        if (rule->action == FIELD && ((*field ^ value) & ~rule->value) != 0) {
            return false;
        }
        *field = (*field & ~rule->value) | (value & rule->value);
    }
    return true;
}

/* The four parts of the bitmap: reads of low and high registers, then writes. */
static void pass(uint8_t *bitmap, uint32_t msr, bool write)
{
    uint32_t part = (msr >= 0xc0000000u ? 1024u : 0u) + (write ? 2048u : 0u);
    uint32_t bit = msr & 0x1fff;

    bitmap[part + bit / 8] &= (uint8_t) ~(1u << bit % 8);
}

/* The CPU would read any register from the virtual-APIC page: those that do not exist must exit,
 * for their #GP, and the timer's current count, which changes by itself. */
static void pass_x2apic_reads(uint8_t *bitmap)
{
    static const struct {
        uint32_t first, last;
    } readable[] = {
        {MSR_X2APIC_ID, X2APIC_VERSION},  {MSR_X2APIC_TPR, MSR_X2APIC_TPR},
        {X2APIC_PPR, X2APIC_PPR},         {X2APIC_LDR, X2APIC_LDR},
        {MSR_X2APIC_SVR, X2APIC_ESR}, /* ISR, TMR and IRR between them */
        {MSR_X2APIC_ICR, MSR_X2APIC_ICR}, {MSR_X2APIC_LVT_TIMER, MSR_X2APIC_CURRENT_COUNT - 1},
        {X2APIC_DIVIDE, X2APIC_DIVIDE},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(readable); i++) {
        for (uint32_t msr = readable[i].first; msr <= readable[i].last; msr++) {
            pass(bitmap, msr, false);
        }
    }
}

void msr_policy_fill_bitmap(uint8_t bitmap[MSR_BITMAP_SIZE], bool virtual_x2apic, bool tsc_aux)
{
    memset(bitmap, 0xff, MSR_BITMAP_SIZE);
    for (unsigned i = 0; i < ARRAY_SIZE(rules); i++) {
        enum action action = rules[i].action;
        for (uint32_t msr = rules[i].first; action <= PASS_READ && msr <= rules[i].last; msr++) {
            pass(bitmap, msr, false);
            if (action == PASS) {
                pass(bitmap, msr, true);
            }
        }
    }
    if (tsc_aux) {
        pass(bitmap, MSR_IA32_TSC_AUX, false);
        pass(bitmap, MSR_IA32_TSC_AUX, true);
    }
    if (virtual_x2apic) {
        pass_x2apic_reads(bitmap);
        pass(bitmap, MSR_X2APIC_TPR, true);
        pass(bitmap, MSR_X2APIC_EOI, true);
        pass(bitmap, MSR_X2APIC_SELF_IPI, true);
    }
}

void msr_policy_pass_timer(uint8_t bitmap[MSR_BITMAP_SIZE])
{
    pass(bitmap, MSR_IA32_TSC_DEADLINE, false);
    pass(bitmap, MSR_IA32_TSC_DEADLINE, true);
}
