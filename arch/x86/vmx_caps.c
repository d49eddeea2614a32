/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/vmx_caps.h"

#include "arch/x86/defs/msr.h"
#include "arch/x86/defs/vmx_controls.h"
#include "lib/bits.h"

/* Which word of struct vmx_raw an item is in; the control words by their allowed-1 half. */
enum word {
    WORD_CPU,
    WORD_LOCK,
    WORD_PIN,
    WORD_PROC,
    WORD_PROC2,
    WORD_EXIT,
    WORD_ENTRY,
    WORD_EPT,
    WORD_VMFUNC
};

enum need { REQUIRED, WANTED };

/* Bits of WORD_CPU. */
#define CPU_VMX          BIT(0)
#define CPU_X2APIC       BIT(1)
#define CPU_TSC_DEADLINE BIT(2)
#define CPU_XSAVE        BIT(3)
#define LOCK_OPEN        BIT(0)

struct item {
    const char *name;
    enum word word;
    uint64_t bits; /* all of them */
    enum need need;
    const char *note; /* REQUIRED: what to do. WANTED: what is done without it */
};

#define NEEDS_NEWER "needs a newer CPU, or an outer hypervisor that passes it on"

static const struct item items[] = {
    {"VMX", WORD_CPU, CPU_VMX, REQUIRED,
     "enable Intel Virtualization Technology (VT-x) in the firmware's setup; under QEMU/KVM use "
     "-cpu host with nested virtualisation"},
    {"VMX not locked off", WORD_LOCK, LOCK_OPEN, REQUIRED,
     "the firmware has locked VT-x off: enable Intel Virtualization Technology in its setup, then "
     "switch the machine off and on"},
    {"x2APIC", WORD_CPU, CPU_X2APIC, REQUIRED, "enable x2APIC in the firmware's setup"},
    {"TSC-deadline timer", WORD_CPU, CPU_TSC_DEADLINE, REQUIRED, NEEDS_NEWER},
    {"XSAVE", WORD_CPU, CPU_XSAVE, REQUIRED, NEEDS_NEWER},
    {"external-interrupt exiting", WORD_PIN, PIN_EXTERNAL_INTERRUPT_EXITING, REQUIRED, NEEDS_NEWER},
    {"NMI exiting", WORD_PIN, PIN_NMI_EXITING, REQUIRED, NEEDS_NEWER},
    {"preemption timer", WORD_PIN, PIN_PREEMPTION_TIMER, REQUIRED, NEEDS_NEWER},
    {"TSC offsetting", WORD_PROC, PROC_TSC_OFFSETTING, REQUIRED, NEEDS_NEWER},
    {"HLT exiting", WORD_PROC, PROC_HLT_EXITING, REQUIRED, NEEDS_NEWER},
    {"CR8 exiting", WORD_PROC, PROC_CR8_LOAD_EXITING | PROC_CR8_STORE_EXITING, REQUIRED,
     NEEDS_NEWER},
    {"virtual NMIs", WORD_PIN, PIN_VIRTUAL_NMIS, REQUIRED, NEEDS_NEWER},
    {"NMI-window exiting", WORD_PROC, PROC_NMI_WINDOW_EXITING, REQUIRED, NEEDS_NEWER},
    {"RDPMC exiting", WORD_PROC, PROC_RDPMC_EXITING, REQUIRED, NEEDS_NEWER},
    {"MONITOR and MWAIT exiting", WORD_PROC, PROC_MWAIT_EXITING | PROC_MONITOR_EXITING, REQUIRED,
     NEEDS_NEWER},
    {"unconditional I/O exiting", WORD_PROC, PROC_UNCONDITIONAL_IO_EXITING, REQUIRED, NEEDS_NEWER},
    {"MSR bitmaps", WORD_PROC, PROC_MSR_BITMAPS, REQUIRED, NEEDS_NEWER},
    {"secondary controls", WORD_PROC, PROC_SECONDARY_CONTROLS, REQUIRED, NEEDS_NEWER},
    {"EPT", WORD_PROC2, PROC2_EPT, REQUIRED, NEEDS_NEWER},
    {"unrestricted guest", WORD_PROC2, PROC2_UNRESTRICTED_GUEST, REQUIRED, NEEDS_NEWER},
    {"64-bit host", WORD_EXIT, EXIT_HOST_64BIT, REQUIRED, NEEDS_NEWER},
    {"acknowledge interrupt on exit", WORD_EXIT, EXIT_ACKNOWLEDGE_INTERRUPT, REQUIRED, NEEDS_NEWER},
    {"save and load EFER on exit", WORD_EXIT, EXIT_SAVE_EFER | EXIT_LOAD_EFER, REQUIRED,
     NEEDS_NEWER},
    {"save and load PAT on exit", WORD_EXIT, EXIT_SAVE_PAT | EXIT_LOAD_PAT, REQUIRED, NEEDS_NEWER},
    {"load EFER on entry", WORD_ENTRY, ENTRY_LOAD_EFER, REQUIRED, NEEDS_NEWER},
    {"load PAT on entry", WORD_ENTRY, ENTRY_LOAD_PAT, REQUIRED, NEEDS_NEWER},
    {"EPT 4-level walk", WORD_EPT, EPT_CAP_WALK_4, REQUIRED, NEEDS_NEWER},
    {"EPT write-back", WORD_EPT, EPT_CAP_WRITE_BACK, REQUIRED, NEEDS_NEWER},
    {"EPT 2 MiB pages", WORD_EPT, EPT_CAP_2M, REQUIRED, NEEDS_NEWER},
    {"INVEPT", WORD_EPT, EPT_CAP_INVEPT | EPT_CAP_INVEPT_SINGLE | EPT_CAP_INVEPT_ALL, REQUIRED,
     NEEDS_NEWER},
    {"EPT 1 GiB pages", WORD_EPT, EPT_CAP_1G, WANTED, "2 MiB pages"},
    {"EPT execute-only", WORD_EPT, EPT_CAP_EXECUTE_ONLY, WANTED, "gates are readable"},
    {"EPT accessed and dirty bits", WORD_EPT, EPT_CAP_ACCESSED_DIRTY, WANTED,
     "dirty pages are found by exits"},
    {"save preemption timer", WORD_EXIT, EXIT_SAVE_PREEMPTION_TIMER, WANTED,
     "time slices start again at each exit"},
    {"PAUSE-loop exiting", WORD_PROC2, PROC2_PAUSE_LOOP_EXITING, WANTED,
     "who spins on a shared CPU does so to the end of the time slice"},
    {"VPID", WORD_PROC2, PROC2_VPID, WANTED, "each entry and exit flushes the TLB"},
    {"INVVPID", WORD_EPT, EPT_CAP_INVVPID | EPT_CAP_INVVPID_SINGLE, WANTED, "VPID is not used"},
    {"RDTSCP", WORD_PROC2, PROC2_RDTSCP, WANTED, "hidden from guests"},
    {"INVPCID", WORD_PROC2, PROC2_INVPCID, WANTED, "hidden from guests"},
    {"XSAVES", WORD_PROC2, PROC2_XSAVES, WANTED, "hidden from guests"},
    {"TPR shadow", WORD_PROC, PROC_TPR_SHADOW, WANTED, "local APICs are emulated by exits"},
    {"x2APIC virtualization", WORD_PROC2, PROC2_VIRTUALIZE_X2APIC, WANTED,
     "local APICs are emulated by exits"},
    {"APIC-register virtualization", WORD_PROC2, PROC2_APIC_REGISTER, WANTED,
     "local APICs are emulated by exits"},
    {"virtual-interrupt delivery", WORD_PROC2, PROC2_VIRTUAL_INTERRUPT_DELIVERY, WANTED,
     "interrupts are injected at entries"},
    {"posted interrupts", WORD_PIN, PIN_POSTED_INTERRUPTS, WANTED, "a kick by an interrupt"},
    {"VM functions", WORD_PROC2, PROC2_VM_FUNCTIONS, WANTED, "views change by exits"},
    {"EPTP switching", WORD_VMFUNC, VMFUNC_CAP_EPTP_SWITCHING, WANTED, "views change by exits"},
    {"virtualization exceptions", WORD_PROC2, PROC2_VE, WANTED, "violations are told by exits"},
    {"page-modification logging", WORD_PROC2, PROC2_PML, WANTED,
     "dirty pages are looked for in tables"},
    {"TSC scaling", WORD_PROC2, PROC2_TSC_SCALING, WANTED, "not used yet"},
};

