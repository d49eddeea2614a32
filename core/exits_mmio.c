/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * EPT violations: accesses to the trapped devices (I/O APIC, BARs), to nothing at all, or against a
 * window's permissions. A trapped instruction is fetched through the guest's own page tables and
 * decoded; the address is the exit's.
 */
#include "arch/x86/cpu.h"
#include "arch/x86/defs/msr.h"
#include "arch/x86/defs/registers.h"
#include "arch/x86/vmx_insn.h"
#include "core/dirty.h"
#include "core/exits.h"
#include "core/port.h"
#include "core/scheduler.h"
#include "core/vcpu_views.h"
#include "lib/bits.h"
#include "lib/log.h"
#include "lib/string.h"
#include "machine/guest_map.h"
#include "machine/mmio_insn.h"
#include "machine/page_walk.h"
#include "machine/xapic.h"

#define VIOLATION_VALID (VIOLATION_LINEAR | VIOLATION_FINAL)

static bool read_guest(void *context, uint64_t gpa, void *buffer, size_t size)
{
    const struct vm *vm = context;
    const void *memory = vm_memory(vm, gpa, size);

    if (memory == NULL) {
        return false;
    }
    if (size == sizeof(uint64_t)) {
        __builtin_memcpy(buffer, memory, sizeof(uint64_t)); /* an entry of a table: one load */
    } else {
        memcpy(buffer, memory, size);
    }
    return true;
}

bool vcpu_translate(const struct vcpu *vcpu, uint64_t linear, uint64_t *gpa)
{
    struct page_walk walk = {
        .cr0 = vmread(VMCS_GUEST_CR0),
        .cr3 = vmread(VMCS_GUEST_CR3),
        .cr4 = vmread(VMCS_GUEST_CR4),
        .efer = vmread(VMCS_GUEST_EFER),
        .read = read_guest,
        .context = vcpu->vm,
    };

    return page_walk(&walk, linear, gpa) == STATUS_OK;
}

bool vcpu_in_64bit_mode(void)
{
    return (vmread(VMCS_GUEST_EFER) & EFER_LMA) != 0 &&
           (vmread32(VMCS_GUEST_CS_RIGHTS) & SEGMENT_LONG) != 0;
}

size_t vcpu_read_code(const struct vcpu *vcpu, uint64_t rip, uint8_t *bytes, size_t size)
{
    uint64_t linear = rip;
    size_t count = 0;

    if (!vcpu_in_64bit_mode()) {
        linear = (uint32_t)(rip + vmread(VMCS_GUEST_CS_BASE));
    }
    while (count < size) {
        uint64_t gpa = 0;
        uint64_t left = PAGE_SIZE - ((linear + count) & (PAGE_SIZE - 1));
        size_t piece = size - count < left ? size - count : (size_t)left;
        if (!vcpu_translate(vcpu, linear + count, &gpa) ||
            !read_guest(vcpu->vm, gpa, bytes + count, piece)) {
            break;
        }
        count += piece;
    }
    return count;
}

/* Whether the vCPU's local APIC is in xAPIC mode and answers at `gpa`. */
static bool is_lapic(const struct vcpu *vcpu, uint64_t gpa)
{
    return gpa - GUEST_LAPIC_BASE < PAGE_SIZE && lapic_mode(&vcpu->lapic) == LAPIC_XAPIC;
}

/* The function of which a BAR decodes `gpa`; NULL for none. */
static struct pci_function *find_function(struct vm *vm, uint64_t gpa, unsigned *bar,
                                          uint64_t *offset)
{
    struct pci_function *function = NULL;

    spin_lock(&vm->lock);
    bool found = pci_find_bar(&vm->pci, gpa, &function, bar, offset);
    spin_unlock(&vm->lock);
    return found ? function : NULL;
}

/* The device behind `gpa`; nothing reads as all ones, as on a bus where nobody answers. */
static uint64_t device_read(struct vcpu *vcpu, uint64_t gpa, unsigned size)
{
    struct vm *vm = vcpu->vm;
    unsigned bar = 0;
    uint64_t offset = 0;
    uint64_t value;

    if (is_lapic(vcpu, gpa)) {
        return xapic_read(&vcpu->lapic, (uint32_t)(gpa - GUEST_LAPIC_BASE), size, rdtsc());
    }
    if (gpa - GUEST_IOAPIC_BASE < PAGE_SIZE) {
        spin_lock(&vm->lock);
        value = ioapic_read(&vm->ioapic, (uint32_t)(gpa - GUEST_IOAPIC_BASE), size);
        spin_unlock(&vm->lock);
        return value;
    }
    struct pci_function *function = find_function(vm, gpa, &bar, &offset);
    return function != NULL ? function->ops->read(function, bar, offset, size) : ~0ull;
}

static void lapic_page_write(struct vcpu *vcpu, uint32_t offset, unsigned size, uint32_t value)
{
    if (offset == XAPIC_LVT_TIMER) {
        /* A change of mode disarms the timer: the model must have it. */
        scheduler_take_timer(vcpu->scheduler);
    }
    xapic_write(&vcpu->lapic, offset, size, value, rdtsc());
    exit_lapic_changed(vcpu);
}

/* False if nothing is written yet: the instruction is to be executed again. */
static bool device_write(struct vcpu *vcpu, uint64_t gpa, unsigned size, uint64_t value)
{
    struct vm *vm = vcpu->vm;
    unsigned bar = 0;
    uint64_t offset = 0;

    if (is_lapic(vcpu, gpa)) {
        lapic_page_write(vcpu, (uint32_t)(gpa - GUEST_LAPIC_BASE), size, (uint32_t)value);
        return true;
    }
    if (gpa - GUEST_IOAPIC_BASE < PAGE_SIZE) {
        spin_lock(&vm->lock);
        ioapic_write(&vm->ioapic, (uint32_t)(gpa - GUEST_IOAPIC_BASE), size, (uint32_t)value);
        spin_unlock(&vm->lock);
        return true;
    }
    struct pci_function *function = find_function(vm, gpa, &bar, &offset);
    return function == NULL || function->ops->write(function, bar, offset, size, value);
}

