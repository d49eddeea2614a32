/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's local APIC, driven as in x2APIC mode (SDM "Extended xAPIC (x2APIC)"); xapic.h is the
 * other way to it. Its registers lie in a page laid out as the virtual-APIC page, so that the CPU
 * can work on the very same page where it virtualises registers and delivers interrupts itself;
 * elsewhere this model does all of it.
 *
 * Only the vCPU's own pCPU calls these functions, but for lapic_post() and lapic_target_matches(),
 * which any may call.
 */
#ifndef POSTERN_MACHINE_LAPIC_H
#define POSTERN_MACHINE_LAPIC_H

#include "lib/types.h"
#include "machine/posted_interrupt.h"

enum lapic_shorthand {
    LAPIC_SHORTHAND_NONE,
    LAPIC_SHORTHAND_SELF,
    LAPIC_SHORTHAND_ALL,
    LAPIC_SHORTHAND_OTHERS
};

enum lapic_mode { LAPIC_OFF, LAPIC_XAPIC, LAPIC_X2APIC };

struct lapic_ipi {
    uint8_t mode; /* the SDM's delivery mode */
    uint8_t vector;
    bool logical;
    enum lapic_shorthand shorthand;
    uint32_t destination;
};

struct lapic_ops {
    void (*send_ipi)(void *context, const struct lapic_ipi *ipi);
    /* A level-triggered interrupt has ended. */
    void (*eoi)(void *context, uint8_t vector);
};

struct lapic {
    const struct lapic_ops *ops;
    void *context;
    void *page; /* 4 KiB, the caller's */
    uint32_t id;
    uint64_t tsc_per_tick;    /* of the timer's undivided clock */
    uint32_t icr_destination; /* of xAPIC mode, for the next write to the ICR */
    uint32_t errors;          /* since the last write to the ESR, which will show them */

    /* What messages address it by, read by any CPU. Of xAPIC mode: LDR and DFR. */
    _Atomic(enum lapic_mode) mode;
    _Atomic uint32_t ldr, dfr;

    /* Interrupts on their way, set by any CPU. Level-triggered ones are apart, where the CPU does
     * not take them in by itself: first it must be told to exit at their end. */
    struct posted_interrupts posted;
    _Atomic uint64_t posted_level[POSTED_WORDS];

    /* The timer: when it expires next, UINT64_MAX if never, and its period in TSC ticks. */
    uint64_t deadline;
    uint64_t period;
};

/* Wires the APIC; once. `page` is set by the caller before. */
void lapic_init(struct lapic *lapic, const struct lapic_ops *ops, void *context, uint32_t id,
                uint64_t tsc_per_tick);

/* The state after reset, in `mode`: in x2APIC mode where the VM starts, in the one that it has for
 * INIT, which does not change it. */
void lapic_reset(struct lapic *lapic, enum lapic_mode mode);

enum lapic_mode lapic_mode(const struct lapic *lapic);

/* Changes the mode, and nothing else that a guest sees. */
void lapic_set_mode(struct lapic *lapic, enum lapic_mode mode);

/* RDMSR and WRMSR of 0x800 to 0x8ff; `tsc` is now. False: #GP. */
bool lapic_read_msr(struct lapic *lapic, uint32_t msr, uint64_t tsc, uint64_t *value);
bool lapic_write_msr(struct lapic *lapic, uint32_t msr, uint64_t tsc, uint64_t value);

/* IA32_TSC_DEADLINE. */
uint64_t lapic_read_tsc_deadline(const struct lapic *lapic);
void lapic_write_tsc_deadline(struct lapic *lapic, uint64_t value);

/* Has `vector` become pending. True if the vCPU's pCPU must be told to look: by what
 * posted_notify(&lapic->posted) says if it is edge-triggered, else by a request. */
bool lapic_post(struct lapic *lapic, uint8_t vector, bool level);

/* Takes the posted interrupts into the IRR. */
void lapic_sync_posted(struct lapic *lapic);

/* The vector that can be delivered now, by priority; -1: none. */
int lapic_pending(const struct lapic *lapic);

/* `vector`, which lapic_pending() gave, is delivered: IRR to ISR. */
void lapic_accept(struct lapic *lapic, uint8_t vector);

/* Highest requested and in-service vector, 0 for none: the guest interrupt status of the VMCS. */
uint8_t lapic_rvi(const struct lapic *lapic);
uint8_t lapic_svi(const struct lapic *lapic);

/* Which of the vectors 64 * index to 64 * index + 63 came last as level-triggered interrupts. */
uint64_t lapic_level_triggered(const struct lapic *lapic, unsigned index);

/* Whether an interrupt message with this destination is for this APIC. In xAPIC mode destinations
 * are 8 bits wide. */
bool lapic_target_matches(const struct lapic *lapic, uint32_t destination, bool logical);

/* An 8-bit destination, of the I/O APIC or an MSI, as the 32-bit one: 0xff is the broadcast. */
uint32_t lapic_extend_destination(uint32_t destination);

/* Whether the timer is in TSC-deadline mode. */
bool lapic_timer_is_deadline(const struct lapic *lapic);

/* The absolute TSC of the timer's expiry, UINT64_MAX if it is not running. */
uint64_t lapic_timer_deadline(const struct lapic *lapic);

/* If the timer is due, posts its interrupt, and sets up the next period. True if it was due. */
bool lapic_timer_expire(struct lapic *lapic, uint64_t tsc);

/* What a snapshot has of it. */
#define LAPIC_IMAGE_VERSION 1u
#define LAPIC_LVTS          6u

struct lapic_image {
    uint32_t mode; /* enum lapic_mode */
    uint32_t tpr, svr, esr, errors;
    uint32_t icr, icr_high, icr_destination;
    uint32_t ldr, dfr;
    uint32_t lvts[LAPIC_LVTS]; /* timer, thermal, performance, LINT0, LINT1, error */
    uint32_t initial, divide;
    uint32_t isr[8], tmr[8], irr[8];
    uint64_t deadline; /* by the guest's TSC; UINT64_MAX: the timer is not running */
};

/* `tsc_offset`: what the guest's TSC is ahead. What is posted is in the image, too. */
void lapic_save(struct lapic *lapic, uint64_t tsc_offset, struct lapic_image *image);

/* False: no APIC can be in such a state. */
bool lapic_image_is_valid(const struct lapic_image *image) MUST_CHECK;

/* Takes the state over from a valid image; the APIC has been reset. */
void lapic_load(struct lapic *lapic, uint64_t tsc_offset, const struct lapic_image *image);

/* Has its timer stand still, as the guest's TSC does; it comes with its deadline by that TSC, as
 * images have it. And lets it run again, with what the TSC is ahead by then. */
uint64_t lapic_hold_timer(struct lapic *lapic, uint64_t tsc_offset);
void lapic_release_timer(struct lapic *lapic, uint64_t tsc_offset, uint64_t deadline);

#endif