static uint64_t word_value(const struct vmx_raw *raw, enum word word)
{
    bool open = (raw->feature_control & FEATURE_CONTROL_LOCKED) == 0 ||
                (raw->feature_control & FEATURE_CONTROL_VMX_OUTSIDE) != 0;

    switch (word) {
    case WORD_CPU:
        return (raw->intel_vmx ? CPU_VMX : 0) | (raw->x2apic ? CPU_X2APIC : 0) |
               (raw->tsc_deadline ? CPU_TSC_DEADLINE : 0) | (raw->xsave ? CPU_XSAVE : 0);
    case WORD_LOCK:
        return open ? LOCK_OPEN : 0;
    case WORD_PIN:
        return raw->pin >> 32;
    case WORD_PROC:
        return raw->proc >> 32;
    case WORD_PROC2:
        return raw->proc2 >> 32;
    case WORD_EXIT:
        return raw->exit >> 32;
    case WORD_ENTRY:
        return raw->entry >> 32;
    case WORD_EPT:
        return raw->ept_vpid;
    case WORD_VMFUNC:
        return raw->vmfunc;
    }
    return 0;
}

static bool present(const struct vmx_raw *raw, const struct item *item)
{
    return (word_value(raw, item->word) & item->bits) == item->bits;
}

void vmx_raw_read(struct vmx_raw *raw, uint32_t features, vmx_msr_reader_t read, void *context)
{
    *raw = (struct vmx_raw){
        .intel_vmx = (features & BIT32(5)) != 0,
        .x2apic = (features & BIT32(21)) != 0,
        .tsc_deadline = (features & BIT32(24)) != 0,
        .xsave = (features & BIT32(26)) != 0,
    };
    if (!raw->intel_vmx) {
        return;
    }
    raw->feature_control = read(context, MSR_IA32_FEATURE_CONTROL);
    raw->basic = read(context, MSR_IA32_VMX_BASIC);
    raw->misc = read(context, MSR_IA32_VMX_MISC);
    bool exact = (raw->basic & VMX_BASIC_TRUE_CONTROLS) != 0;
    raw->pin = read(context, exact ? MSR_IA32_VMX_TRUE_PINBASED : MSR_IA32_VMX_PINBASED);
    raw->proc = read(context, exact ? MSR_IA32_VMX_TRUE_PROCBASED : MSR_IA32_VMX_PROCBASED);
    raw->exit = read(context, exact ? MSR_IA32_VMX_TRUE_EXIT : MSR_IA32_VMX_EXIT);
    raw->entry = read(context, exact ? MSR_IA32_VMX_TRUE_ENTRY : MSR_IA32_VMX_ENTRY);
    if (((raw->proc >> 32) & PROC_SECONDARY_CONTROLS) != 0) {
        raw->proc2 = read(context, MSR_IA32_VMX_PROCBASED2);
    }
    if (((raw->proc2 >> 32) & (PROC2_EPT | PROC2_VPID)) != 0) {
        raw->ept_vpid = read(context, MSR_IA32_VMX_EPT_VPID_CAP);
    }
    if (((raw->proc2 >> 32) & PROC2_VM_FUNCTIONS) != 0) {
        raw->vmfunc = read(context, MSR_IA32_VMX_VMFUNC);
    }
}

