/* SPDX-License-Identifier: BSD-2-Clause */
/* A vCPU's image: out of its VMCS and registers, and back into them. */
#include "core/vcpu_image.h"

#include "arch/x86/cpu.h"
#include "arch/x86/defs/registers.h"
#include "arch/x86/exceptions.h"
#include "arch/x86/vmx_insn.h"
#include "core/scheduler.h"
#include "core/vcpu.h"
#include "core/vcpu_reset.h"
#include "lib/log.h"
#include "lib/string.h"

#define XSAVE_LEAF 0xdu

/* VMCS fields that are the image's members as they are. */
static const struct {
    enum vmcs_field field;
    size_t offset;
} fields[] = {
    {VMCS_GUEST_RIP, offsetof(struct vcpu_image, rip)},
    {VMCS_GUEST_RFLAGS, offsetof(struct vcpu_image, rflags)},
    {VMCS_GUEST_CR3, offsetof(struct vcpu_image, cr3)},
    {VMCS_GUEST_PDPTE0, offsetof(struct vcpu_image, pdptes[0])},
    {VMCS_GUEST_PDPTE1, offsetof(struct vcpu_image, pdptes[1])},
    {VMCS_GUEST_PDPTE2, offsetof(struct vcpu_image, pdptes[2])},
    {VMCS_GUEST_PDPTE3, offsetof(struct vcpu_image, pdptes[3])},
    {VMCS_GUEST_DR7, offsetof(struct vcpu_image, dr7)},
    {VMCS_GUEST_PAT, offsetof(struct vcpu_image, pat)},
    {VMCS_GUEST_SYSENTER_CS, offsetof(struct vcpu_image, sysenter_cs)},
    {VMCS_GUEST_SYSENTER_ESP, offsetof(struct vcpu_image, sysenter_esp)},
    {VMCS_GUEST_SYSENTER_EIP, offsetof(struct vcpu_image, sysenter_eip)},
    {VMCS_GUEST_GDTR_BASE, offsetof(struct vcpu_image, gdt_base)},
    {VMCS_GUEST_IDTR_BASE, offsetof(struct vcpu_image, idt_base)},
    {VMCS_GUEST_PENDING_DEBUG, offsetof(struct vcpu_image, pending_debug)},
};

uint32_t vcpu_xsave_size(void)
{
    return cpuid(XSAVE_LEAF, 0).ecx;
}

static void save_fields(struct vcpu_image *image)
{
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        uint64_t value = vmread(fields[i].field);
        memcpy((uint8_t *)image + fields[i].offset, &value, sizeof(value));
    }
    /* What of a control register is not the guest's own it reads from the shadow. */
    uint64_t mask0 = vmread(VMCS_CR0_MASK), mask4 = vmread(VMCS_CR4_MASK);
    image->cr0 = (vmread(VMCS_GUEST_CR0) & ~mask0) | (vmread(VMCS_CR0_SHADOW) & mask0);
    image->cr4 = (vmread(VMCS_GUEST_CR4) & ~mask4) | (vmread(VMCS_CR4_SHADOW) & mask4);
    image->efer = vmread(VMCS_GUEST_EFER);
    image->gdt_limit = vmread32(VMCS_GUEST_GDTR_LIMIT);
    image->idt_limit = vmread32(VMCS_GUEST_IDTR_LIMIT);
    image->interruptibility = vmread32(VMCS_GUEST_INTERRUPTIBILITY);
    for (unsigned i = 0; i < VCPU_IMAGE_SEGMENTS; i++) {
        image->segments[i] = (struct vcpu_image_segment){
            .base = vmread(VMCS_GUEST_ES_BASE + 2 * i),
            .limit = vmread32(VMCS_GUEST_ES_LIMIT + 2 * i),
            .rights = vmread32(VMCS_GUEST_ES_RIGHTS + 2 * i),
            .selector = (uint16_t)vmread(VMCS_GUEST_ES_SELECTOR + 2 * i),
        };
    }
}

static void save_context(struct vcpu_image *image, const struct vcpu_context *context)
{
    memcpy(image->dr, context->dr, sizeof(image->dr));
    image->dr6 = context->dr6;
    image->cr2 = context->cr2;
    image->xcr0 = context->xcr0;
    image->star = context->star;
    image->lstar = context->lstar;
    image->cstar = context->cstar;
    image->fmask = context->fmask;
    image->kernel_gs_base = context->kernel_gs_base;
    image->tsc_aux = context->tsc_aux;
}

static enum vcpu_image_state image_state(enum vcpu_state state)
{
    return state == VCPU_WAITING  ? VCPU_IMAGE_WAITING
           : state == VCPU_HALTED ? VCPU_IMAGE_HALTED
                                  : VCPU_IMAGE_RUNNABLE;
}

