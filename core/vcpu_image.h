/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a snapshot has of a vCPU: its registers as its guest sees them, the events on their way, its
 * local APIC. An image may come from anybody: what the CPU would not check at the entry, or would
 * check in the hypervisor, is checked here. What an image can do then is what a guest can do.
 */
#ifndef POSTERN_CORE_VCPU_IMAGE_H
#define POSTERN_CORE_VCPU_IMAGE_H

#include "core/snapshot_image.h"
#include "machine/guest_kernel.h"
#include "machine/lapic.h"
#include "machine/msr_policy.h"

#define VCPU_IMAGE_VERSION  1u
#define VCPU_XSAVE_VERSION  1u
#define VCPU_IMAGE_SEGMENTS 8u /* ES, CS, SS, DS, FS, GS, LDTR, TR */

enum vcpu_image_state {
    VCPU_IMAGE_WAITING, /* for a startup IPI */
    VCPU_IMAGE_RUNNABLE,
    VCPU_IMAGE_HALTED
};

struct vcpu_image_segment {
    uint64_t base;
    uint32_t limit, rights; /* in the form of the VMCS */
    uint16_t selector;
    uint16_t zero[3];
};

struct vcpu_image {
    uint64_t registers[16]; /* in the order of the encodings: RAX, RCX, RDX, RBX, RSP ... */
    uint64_t rip, rflags;
    uint64_t cr0, cr2, cr3, cr4, xcr0; /* as the guest reads them */
    uint64_t pdptes[4];
    uint64_t dr[4], dr6, dr7;
    uint64_t efer, pat, star, lstar, cstar, fmask, kernel_gs_base, tsc_aux;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    struct vcpu_image_segment segments[VCPU_IMAGE_SEGMENTS];
    uint64_t gdt_base, idt_base;
    uint32_t gdt_limit, idt_limit;
    uint32_t state; /* enum vcpu_image_state */
    uint32_t interruptibility;
    uint64_t pending_debug;
    uint32_t event, event_error_code, event_length; /* in the form of the VMCS */
    uint32_t nmis_pending;
    struct msr_state msrs;
    struct lapic_image lapic;
};

/* What an image is judged by. */
struct vcpu_image_limits {
    uint32_t id;
    bool mwait;
    enum guest_kernel_kind kernel;
    uint64_t cr4_hidden;
    uint64_t xcr0_allowed;
};

/* Whether a vCPU with these limits may be loaded with an image and an XSAVE area; else `error` says
 * what is wrong. Pure logic. */
bool vcpu_image_is_valid(const struct vcpu_image *image, const struct vcpu_image_limits *limits,
                         char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;
bool vcpu_xsave_is_valid(const void *area, size_t size, const struct vcpu_image_limits *limits,
                         char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

struct vcpu;

/* Bytes of the XSAVE area. */
uint32_t vcpu_xsave_size(void);

/* Both run on the vCPU's own pCPU, with its VMCS current. The area is aligned to 8. */
void vcpu_image_save(struct vcpu *vcpu, struct vcpu_image *image, void *xsave_area);

/* The vCPU has been reset, and image and area are valid. Should the CPU refuse a part all the same
 * the VM ends. */
void vcpu_image_load(struct vcpu *vcpu, const struct vcpu_image *image, const void *xsave_area);

#endif