unsigned vmx_caps_missing(const struct vmx_raw *raw)
{
    unsigned missing = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(items); i++) {
        missing += items[i].need == REQUIRED && !present(raw, &items[i]);
    }
    return missing;
}

/* `desired` bits, those that must be 1, none that must be 0. */
static uint32_t adjust(uint32_t desired, uint64_t allowed)
{
    return (desired | (uint32_t)allowed) & (uint32_t)(allowed >> 32);
}

static void choose_apic(const struct vmx_raw *raw, bool no_apicv, struct vmx_caps *caps)
{
    uint32_t virtual_apic =
        PROC2_VIRTUALIZE_X2APIC | PROC2_APIC_REGISTER | PROC2_VIRTUAL_INTERRUPT_DELIVERY;
    bool offered = ((raw->proc2 >> 32) & virtual_apic) == virtual_apic &&
                   ((raw->proc >> 32) & PROC_TPR_SHADOW) != 0;

    /* All or nothing: each part alone would need a path of its own through the local APIC. */
    caps->x2apic_virtualization = offered && !no_apicv;
    caps->virtual_interrupt_delivery = offered && !no_apicv;
    /* The entry wants to see it together with virtual-interrupt delivery and "acknowledge interrupt
     * on exit", which is required (SDM "Checks on VMX Controls"). */
    caps->posted_interrupts =
        caps->virtual_interrupt_delivery && ((raw->pin >> 32) & PIN_POSTED_INTERRUPTS) != 0;
    caps->pin |= caps->posted_interrupts ? PIN_POSTED_INTERRUPTS : 0;
    if (caps->x2apic_virtualization) {
        caps->proc |= PROC_TPR_SHADOW;
        caps->proc2 |= virtual_apic;
    } else {
        /* CR8 would be the TPR of the machine's own local APIC. */
        caps->proc |= PROC_CR8_LOAD_EXITING | PROC_CR8_STORE_EXITING;
    }
}

