/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events on their way into a guest: interrupts, NMIs, exceptions, INIT and SIPI. Where the CPU has
 * virtual-interrupt delivery it decides itself when a virtual interrupt is taken; elsewhere each is
 * injected at an entry, or at the exit that tells that the guest can take one.
 */
#include "arch/x86/cpu.h"
#include "arch/x86/defs/registers.h"
#include "arch/x86/defs/vmx_controls.h"
#include "arch/x86/vmx_insn.h"
#include "core/port.h"
#include "core/scheduler.h"
#include "core/vcpu.h"
#include "core/vcpu_image.h"
#include "core/vcpu_reset.h"
#include "core/vcpu_views.h"
#include "lib/log.h"

/* With these the vCPU does not go on by itself. */
#define LEAVES (VCPU_WORK_YIELD | VCPU_WORK_RESET | VCPU_WORK_PAUSE | VCPU_WORK_SAVE)

void vcpu_inject_exception(struct vcpu *vcpu, unsigned vector, bool has_error, uint32_t error)
{
    /* Real mode has no error codes, and the entry refuses them there. */
    bool pushes = has_error && (vmread(VMCS_GUEST_CR0) & CR0_PE) != 0;

    vcpu->event = EVENT_VALID | EVENT_TYPE_EXCEPTION | vector | (pushes ? EVENT_ERROR_CODE : 0);
    vcpu->event_error_code = error;
    vcpu->event_length = 0;
}

void vcpu_fail_delivery(struct vcpu *vcpu)
{
    const uint32_t double_fault = EVENT_TYPE_EXCEPTION | EXCEPTION_DF;
    bool twice = (vcpu->event & (EVENT_TYPE_MASK | EVENT_VECTOR_MASK)) == double_fault;

    vcpu->event = 0;
    if (!twice) {
        vcpu_inject_exception(vcpu, EXCEPTION_DF, true, 0);
        return;
    }
    log_error("%s/%u: a double fault cannot be delivered: triple fault at rip 0x%llx",
              vcpu->vm->config->name, vcpu->id, (unsigned long long)vmread(VMCS_GUEST_RIP));
    vcpu_dump(vcpu);
    vm_end(vcpu->vm, vcpu->vm->config->on_crash, true);
}

void vcpu_refuse_instruction(struct vcpu *vcpu, const char *why, uint64_t where)
{
    if (vcpu->refused_instructions++ == 0) {
        log_warning("%s/%u: at rip 0x%llx: %s, 0x%llx (more are counted, not told)",
                    vcpu->vm->config->name, vcpu->id, (unsigned long long)vmread(VMCS_GUEST_RIP),
                    why, (unsigned long long)where);
    }
    vcpu_inject_exception(vcpu, EXCEPTION_GP, true, 0);
}

static void set_control(uint32_t control, bool on)
{
    uint32_t controls = vmread32(VMCS_PROC_CONTROLS);

    vmwrite(VMCS_PROC_CONTROLS, on ? controls | control : controls & ~control);
}

static void set_window(struct vcpu *vcpu, bool open)
{
    if (vcpu->window_open != open) {
        set_control(PROC_INTERRUPT_WINDOW_EXITING, open);
        vcpu->window_open = open;
    }
}

static void set_nmi_window(struct vcpu *vcpu, bool open)
{
    if (vcpu->nmi_window_open != open) {
        set_control(PROC_NMI_WINDOW_EXITING, open);
        vcpu->nmi_window_open = open;
    }
}

static bool can_take_interrupt(void)
{
    uint32_t blocked = vmread32(VMCS_GUEST_INTERRUPTIBILITY);

    return (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF) != 0 && (blocked & INTERRUPTIBILITY_SHADOW) == 0;
}

/* Injects the highest pending interrupt, or has the guest exit when it can take one. */
static void inject_interrupt(struct vcpu *vcpu)
{
    int vector = lapic_pending(&vcpu->lapic);

    if (vector >= 0 && vcpu->event == 0 && can_take_interrupt()) {
        lapic_accept(&vcpu->lapic, (uint8_t)vector);
        vcpu->event = EVENT_VALID | EVENT_TYPE_EXTERNAL | (uint32_t)vector;
        vcpu->interrupts_injected++;
        vector = lapic_pending(&vcpu->lapic);
    }
    set_window(vcpu, vector >= 0);
}