void vcpu_image_save(struct vcpu *vcpu, struct vcpu_image *image, void *xsave_area)
{
    memset(image, 0, sizeof(*image));
    /* The model has the timer's deadline, and memory what the CPU has of the guest's registers. */
    scheduler_take_timer(vcpu->scheduler);
    vcpu_save_context(vcpu);
    memcpy(xsave_area, vcpu->context.xsave_area, vcpu_xsave_size());
    vcpu_load_context(vcpu);

    for (unsigned i = 0; i < ARRAY_SIZE(image->registers); i++) {
        image->registers[i] = vcpu_read_register(vcpu, i);
    }
    save_fields(image);
    save_context(image, &vcpu->context);
    image->state = image_state(atomic_load(&vcpu->state));
    image->event = vcpu->event;
    image->event_error_code = vcpu->event_error_code;
    image->event_length = vcpu->event_length;
    image->nmis_pending = vcpu->nmis_pending;
    image->msrs = vcpu->msrs;
    lapic_save(&vcpu->lapic, vcpu->vm->tsc_offset, &image->lapic);
    if (vcpu->timer_held) {
        image->lapic.deadline = vcpu->timer_deadline;
    }
}

static void load_fields(const struct vcpu_image *image)
{
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        uint64_t value;
        memcpy(&value, (const uint8_t *)image + fields[i].offset, sizeof(value));
        vmwrite(fields[i].field, value);
    }
    vcpu_set_mode(image->cr0, image->cr4, image->efer);
    vmwrite(VMCS_GUEST_GDTR_LIMIT, image->gdt_limit);
    vmwrite(VMCS_GUEST_IDTR_LIMIT, image->idt_limit);
    vmwrite(VMCS_GUEST_INTERRUPTIBILITY, image->interruptibility);
    for (unsigned i = 0; i < VCPU_IMAGE_SEGMENTS; i++) {
        vmwrite(VMCS_GUEST_ES_BASE + 2 * i, image->segments[i].base);
        vmwrite(VMCS_GUEST_ES_LIMIT + 2 * i, image->segments[i].limit);
        vmwrite(VMCS_GUEST_ES_RIGHTS + 2 * i, image->segments[i].rights);
        vmwrite(VMCS_GUEST_ES_SELECTOR + 2 * i, image->segments[i].selector);
    }
}

static void load_context(struct vcpu_context *context, const struct vcpu_image *image)
{
    memcpy(context->dr, image->dr, sizeof(context->dr));
    context->dr6 = image->dr6;
    context->cr2 = image->cr2;
    context->xcr0 = image->xcr0;
    context->star = image->star;
    context->lstar = image->lstar;
    context->cstar = image->cstar;
    context->fmask = image->fmask;
    context->kernel_gs_base = image->kernel_gs_base;
    context->tsc_aux = image->tsc_aux;
}

/* Whether the CPU takes what it may still refuse: the checks do not know each CPU. */
static bool cpu_takes(const struct vcpu_image *image, const void *xsave_area)
{
    if (xsetbv_safe(0, image->xcr0) != STATUS_OK) {
        return false;
    }
    struct cpuid_result all = cpuid(XSAVE_LEAF, 0);
    uint64_t components = (uint64_t)all.edx << 32 | all.eax;
    xsetbv(0, components);
    return xrstor_safe(xsave_area, components) == STATUS_OK;
}

void vcpu_image_load(struct vcpu *vcpu, const struct vcpu_image *image, const void *xsave_area)
{
    uint8_t *area = vcpu->context.xsave_area;

    memcpy(area, xsave_area, vcpu_xsave_size());
    if (!cpu_takes(image, area)) {
        log_error("%s/%u: the CPU refuses the snapshot's XSAVE state", vcpu->vm->config->name,
                  vcpu->id);
        vcpu_init_context(vcpu);
        vcpu_load_context(vcpu);
        vm_end(vcpu->vm, vcpu->vm->config->on_crash, true);
        return;
    }
    load_context(&vcpu->context, image);
    vcpu_load_context(vcpu);
    load_fields(image);
    for (unsigned i = 0; i < ARRAY_SIZE(image->registers); i++) {
        vcpu_write_register(vcpu, i, image->registers[i]);
    }
    vcpu->event = image->event;
    vcpu->event_error_code = image->event_error_code;
    vcpu->event_length = image->event_length;
    vcpu->nmis_pending = image->nmis_pending;
    vcpu->msrs = image->msrs;
    lapic_load(&vcpu->lapic, vcpu->vm->tsc_offset, &image->lapic);
    vcpu->timer_deadline = lapic_hold_timer(&vcpu->lapic, vcpu->vm->tsc_offset);
    vcpu->timer_held = true;
    static const enum vcpu_state states[] = {[VCPU_IMAGE_WAITING] = VCPU_WAITING,
                                             [VCPU_IMAGE_RUNNABLE] = VCPU_RUNNABLE,
                                             [VCPU_IMAGE_HALTED] = VCPU_HALTED};
    atomic_store(&vcpu->state, states[image->state]);
    scheduler_update_timer(vcpu->scheduler);
}