static unsigned code_bits(void)
{
    uint32_t rights = vmread32(VMCS_GUEST_CS_RIGHTS);

    if (vcpu_in_64bit_mode()) {
        return 64;
    }
    return (rights & BIT32(14)) != 0 ? 32 : 16;
}

static enum exit_result emulate(struct vcpu *vcpu, uint64_t gpa)
{
    uint8_t bytes[MMIO_INSN_MAX];
    size_t count = vcpu_read_code(vcpu, vmread(VMCS_GUEST_RIP), bytes, sizeof(bytes));
    struct mmio_insn insn;

    if (mmio_insn_decode(bytes, count, code_bits(), &insn) != STATUS_OK) {
        vcpu_refuse_instruction(vcpu, "the instruction is not one for devices", gpa);
        return EXIT_DONE;
    }
    uint64_t content = vcpu_read_register(vcpu, insn.reg);
    if (insn.is_write) {
        if (!device_write(vcpu, gpa, insn.size, mmio_insn_source(&insn, content))) {
            return EXIT_DONE;
        }
    } else {
        uint64_t value = device_read(vcpu, gpa, insn.size);
        vcpu_write_register(vcpu, insn.reg, mmio_insn_complete(&insn, content, value));
    }
    vcpu_advance(vcpu, insn.length);
    return EXIT_DONE;
}

/* Whether a device may answer the access where no window is: not a fetch, nor a page walk's or an
 * event delivery's own. */
static bool is_for_device(const struct vcpu *vcpu, uint64_t qualification)
{
    return (qualification & (VIOLATION_MAPPED | VIOLATION_FETCH)) == 0 &&
           (qualification & VIOLATION_VALID) == VIOLATION_VALID && vcpu->event == 0;
}

/* Whether the default view allows the access by now: another vCPU may have had the window mapped
 * since. */
static bool is_allowed(const struct vcpu *vcpu, uint64_t qualification, uint64_t gpa)
{
    struct ept_translation translation;

    return ept_walk(&vcpu->vm->ept, gpa, &translation) == STATUS_OK &&
           (qualification & ~translation.permissions & 7) == 0;
}

/* The instruction has not been executed: no step of it is pending. Bochs 2.7 says so all the same,
 * and would stop before it for ever. In the shadow of MOV SS it is the step before that is pending.
 */
static void forget_step(void)
{
    bool stepping = (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_TF) != 0;

    if (UNLIKELY(stepping) &&
        (vmread32(VMCS_GUEST_INTERRUPTIBILITY) & INTERRUPTIBILITY_SHADOW) == 0) {
        vmwrite(VMCS_GUEST_PENDING_DEBUG, 0);
    }
}

enum exit_result exit_ept_violation(struct vcpu *vcpu)
{
    uint64_t qualification = vmread(VMCS_EXIT_QUALIFICATION);
    uint64_t gpa = vmread(VMCS_GUEST_PHYSICAL_ADDRESS);

    exit_keep_event(vcpu);
    forget_step();
    if ((qualification & VIOLATION_NMI_UNMASK) != 0 &&
        (vmread32(VMCS_IDT_VECTORING_INFO) & EVENT_VALID) == 0) {
        /* An IRET that faulted has ended the blocking of NMIs already: it will run again. */
        vmwrite(VMCS_GUEST_INTERRUPTIBILITY,
                vmread(VMCS_GUEST_INTERRUPTIBILITY) | INTERRUPTIBILITY_NMI);
    }
    bool in_view = vmread(VMCS_EPT_POINTER) != vcpu->vm->default_view;
    if (UNLIKELY(vcpu->vm->dirty.on) && (qualification & EPT_WRITE) != 0 &&
        dirty_allow(vcpu->vm, gpa, in_view)) {
        return EXIT_DONE;
    }
    if (in_view) {
        return exit_violation_in_view(vcpu, qualification, gpa);
    }
    int gate_page = (qualification & VIOLATION_FETCH) != 0 && vcpu->event == 0
                        ? views_gate_page(&vcpu->vm->views, gpa)
                        : -1;
    if (gate_page >= 0) {
        return exit_resume_crossing(vcpu, (uint32_t)gate_page);
    }
    if ((qualification & VIOLATION_MAPPED) != 0 && is_allowed(vcpu, qualification, gpa)) {
        return EXIT_DONE;
    }
    struct port *port = port_of_window(vcpu->vm, gpa);
    if (port == NULL && is_for_device(vcpu, qualification)) {
        return emulate(vcpu, gpa);
    }
    /* To code outside RAM, or with page tables there, or against a window's permissions: the
     * guest's own fault, told as its hardware would. */
    port_count(port, POSTERN_PORT_VIOLATIONS);
    vcpu_tell_violation(vcpu, qualification, gpa, 0, port != NULL);
    return EXIT_DONE;
}

enum exit_result exit_ept_misconfiguration(struct vcpu *vcpu)
{
    /* The entries are the hypervisor's own; the guest is the one that is known to be affected. */
    log_error("%s/%u: EPT misconfiguration at 0x%llx", vcpu->vm->config->name, vcpu->id,
              (unsigned long long)vmread(VMCS_GUEST_PHYSICAL_ADDRESS));
    return EXIT_STOP;
}