/* The CPU is to exit at the end of level-triggered interrupts, which the I/O APIC waits for. */
static void update_eoi_exits(struct vcpu *vcpu)
{
    for (unsigned i = 0; i < 4; i++) {
        uint64_t wanted = lapic_level_triggered(&vcpu->lapic, i);
        if (vcpu->eoi_exits[i] != wanted) {
            vmwrite(VMCS_EOI_EXIT_BITMAP0 + 2 * i, wanted);
            vcpu->eoi_exits[i] = wanted;
        }
    }
}

static void deliver_interrupts(struct vcpu *vcpu)
{
    lapic_sync_posted(&vcpu->lapic);
    if (vcpu_caps()->virtual_interrupt_delivery) {
        update_eoi_exits(vcpu);
        uint32_t status = (uint32_t)lapic_svi(&vcpu->lapic) << 8 | lapic_rvi(&vcpu->lapic);
        vmwrite(VMCS_GUEST_INTERRUPT_STATUS, status);
    } else {
        inject_interrupt(vcpu);
    }
}

/* Injects the NMI, or has the guest exit when it can take it: behind the IRET of another one. */
static void deliver_nmi(struct vcpu *vcpu)
{
    uint32_t blocked = vmread32(VMCS_GUEST_INTERRUPTIBILITY);
    bool possible =
        vcpu->event == 0 && (blocked & (INTERRUPTIBILITY_NMI | INTERRUPTIBILITY_MOV_SS)) == 0;

    if (!possible) {
        set_nmi_window(vcpu, true);
        return;
    }
    if ((blocked & INTERRUPTIBILITY_STI) != 0) {
        /* STI does not hold back NMIs, but an entry does not inject one into its shadow. */
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY, blocked & ~INTERRUPTIBILITY_STI);
    }
    vcpu->event = EVENT_VALID | EVENT_TYPE_NMI | EXCEPTION_NMI;
    vcpu->nmis_pending--;
    set_nmi_window(vcpu, vcpu->nmis_pending != 0);
}

/* The NMIs that were posted. A CPU remembers one while it handles another, and no more: two, when
 * none has been delivered yet. */
static void take_nmis(struct vcpu *vcpu)
{
    bool handling = (vmread32(VMCS_GUEST_INTERRUPTIBILITY) & INTERRUPTIBILITY_NMI) != 0 ||
                    (vcpu->event & EVENT_TYPE_MASK) == EVENT_TYPE_NMI;
    uint32_t most = handling ? 1 : 2;
    uint32_t pending = vcpu->nmis_pending + atomic_exchange(&vcpu->nmis_posted, 0);

    vcpu->nmis_pending = pending < most ? pending : most;
}

/* An interrupt that came before the last one of the VM's has taken its state over may be gone. */
static void load(struct vcpu *vcpu)
{
    vcpu_image_load(vcpu, vcpu->image, vcpu->image_xsave);
    vcpu_set_ve(vcpu, vcpu->image_ve);
    if (atomic_fetch_sub(&vcpu->vm->snapshot.waiting, 1) == 1) {
        port_tell_restored(vcpu->vm);
    }
}

static void start_clock(struct vcpu *vcpu)
{
    uint64_t offset = vcpu->vm->tsc_offset;

    vmwrite(VMCS_TSC_OFFSET, offset);
    if (vcpu->timer_held) {
        vcpu->timer_held = false;
        lapic_release_timer(&vcpu->lapic, offset, vcpu->timer_deadline);
        scheduler_update_timer(vcpu->scheduler);
    }
}