void vmx_caps_choose(const struct vmx_raw *raw, bool no_apicv, struct vmx_caps *caps)
{
    uint32_t offered2 = (uint32_t)(raw->proc2 >> 32);
    uint64_t invvpid = EPT_CAP_INVVPID | EPT_CAP_INVVPID_SINGLE;

    *caps = (struct vmx_caps){
        .pin = PIN_EXTERNAL_INTERRUPT_EXITING | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS |
               PIN_PREEMPTION_TIMER,
        .proc = PROC_TSC_OFFSETTING | PROC_HLT_EXITING | PROC_RDPMC_EXITING | PROC_MWAIT_EXITING |
                PROC_MONITOR_EXITING | PROC_UNCONDITIONAL_IO_EXITING | PROC_MSR_BITMAPS |
                PROC_SECONDARY_CONTROLS,
        .proc2 = PROC2_EPT | PROC2_UNRESTRICTED_GUEST,
        .exit = EXIT_HOST_64BIT | EXIT_ACKNOWLEDGE_INTERRUPT | EXIT_SAVE_EFER | EXIT_LOAD_EFER |
                EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_DEBUG | EXIT_SAVE_PREEMPTION_TIMER,
        .entry = ENTRY_LOAD_EFER | ENTRY_LOAD_PAT | ENTRY_LOAD_DEBUG,
        .preemption_timer_shift = raw->misc & 0x1f,
        .vpid = (offered2 & PROC2_VPID) != 0 && (raw->ept_vpid & invvpid) == invvpid,
        .rdtscp = (offered2 & PROC2_RDTSCP) != 0,
        .invpcid = (offered2 & PROC2_INVPCID) != 0,
        .xsaves = (offered2 & PROC2_XSAVES) != 0,
        .pause_loop_exiting = (offered2 & PROC2_PAUSE_LOOP_EXITING) != 0,
        .mwait = ((uint32_t)raw->proc & (PROC_MWAIT_EXITING | PROC_MONITOR_EXITING)) == 0,
        .ept_1g = (raw->ept_vpid & EPT_CAP_1G) != 0,
        .ept_execute_only = (raw->ept_vpid & EPT_CAP_EXECUTE_ONLY) != 0,
        .ept_accessed_dirty = (raw->ept_vpid & EPT_CAP_ACCESSED_DIRTY) != 0,
        .eptp_switching =
            (offered2 & PROC2_VM_FUNCTIONS) != 0 && (raw->vmfunc & VMFUNC_CAP_EPTP_SWITCHING) != 0,
        .virtualization_exceptions = (offered2 & PROC2_VE) != 0,
        /* It logs the setting of dirty flags. */
        .pml = (offered2 & PROC2_PML) != 0 && (raw->ept_vpid & EPT_CAP_ACCESSED_DIRTY) != 0,
        .tsc_scaling = (offered2 & PROC2_TSC_SCALING) != 0,
    };
    caps->proc2 |= (caps->vpid ? PROC2_VPID : 0) | (caps->rdtscp ? PROC2_RDTSCP : 0) |
                   (caps->invpcid ? PROC2_INVPCID : 0) | (caps->xsaves ? PROC2_XSAVES : 0) |
                   (caps->eptp_switching ? PROC2_VM_FUNCTIONS : 0);
    choose_apic(raw, no_apicv, caps);
    caps->pin = adjust(caps->pin, raw->pin);
    caps->proc = adjust(caps->proc, raw->proc);
    caps->proc2 = adjust(caps->proc2, raw->proc2);
    caps->exit = adjust(caps->exit, raw->exit);
    caps->entry = adjust(caps->entry, raw->entry);
}

