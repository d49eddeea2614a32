/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/interrupts.h"

#include "core/scheduler.h"

/* Delivery modes of interrupt messages and of the ICR (SDM "Interrupt Command Register"). */
enum delivery_mode {
    DELIVER_FIXED = 0,
    DELIVER_LOWEST = 1,
    DELIVER_NMI = 4,
    DELIVER_INIT = 5,
    DELIVER_STARTUP = 6
};

void interrupts_nmi(struct vcpu *vcpu)
{
    /* Relaxed: seen with the request, which is a release. */
    atomic_fetch_add_explicit(&vcpu->nmis_posted, 1, memory_order_relaxed);
    vcpu_request(vcpu, VCPU_WORK_NMI);
}

static void post(struct vcpu *vcpu, uint8_t vector, bool level)
{
    if (!lapic_post(&vcpu->lapic, vector, level)) {
        return;
    }
    if (level) {
        vcpu_request(vcpu, VCPU_WORK_INTERRUPT);
    } else {
        vcpu_request_posted(vcpu);
    }
}

static void deliver_to(struct vcpu *vcpu, uint8_t mode, uint8_t vector, bool level)
{
    switch (mode) {
    case DELIVER_FIXED:
    case DELIVER_LOWEST:
        post(vcpu, vector, level);
        break;
    case DELIVER_NMI:
        interrupts_nmi(vcpu);
        break;
    case DELIVER_INIT:
        vcpu_request(vcpu, VCPU_WORK_INIT);
        break;
    case DELIVER_STARTUP:
        atomic_store(&vcpu->startup_page, vector);
        vcpu_request(vcpu, VCPU_WORK_STARTUP);
        break;
    default:
        break; /* SMI and reserved modes: a guest has no SMM */
    }
}

static void deliver(struct vm *vm, uint32_t destination, bool logical, uint8_t mode, uint8_t vector,
                    bool level)
{
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        struct vcpu *vcpu = &vm->vcpus[i];
        if (!lapic_target_matches(&vcpu->lapic, destination, logical)) {
            continue;
        }
        deliver_to(vcpu, mode, vector, level);
        if (mode == DELIVER_LOWEST) {
            return;
        }
    }
}

void interrupts_from_ioapic(void *context, uint32_t destination, bool logical, uint8_t vector,
                            uint8_t mode, bool level)
{
    deliver(context, lapic_extend_destination(destination), logical, mode, vector, level);
}

void interrupts_from_msi(struct vm *vm, const struct msi_message *message)
{
    struct msi_decoded msi = msi_decode(message);

    deliver(vm, lapic_extend_destination(msi.destination), msi.logical, msi.mode, msi.vector,
            false);
}

void interrupts_send_ipi(void *context, const struct lapic_ipi *ipi)
{
    struct vcpu *sender = context;
    struct vm *vm = sender->vm;

    if (ipi->shorthand == LAPIC_SHORTHAND_NONE) {
        deliver(vm, ipi->destination, ipi->logical, ipi->mode, ipi->vector, false);
        return;
    }
    for (uint32_t i = 0; i < vm->vcpu_count; i++) {
        bool self = &vm->vcpus[i] == sender;
        if ((ipi->shorthand == LAPIC_SHORTHAND_SELF && self) ||
            (ipi->shorthand == LAPIC_SHORTHAND_OTHERS && !self) ||
            ipi->shorthand == LAPIC_SHORTHAND_ALL) {
            deliver_to(&vm->vcpus[i], ipi->mode, ipi->vector, false);
        }
    }
}
