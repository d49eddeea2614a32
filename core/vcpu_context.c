/* SPDX-License-Identifier: BSD-2-Clause */
/* What a vCPU's registers need when another one takes the pCPU: VMX switches most of them, this
 * file the rest. A vCPU that is alone on its pCPU never pays for it. */
#include "arch/x86/cpu.h"
#include "arch/x86/defs/msr.h"
#include "arch/x86/exceptions.h"
#include "arch/x86/pcpu.h"
#include "arch/x86/vmx_insn.h"
#include "core/vcpu.h"
#include "lib/panic.h"
#include "lib/string.h"

static const struct {
    uint32_t msr;
    size_t offset;
} switched_msrs[] = {
    {MSR_IA32_STAR, offsetof(struct vcpu_context, star)},
    {MSR_IA32_LSTAR, offsetof(struct vcpu_context, lstar)},
    {MSR_IA32_CSTAR, offsetof(struct vcpu_context, cstar)},
    {MSR_IA32_FMASK, offsetof(struct vcpu_context, fmask)},
    {MSR_IA32_KERNEL_GS_BASE, offsetof(struct vcpu_context, kernel_gs_base)},
};

#define DR6_RESET        0xffff0ff0ull
#define XCR0_RESET       1ull
#define XSAVE_HEADER_END 576u
#define MXCSR            24u /* in the legacy region of the XSAVE area */
#define MXCSR_RESET      0x1f80u

static uint64_t *slot(struct vcpu_context *context, unsigned index)
{
    return (uint64_t *)((char *)context + switched_msrs[index].offset);
}

/* The state components of XSAVE that are swapped: all that the CPU has, so that nothing of one
 * guest is left for the next. */
static uint64_t all_components(void)
{
    static uint64_t components;

    if (components == 0) {
        /* Each CPU would find the same. */
        struct cpuid_result r = cpuid(0xd, 0);
        components = (uint64_t)r.edx << 32 | r.eax;
    }
    return components;
}

void vcpu_init_context(struct vcpu *vcpu)
{
    struct vcpu_context *context = &vcpu->context;
    uint8_t *area = context->xsave_area;

    *context = (struct vcpu_context){.dr6 = DR6_RESET, .xcr0 = XCR0_RESET, .xsave_area = area};
    /* A header of zeros means "all in the initial state". */
    memset(area, 0, XSAVE_HEADER_END);
    memcpy(area + MXCSR, &(uint32_t){MXCSR_RESET}, sizeof(uint32_t));
}

void vcpu_save_context(struct vcpu *vcpu)
{
    struct vcpu_context *context = &vcpu->context;

    for (unsigned i = 0; i < ARRAY_SIZE(switched_msrs); i++) {
        *slot(context, i) = rdmsr(switched_msrs[i].msr);
    }
    if (vcpu->vm->cpuid.rdtscp) {
        context->tsc_aux = rdmsr(MSR_IA32_TSC_AUX);
    }
    context->cr2 = read_cr2();
    context->dr[0] = read_dr0();
    context->dr[1] = read_dr1();
    context->dr[2] = read_dr2();
    context->dr[3] = read_dr3();
    context->dr6 = read_dr6();
    xsetbv(0, all_components());
    xsave(context->xsave_area, all_components());
}

void vcpu_depart(struct vcpu *vcpu)
{
    ASSERT(vmx_clear((uint64_t)vcpu->vmx.vmcs));
    vcpu->vmx.launched = 0;
    vcpu->arrives = true;
}

void vcpu_arrive(struct vcpu *vcpu)
{
    vcpu->arrives = false;
    vmx_host_state(&vcpu->vmx);
    posted_set_target(&vcpu->lapic.posted, VECTOR_POSTED, this_pcpu()->apic_id);
    /* Requests to flush have gone to where it was: what this CPU has from an earlier stay of its
     * may be older than any of them. Of all views, and by its guest's own tables. */
    (void)invept(INVEPT_ALL, 0);
    if (vcpu_caps()->vpid) {
        (void)invvpid(INVVPID_SINGLE, vcpu->vpid);
    }
}

void vcpu_load_context(struct vcpu *vcpu)
{
    struct vcpu_context *context = &vcpu->context;

    vmx_vcpu_load(&vcpu->vmx);
    for (unsigned i = 0; i < ARRAY_SIZE(switched_msrs); i++) {
        /* The guest wrote them itself, so the CPU has accepted them before. */
        wrmsr(switched_msrs[i].msr, *slot(context, i));
    }
    if (vcpu->vm->cpuid.rdtscp) {
        wrmsr(MSR_IA32_TSC_AUX, context->tsc_aux);
    }
    if (vcpu->vm->cpuid.xsaves) {
        wrmsr(MSR_IA32_XSS, context->xss);
    }
    write_cr2(context->cr2);
    write_dr0(context->dr[0]);
    write_dr1(context->dr[1]);
    write_dr2(context->dr[2]);
    write_dr3(context->dr[3]);
    write_dr6(context->dr6);
    xsetbv(0, all_components());
    xrstor(context->xsave_area, all_components());
    xsetbv(0, context->xcr0);
}