void vmx_caps_without_views(struct vmx_caps *caps)
{
    caps->eptp_switching = false;
    caps->virtualization_exceptions = false;
    caps->proc2 &= ~PROC2_VM_FUNCTIONS;
}

void vmx_caps_without_dirty_flags(struct vmx_caps *caps)
{
    caps->ept_accessed_dirty = false;
    caps->pml = false;
}

bool vmx_caps_same(const struct vmx_raw *raw, const struct vmx_raw *other)
{
    /* A CPU that the firmware locked otherwise would fault at VMXON; the preemption timer's rate
     * and the VMCS's revision are those of the chosen CPU, too. */
    return other->intel_vmx && word_value(other, WORD_LOCK) != 0 && raw->basic == other->basic &&
           (raw->misc & 0x1f) == (other->misc & 0x1f) && raw->pin == other->pin &&
           raw->proc == other->proc && raw->proc2 == other->proc2 && raw->exit == other->exit &&
           raw->entry == other->entry && raw->ept_vpid == other->ept_vpid &&
           raw->vmfunc == other->vmfunc;
}

void vmx_caps_report(const struct vmx_raw *raw, bool only_missing, format_sink_t sink,
                     void *context)
{
    if (!only_missing) {
        format_to(sink, context, "feature\tneed\tstate\tnote\n");
    }
    for (unsigned i = 0; i < ARRAY_SIZE(items); i++) {
        const struct item *item = &items[i];
        bool here = present(raw, item);
        if (only_missing && (here || item->need != REQUIRED)) {
            continue;
        }
        format_to(sink, context, "%s\t%s\t%s\t%s\n", item->name,
                  item->need == REQUIRED ? "required" : "wanted", here ? "yes" : "missing",
                  here ? "" : item->note);
        if (only_missing && item->word == WORD_CPU && item->bits == CPU_VMX) {
            break; /* without VMX the rest says nothing */
        }
    }
}