/* INIT and SIPI, and the VM's start and end. True if the vCPU parks. */
static bool change_state(struct vcpu *vcpu, uint32_t work)
{
    if ((work & (VCPU_WORK_PARK | VCPU_WORK_RESET | VCPU_WORK_INIT)) != 0) {
        scheduler_take_timer(vcpu->scheduler);
    }
    if ((work & VCPU_WORK_PARK) != 0) {
        lapic_reset(&vcpu->lapic, LAPIC_X2APIC); /* its timer ends, too */
        vcpu->parking = true;                    /* the scheduler does the rest */
        return true;
    }
    if ((work & VCPU_WORK_RESET) != 0) {
        vcpu_reset(vcpu);
    }
    if ((work & VCPU_WORK_LOAD) != 0) {
        load(vcpu);
    }
    if ((work & VCPU_WORK_INIT) != 0 && vcpu->id != 0) {
        /* The other registers wait for the SIPI; nobody sees them before. */
        lapic_reset(&vcpu->lapic, lapic_mode(&vcpu->lapic));
        atomic_store(&vcpu->state, VCPU_WAITING);
    }
    if ((work & VCPU_WORK_STARTUP) != 0 &&
        atomic_load_explicit(&vcpu->state, memory_order_relaxed) == VCPU_WAITING) {
        vcpu_start_up(vcpu, atomic_load(&vcpu->startup_page));
        atomic_store(&vcpu->state, VCPU_RUNNABLE);
    }
    return false;
}

/* What came before the request is in the image: it was taken with it. */
static void save(struct vcpu *vcpu)
{
    vcpu_image_save(vcpu, vcpu->image, vcpu->image_xsave);
    /* Release: pairs with the acquire in snapshot_is_saved(). */
    atomic_fetch_sub_explicit(&vcpu->vm->snapshot.waiting, 1, memory_order_release);
}

static void save_or_go_on(struct vcpu *vcpu, uint32_t work)
{
    if ((work & VCPU_WORK_SAVE) != 0) {
        save(vcpu);
    }
    if ((work & VCPU_WORK_CLOCK) != 0) {
        start_clock(vcpu);
    }
}

bool vcpu_is_woken(const struct vcpu *vcpu)
{
    bool enabled = (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF) != 0;
    bool nmi_blocked = (vmread32(VMCS_GUEST_INTERRUPTIBILITY) & INTERRUPTIBILITY_NMI) != 0;

    return (vcpu->nmis_pending != 0 && !nmi_blocked) ||
           (enabled && lapic_pending(&vcpu->lapic) >= 0);
}

enum vmx_next vcpu_service(struct vcpu *vcpu)
{
    /* Acquire: pairs with the release in vcpu_request(). */
    uint32_t work = atomic_exchange_explicit(&vcpu->work, 0, memory_order_acquire);

    if ((work & (VCPU_WORK_PARK | VCPU_WORK_RESET | VCPU_WORK_INIT | VCPU_WORK_STARTUP)) != 0 &&
        change_state(vcpu, work)) {
        return VMX_LEAVE;
    }
    if ((work & VCPU_WORK_FLUSH) != 0) {
        atomic_fetch_add(&vcpu->flushes, 1);
        vcpu_flush_views(vcpu);
    }
    if ((work & VCPU_WORK_NMI) != 0) {
        take_nmis(vcpu);
    }
    if (UNLIKELY((work & (VCPU_WORK_SAVE | VCPU_WORK_CLOCK)) != 0)) {
        save_or_go_on(vcpu, work);
    }
    enum vcpu_state state = atomic_load_explicit(&vcpu->state, memory_order_relaxed);
    if (state == VCPU_HALTED) {
        lapic_sync_posted(&vcpu->lapic);
        if (vcpu_is_woken(vcpu)) {
            state = VCPU_RUNNABLE;
            atomic_store_explicit(&vcpu->state, state, memory_order_relaxed);
        }
    }
    if (state != VCPU_RUNNABLE) {
        return VMX_LEAVE;
    }
    if (vcpu->nmis_pending != 0) {
        deliver_nmi(vcpu);
    }
    deliver_interrupts(vcpu);
    /* A reset has turned the time slice off: the scheduler knows whether there is to be one. */
    return (work & LEAVES) != 0 ? VMX_LEAVE : VMX_RESUME;
}
