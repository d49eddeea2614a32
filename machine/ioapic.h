/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An I/O APIC of 24 inputs (Intel 82093AA, with the EOI register of version 0x20). The caller holds
 * the VM's lock.
 */
#ifndef POSTERN_MACHINE_IOAPIC_H
#define POSTERN_MACHINE_IOAPIC_H

#include "lib/types.h"

#define IOAPIC_INPUTS 24u

struct ioapic_ops {
    /* An interrupt message. `destination` is the 8-bit field; `mode` the SDM's delivery mode. */
    void (*deliver)(void *context, uint32_t destination, bool logical, uint8_t vector, uint8_t mode,
                    bool level);
};

struct ioapic {
    const struct ioapic_ops *ops;
    void *context;
    uint32_t select, id;
    uint64_t redirection[IOAPIC_INPUTS];
    bool line[IOAPIC_INPUTS]; /* whether the device asserts the input */
};

void ioapic_init(struct ioapic *ioapic, const struct ioapic_ops *ops, void *context);

/* A 32-bit access at `offset` of the register page; other sizes and offsets read 0 and write
 * nothing, but for the index register, which takes a write of any size. */
uint32_t ioapic_read(struct ioapic *ioapic, uint32_t offset, unsigned size);
void ioapic_write(struct ioapic *ioapic, uint32_t offset, unsigned size, uint32_t value);

/* The device at input `gsi` (< 24) asserts or releases it. */
void ioapic_set_irq(struct ioapic *ioapic, unsigned gsi, bool level);

/* A local APIC has ended a level-triggered interrupt: it comes again if still asserted. */
void ioapic_eoi(struct ioapic *ioapic, uint8_t vector);

/* What a snapshot has of it. */
#define IOAPIC_IMAGE_VERSION 1u

struct ioapic_image {
    uint32_t select, id;
    uint64_t redirection[IOAPIC_INPUTS];
    uint32_t lines; /* a bit for each input that its device asserts */
    uint32_t zero;
};

void ioapic_save(const struct ioapic *ioapic, struct ioapic_image *image);

/* Takes the state over and delivers nothing: what was on its way is in the local APICs' images.
 * False, and no change: no I/O APIC can be in such a state. */
bool ioapic_load(struct ioapic *ioapic, const struct ioapic_image *image) MUST_CHECK;

#endif
