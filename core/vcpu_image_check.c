/* SPDX-License-Identifier: BSD-2-Clause */
/* What vCPU images are checked for. What is not here the CPU checks at the entry: a guest whose
 * state it refuses is one that has crashed. */
#include "arch/x86/defs/msr.h"
#include "arch/x86/defs/registers.h"
#include "arch/x86/defs/vmcs.h"
#include "core/vcpu_image.h"
#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "machine/xapic.h"

#define XCR0_X87    BIT(0)
#define XCR0_SSE    BIT(1)
#define XCR0_AVX    BIT(2)
#define XCR0_AVX512 MASK(7, 5)
#define LENGTH_MAX  15u

/* The XSAVE area (SDM "XSAVE Area"): the legacy region's MXCSR and its mask, then the header. */
#define XSAVE_MXCSR        24u
#define XSAVE_HEADER       512u
#define XSAVE_HEADER_WORDS 8u
#define XSAVE_END          576u
#define MXCSR_DEFINED      0xffffu

#define EVENT_DEFINED      (EVENT_VALID | EVENT_ERROR_CODE | EVENT_TYPE_MASK | EVENT_VECTOR_MASK)

static bool is_canonical(uint64_t linear)
{
    return (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
}

static bool event_is_valid(const struct vcpu_image *image)
{
    uint32_t vector = image->event & EVENT_VECTOR_MASK;

    if (image->event == 0) {
        return true;
    }
    if ((image->event & EVENT_VALID) == 0 || (image->event & ~EVENT_DEFINED) != 0 ||
        image->event_length > LENGTH_MAX) {
        return false;
    }
    switch (image->event & EVENT_TYPE_MASK) {
    case EVENT_TYPE_EXTERNAL:
    case EVENT_TYPE_SOFT_INT:
        return true;
    case EVENT_TYPE_NMI:
        return vector == EXCEPTION_NMI;
    case EVENT_TYPE_EXCEPTION:
    case EVENT_TYPE_PRIV_SOFT:
    case EVENT_TYPE_SOFT_EXC:
        return vector < 32;
    default:
        return false;
    }
}

static bool xcr0_is_valid(uint64_t xcr0, uint64_t allowed)
{
    uint64_t avx512 = xcr0 & XCR0_AVX512;

    return (xcr0 & ~allowed) == 0 && (xcr0 & XCR0_X87) != 0 &&
           ((xcr0 & XCR0_AVX) == 0 || (xcr0 & XCR0_SSE) != 0) &&
           (avx512 == 0 || (avx512 == XCR0_AVX512 && (xcr0 & XCR0_AVX) != 0));
}

/* A Linux kernel is kept in x2APIC mode. */
static bool apic_is_valid(const struct vcpu_image *image, const struct vcpu_image_limits *limits)
{
    uint64_t base = image->msrs.apic_base;
    uint64_t mode = base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC);

    return mode != APIC_BASE_X2APIC && (uint32_t)xapic_base_mode(base) == image->lapic.mode &&
           (limits->kernel == GUEST_KERNEL_MULTIBOOT || image->lapic.mode == LAPIC_X2APIC) &&
           lapic_image_is_valid(&image->lapic);
}

/* What the hypervisor loads itself, where the CPU would fault. */
static bool context_is_valid(const struct vcpu_image *image)
{
    return is_canonical(image->lstar) && is_canonical(image->cstar) &&
           is_canonical(image->kernel_gs_base) && image->fmask >> 32 == 0 &&
           image->tsc_aux >> 32 == 0 && image->dr6 >> 32 == 0;
}

static bool fail(const struct vcpu_image_limits *limits, const char *what,
                 char error[SNAPSHOT_ERROR_SIZE])
{
    (void)format_string(error, SNAPSHOT_ERROR_SIZE, "vCPU %u: no guest can have such %s",
                        limits->id, what);
    return false;
}

bool vcpu_image_is_valid(const struct vcpu_image *image, const struct vcpu_image_limits *limits,
                         char error[SNAPSHOT_ERROR_SIZE])
{
    const uint32_t blocking = INTERRUPTIBILITY_SHADOW | INTERRUPTIBILITY_NMI;

    if (image->cr0 >> 32 != 0) {
        return fail(limits, "a CR0", error);
    }
    if ((image->cr4 & limits->cr4_hidden) != 0 || image->cr4 >> 32 != 0) {
        return fail(limits, "a CR4", error);
    }
    if (!xcr0_is_valid(image->xcr0, limits->xcr0_allowed)) {
        return fail(limits, "an XCR0", error);
    }
    if (!context_is_valid(image)) {
        return fail(limits, "MSRs and debug registers", error);
    }
    if (image->state > VCPU_IMAGE_HALTED || (image->interruptibility & ~blocking) != 0 ||
        image->nmis_pending > 2) {
        return fail(limits, "a state", error);
    }
    if (!event_is_valid(image)) {
        return fail(limits, "an event", error);
    }
    if (!msr_state_is_valid(&image->msrs, limits->id == 0, limits->mwait)) {
        return fail(limits, "emulated MSRs", error);
    }
    return apic_is_valid(image, limits) || fail(limits, "a local APIC", error);
}

/* The standard format, with no component that a guest cannot turn on (SDM "Standard Form of
 * XRSTOR": what faults). */
bool vcpu_xsave_is_valid(const void *area, size_t size, const struct vcpu_image_limits *limits,
                         char error[SNAPSHOT_ERROR_SIZE])
{
    uint64_t header[XSAVE_HEADER_WORDS], others = 0;
    uint32_t mxcsr;

    if (size < XSAVE_END) {
        return fail(limits, "an XSAVE area", error);
    }
    memcpy(header, (const uint8_t *)area + XSAVE_HEADER, sizeof(header));
    memcpy(&mxcsr, (const uint8_t *)area + XSAVE_MXCSR, sizeof(mxcsr));
    for (unsigned i = 1; i < XSAVE_HEADER_WORDS; i++) {
        others |= header[i];
    }
    return ((header[0] & ~limits->xcr0_allowed) == 0 && others == 0 &&
            (mxcsr & ~MXCSR_DEFINED) == 0) ||
           fail(limits, "an XSAVE area", error);
}
