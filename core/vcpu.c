/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/vcpu.h"

#include "arch/x86/cpu.h"
#include "arch/x86/defs/msr.h"
#include "arch/x86/defs/registers.h"
#include "arch/x86/defs/vmx_controls.h"
#include "arch/x86/vmx_insn.h"
#include "core/exits.h"
#include "core/interrupts.h"
#include "core/scheduler.h"
#include "lib/format.h"
#include "lib/log.h"
#include "lib/pages.h"

#define REGISTER_RSP 4u /* in the VMCS */

/* Offsets of the general registers in the order of the encodings; RSP has none. */
static const uint8_t register_offsets[16] = {
    offsetof(struct vmx_registers, rax),
    offsetof(struct vmx_registers, rcx),
    offsetof(struct vmx_registers, rdx),
    offsetof(struct vmx_registers, rbx),
    0,
    offsetof(struct vmx_registers, rbp),
    offsetof(struct vmx_registers, rsi),
    offsetof(struct vmx_registers, rdi),
    offsetof(struct vmx_registers, r8),
    offsetof(struct vmx_registers, r9),
    offsetof(struct vmx_registers, r10),
    offsetof(struct vmx_registers, r11),
    offsetof(struct vmx_registers, r12),
    offsetof(struct vmx_registers, r13),
    offsetof(struct vmx_registers, r14),
    offsetof(struct vmx_registers, r15),
};

static const struct vmx_caps *caps;
static uint64_t preemption_ticks_per_ms;

void vcpu_use_caps(const struct vmx_caps *machine, uint64_t tsc_hz)
{
    caps = machine;
    preemption_ticks_per_ms = (tsc_hz / 1000) >> caps->preemption_timer_shift;
    preemption_ticks_per_ms = preemption_ticks_per_ms == 0 ? 1 : preemption_ticks_per_ms;
}

const struct vmx_caps *vcpu_caps(void)
{
    return caps;
}

uint64_t vcpu_count_exits(const struct vcpu *vcpu)
{
    uint64_t sum = 0;

    for (uint32_t reason = 0; reason < EXIT_REASON_COUNT; reason++) {
        sum += vcpu->exits[reason];
    }
    return sum;
}

uint64_t vcpu_read_register(const struct vcpu *vcpu, unsigned index)
{
    const char *registers = (const char *)&vcpu->vmx.registers;

    return index == REGISTER_RSP
               ? vmread(VMCS_GUEST_RSP)
               : *(const uint64_t *)(const void *)(registers + register_offsets[index & 15]);
}

void vcpu_write_register(struct vcpu *vcpu, unsigned index, uint64_t value)
{
    char *registers = (char *)&vcpu->vmx.registers;

    if (index == REGISTER_RSP) {
        vmwrite(VMCS_GUEST_RSP, value);
    } else {
        *(uint64_t *)(void *)(registers + register_offsets[index & 15]) = value;
    }
}

/* The op of a local APIC for the end of a level-triggered interrupt. */
static void end_of_interrupt(void *context, uint8_t vector)
{
    struct vm *vm = ((struct vcpu *)context)->vm;

    spin_lock(&vm->lock);
    ioapic_eoi(&vm->ioapic, vector);
    spin_unlock(&vm->lock);
}

void vcpu_init(struct vcpu *vcpu, struct vm *vm, uint32_t id)
{
    static const struct lapic_ops lapic_operations = {interrupts_send_ipi, end_of_interrupt};
    static uint16_t vpids;

    vcpu->vm = vm;
    vcpu->id = id;
    vcpu->vpid = ++vpids;
    vcpu->vmx.on_exit = exit_handle;
    lapic_init(&vcpu->lapic, &lapic_operations, vcpu, id, cpuid_tsc_per_crystal(vm->cpuid.tsc_hz));
    atomic_store(&vcpu->state, VCPU_PARKED);
}

status_t vcpu_create(struct vcpu *vcpu)
{
    struct page_runs *memory = &vcpu->vm->memory;

    vcpu->vmx.vmcs = page_runs_alloc_bytes(memory, PAGE_SIZE);
    vcpu->lapic.page = page_runs_alloc_bytes(memory, PAGE_SIZE);
    vcpu->eptp_list = page_runs_alloc_bytes(memory, PAGE_SIZE);
    vcpu->context.xsave_area = page_runs_alloc_bytes(memory, cpuid(0xd, 0).ecx);
    if (vcpu->vmx.vmcs == NULL || vcpu->lapic.page == NULL || vcpu->eptp_list == NULL ||
        vcpu->context.xsave_area == NULL) {
        return STATUS_NO_MEMORY;
    }
    vcpu_init_context(vcpu);
    return vmx_vmcs_prepare(vcpu->vmx.vmcs);
}

