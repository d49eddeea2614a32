/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/vmx_probe.h"

#include "arch/x86/cpu.h"
#include "arch/x86/defs/msr.h"
#include "arch/x86/defs/vmx_controls.h"
#include "lib/bits.h"
#include "lib/log.h"

void vmx_probe(struct vmx_raw *raw)
{
    uint32_t features = cpuid(1, 0).ecx;

    *raw = (struct vmx_raw){
        .intel_vmx = (features & BIT32(5)) != 0,
        .x2apic = (features & BIT32(21)) != 0,
        .tsc_deadline = (features & BIT32(24)) != 0,
        .xsave = (features & BIT32(26)) != 0,
    };
    if (!raw->intel_vmx) {
        return;
    }
    raw->feature_control = rdmsr(MSR_IA32_FEATURE_CONTROL);
    raw->basic = rdmsr(MSR_IA32_VMX_BASIC);
    raw->misc = rdmsr(MSR_IA32_VMX_MISC);
    bool exact = (raw->basic & VMX_BASIC_TRUE_CONTROLS) != 0;
    raw->pin = rdmsr(exact ? MSR_IA32_VMX_TRUE_PINBASED : MSR_IA32_VMX_PINBASED);
    raw->proc = rdmsr(exact ? MSR_IA32_VMX_TRUE_PROCBASED : MSR_IA32_VMX_PROCBASED);
    raw->exit = rdmsr(exact ? MSR_IA32_VMX_TRUE_EXIT : MSR_IA32_VMX_EXIT);
    raw->entry = rdmsr(exact ? MSR_IA32_VMX_TRUE_ENTRY : MSR_IA32_VMX_ENTRY);
    if (((raw->proc >> 32) & PROC_SECONDARY_CONTROLS) != 0) {
        raw->proc2 = rdmsr(MSR_IA32_VMX_PROCBASED2);
    }
    if (((raw->proc2 >> 32) & (PROC2_EPT | PROC2_VPID)) != 0) {
        raw->ept_vpid = rdmsr(MSR_IA32_VMX_EPT_VPID_CAP);
    }
    if (((raw->proc2 >> 32) & PROC2_VM_FUNCTIONS) != 0) {
        raw->vmfunc = rdmsr(MSR_IA32_VMX_VMFUNC);
    }
}

struct line {
    char text[220];
    size_t length;
};

/* Turns the report's pieces into one log line each. */
static void log_report(void *context, const char *bytes, size_t size)
{
    struct line *line = context;

    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') {
            line->text[line->length] = '\0';
            log_error("  %s", line->text);
            line->length = 0;
        } else if (line->length < sizeof(line->text) - 1) {
            line->text[line->length++] = bytes[i] == '\t' ? ' ' : bytes[i];
        }
    }
}

status_t vmx_check_this_cpu(void)
{
    struct vmx_raw raw;
    struct line line = {.length = 0};

    vmx_probe(&raw);
    if (vmx_caps_missing(&raw) == 0) {
        return STATUS_OK;
    }
    log_error("this CPU cannot run Postern; missing:");
    vmx_caps_report(&raw, true, log_report, &line);
    return STATUS_UNSUPPORTED;
}

status_t vmx_check_same(const struct vmx_raw *raw)
{
    struct vmx_raw mine;

    vmx_probe(&mine);
    return vmx_caps_same(raw, &mine) ? STATUS_OK : STATUS_UNSUPPORTED;
}
