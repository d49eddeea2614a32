/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What VMX offers on a CPU, and what of it Postern uses: pure logic over the values of the
 * capability MSRs. Controls are required or wanted. A missing required one refuses to start and is
 * named; for a missing wanted one the fallback is named.
 */
#ifndef POSTERN_ARCH_X86_VMX_CAPS_H
#define POSTERN_ARCH_X86_VMX_CAPS_H

#include "lib/format.h"
#include "lib/status.h"

/* A CPU's answers. MSRs that it does not have read as 0. */
struct vmx_raw {
    bool intel_vmx;    /* CPUID.1:ECX.VMX */
    bool x2apic;       /* CPUID.1:ECX.x2APIC */
    bool tsc_deadline; /* CPUID.1:ECX.TSC_Deadline */
    bool xsave;        /* CPUID.1:ECX.XSAVE */
    uint64_t feature_control, basic, misc, ept_vpid, vmfunc;
    /* Of each control word: allowed-0 settings in the low half, allowed-1 in the high. The TRUE
     * MSRs where the CPU has them. */
    uint64_t pin, proc, proc2, exit, entry;
};

struct vmx_caps {
    uint32_t pin, proc, proc2, exit, entry; /* the control words to use */
    uint32_t preemption_timer_shift;        /* it counts TSC >> this */
    bool vpid, xsaves, rdtscp, invpcid;
    bool x2apic_virtualization; /* with APIC-register virtualization */
    bool virtual_interrupt_delivery;
    bool posted_interrupts;  /* only with virtual_interrupt_delivery */
    bool pause_loop_exiting; /* not in proc2: on while others wait for the CPU */
    bool mwait;              /* guests may be let execute MONITOR and MWAIT */
    bool ept_1g, ept_execute_only, ept_accessed_dirty;
    bool eptp_switching, virtualization_exceptions, pml, tsc_scaling; /* there, for later use */
};

/* Reads an MSR of the CPU in question. */
typedef uint64_t (*vmx_msr_reader_t)(void *context, uint32_t msr);

/* Asks a CPU with those CPUID.1:ECX for its answers. MSRs that it does not have are not read. */
void vmx_raw_read(struct vmx_raw *raw, uint32_t features, vmx_msr_reader_t read, void *context);

/* How many required items are missing: 0 means that Postern can run. */
unsigned vmx_caps_missing(const struct vmx_raw *raw);

/* Chooses control words and fallbacks; nothing required may be missing. `no_apicv` forgoes the
 * virtual APIC in favour of event injection. */
void vmx_caps_choose(const struct vmx_raw *raw, bool no_apicv, struct vmx_caps *caps);

/* Forgoes VMFUNC and #VE: what they do is done by exits. */
void vmx_caps_without_views(struct vmx_caps *caps);

/* Forgoes the accessed and dirty flags of EPT: the same. */
void vmx_caps_without_dirty_flags(struct vmx_caps *caps);

/* Whether a CPU with `other` can run what was chosen by `raw`: VMX is not locked off there, and
 * each control word allows the same. */
bool vmx_caps_same(const struct vmx_raw *raw, const struct vmx_raw *other);

/* Writes the capability report: a header line "feature need state note", then a line per item, tabs
 * between fields. With `only_missing`, only the required items that are missing, each with what
 * to do about it. */
void vmx_caps_report(const struct vmx_raw *raw, bool only_missing, format_sink_t sink,
                     void *context);

#endif