void vcpu_destroy(struct vcpu *vcpu)
{
    vcpu->vmx.vmcs = NULL;
    vcpu->lapic.page = NULL;
    vcpu->eptp_list = NULL;
    vcpu->context.xsave_area = NULL;
    vcpu->log = NULL;
    vcpu->ve = NULL;
}

void vcpu_set_slice(struct vcpu *vcpu, uint32_t ms)
{
    uint32_t pin = caps->pin & ~PIN_PREEMPTION_TIMER;
    uint32_t exit = caps->exit & ~EXIT_SAVE_PREEMPTION_TIMER;

    (void)vcpu;
    if (ms == 0) {
        vmwrite(VMCS_PIN_CONTROLS, pin);
        vmwrite(VMCS_EXIT_CONTROLS, exit);
    } else {
        /* Its value is saved at exits, so that the slice is not begun anew by each. */
        vmwrite(VMCS_PIN_CONTROLS, pin | PIN_PREEMPTION_TIMER);
        vmwrite(VMCS_EXIT_CONTROLS, caps->exit);
        uint64_t ticks = ms * preemption_ticks_per_ms;
        vmwrite(VMCS_PREEMPTION_TIMER, ticks < UINT32_MAX ? ticks : UINT32_MAX);
    }
}

void vcpu_set_spin_exits(struct vcpu *vcpu, bool on)
{
    uint32_t controls = vmread32(VMCS_PROC_CONTROLS2) & ~PROC2_PAUSE_LOOP_EXITING;

    (void)vcpu;
    if (caps->pause_loop_exiting) {
        vmwrite(VMCS_PROC_CONTROLS2, controls | (on ? PROC2_PAUSE_LOOP_EXITING : 0));
    }
}

void vcpu_set_waits(struct vcpu *vcpu, bool on)
{
    const uint32_t both = PROC_MWAIT_EXITING | PROC_MONITOR_EXITING;

    if (vcpu->vm->cpuid.mwait) {
        uint32_t controls = vmread32(VMCS_PROC_CONTROLS) & ~both;
        vmwrite(VMCS_PROC_CONTROLS, controls | (on ? 0 : caps->proc & both));
    }
}

void vcpu_set_ticks(struct vcpu *vcpu, uint32_t ticks)
{
    vmwrite(VMCS_PIN_CONTROLS, caps->pin | PIN_PREEMPTION_TIMER);
    vmwrite(VMCS_EXIT_CONTROLS, caps->exit);
    vmwrite(VMCS_PREEMPTION_TIMER, ticks);
    vcpu->scheduler->slicing = true; /* the scheduler turns it off or sets its own */
}

void vcpu_pass_timer(struct vcpu *vcpu, bool pass)
{
    const struct vm *vm = vcpu->vm;

    vmwrite(VMCS_MSR_BITMAP, (uint64_t)(pass ? vm->msr_bitmap_timer : vm->msr_bitmap));
}

/*
 * vmx_run(), with the CPU taking posted interrupts where it can. They come in three ways, and none
 * is lost:
 *
 * - Before the guest is entered and after it was left, whoever posts sees SN set and requests
 *   attention by vcpu->work and a kick. The kick of a request that came after the last look at
 *   vcpu->work is pending at the entry, since interrupts are off, and exits at once.
 * - In between he sees SN clear and sends the notification. In the guest the CPU takes it. While an
 *   exit is handled it stays pending, and the CPU takes it right behind the entry that follows.
 * - Or the exit is one that leaves. Then the notification finds this CPU in its HLT, which it ends,
 *   or in another guest, whose own requests it has the CPU look at. It is the look behind SN that
 *   finds the request, and turns it into a request for attention.
 */
static bool enter_guest(struct vcpu *vcpu, uint32_t *error)
{
    if (!caps->posted_interrupts) {
        return vmx_run(&vcpu->vmx, error);
    }
    posted_allow(&vcpu->lapic.posted);
    bool entered = vmx_run(&vcpu->vmx, error);
    if (posted_suppress(&vcpu->lapic.posted)) {
        atomic_fetch_or_explicit(&vcpu->work, VCPU_WORK_INTERRUPT, memory_order_relaxed);
    }
    return entered;
}

void vcpu_run(struct vcpu *vcpu)
{
    uint32_t error = 0;

    /* It has been chosen: an older wish to have it yield is fulfilled. */
    atomic_fetch_and_explicit(&vcpu->work, ~(uint32_t)VCPU_WORK_YIELD, memory_order_relaxed);
    if (atomic_load_explicit(&vcpu->work, memory_order_relaxed) != 0) {
        enum vmx_next next = vcpu_service(vcpu);
        vcpu_write_event(vcpu);
        if (next == VMX_LEAVE) {
            return;
        }
    }
    if (!enter_guest(vcpu, &error)) {
        log_error("%s/%u: the CPU refuses the VM entry, VM-instruction error %u",
                  vcpu->vm->config->name, vcpu->id, error);
        vcpu_dump(vcpu);
        vm_end(vcpu->vm, vcpu->vm->config->on_crash, true);
    }
}

static void dump_segment(const char *name, enum vmcs_field selector, enum vmcs_field base,
                         enum vmcs_field limit, enum vmcs_field rights)
{
    log_error("  %s %04x base %016llx limit %08x rights %05x", name, vmread32(selector),
              (unsigned long long)vmread(base), vmread32(limit), vmread32(rights));
}

static void dump_code(const struct vcpu *vcpu)
{
    uint64_t rip = vmread(VMCS_GUEST_RIP);
    uint8_t bytes[15];
    char text[64];
    size_t at = 0;
    size_t count = vcpu_read_code(vcpu, rip, bytes, sizeof(bytes));

    for (size_t i = 0; i < count; i++) {
        at += format_string(text + at, sizeof(text) - at, " %02x", bytes[i]);
    }
    if (count > 0) {
        log_error("  code at rip:%s", text);
    }
}

void vcpu_dump(struct vcpu *vcpu)
{
    const struct vmx_registers *r = &vcpu->vmx.registers;

    log_error("  rip %016llx rsp %016llx rflags %08llx activity %u interruptibility %x",
              (unsigned long long)vmread(VMCS_GUEST_RIP),
              (unsigned long long)vmread(VMCS_GUEST_RSP),
              (unsigned long long)vmread(VMCS_GUEST_RFLAGS), vmread32(VMCS_GUEST_ACTIVITY),
              vmread32(VMCS_GUEST_INTERRUPTIBILITY));
    log_error("  rax %016llx rbx %016llx rcx %016llx rdx %016llx", (unsigned long long)r->rax,
              (unsigned long long)r->rbx, (unsigned long long)r->rcx, (unsigned long long)r->rdx);
    log_error("  rsi %016llx rdi %016llx rbp %016llx r8  %016llx", (unsigned long long)r->rsi,
              (unsigned long long)r->rdi, (unsigned long long)r->rbp, (unsigned long long)r->r8);
    log_error(
        "  cr0 %08llx cr3 %016llx cr4 %08llx efer %llx", (unsigned long long)vmread(VMCS_GUEST_CR0),
        (unsigned long long)vmread(VMCS_GUEST_CR3), (unsigned long long)vmread(VMCS_GUEST_CR4),
        (unsigned long long)vmread(VMCS_GUEST_EFER));
    dump_segment("cs", VMCS_GUEST_CS_SELECTOR, VMCS_GUEST_CS_BASE, VMCS_GUEST_CS_LIMIT,
                 VMCS_GUEST_CS_RIGHTS);
    dump_segment("ss", VMCS_GUEST_SS_SELECTOR, VMCS_GUEST_SS_BASE, VMCS_GUEST_SS_LIMIT,
                 VMCS_GUEST_SS_RIGHTS);
    dump_segment("tr", VMCS_GUEST_TR_SELECTOR, VMCS_GUEST_TR_BASE, VMCS_GUEST_TR_LIMIT,
                 VMCS_GUEST_TR_RIGHTS);
    log_error("  exit reason %x qualification %llx gpa %llx linear %llx vectoring %x",
              vmread32(VMCS_EXIT_REASON), (unsigned long long)vmread(VMCS_EXIT_QUALIFICATION),
              (unsigned long long)vmread(VMCS_GUEST_PHYSICAL_ADDRESS),
              (unsigned long long)vmread(VMCS_GUEST_LINEAR_ADDRESS),
              vmread32(VMCS_IDT_VECTORING_INFO));
    dump_code(vcpu);
}
