/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The per-CPU area of each physical CPU: what only that CPU touches, but for the fields under
 * "read by others". GS points to it while the hypervisor runs.
 */
#ifndef POSTERN_ARCH_X86_PCPU_H
#define POSTERN_ARCH_X86_PCPU_H

#include "arch/x86/boot_info.h"
#include "arch/x86/descriptors.h"
#include "lib/status.h"

#define PCPU_STACK_SIZE KIB(16)

struct pcpu {
    struct pcpu *self; /* at GS:0, so that one load gives the address */
    uint32_t index;    /* into boot_info.cpus */
    uint32_t apic_id;
    struct descriptor_tables tables;
    uint8_t *stack_top;
    void *vmxon_region;
    uint32_t nmi_count;

    /* Read by others. */
    atomic_bool online;
};

/* Makes the areas of all CPUs of `info`, each with its stacks between guard pages. */
status_t pcpu_create_all(const struct boot_info *info) MUST_CHECK;

uint32_t pcpu_count(void);
struct pcpu *pcpu_get(uint32_t index);

/* Loads GS, GDT, TSS and IDT of `pcpu` on the CPU that calls. */
void pcpu_load(struct pcpu *pcpu);

static inline struct pcpu *this_pcpu(void)
{
    struct pcpu *pcpu;

    __asm__("mov %%gs:0, %0" : "=r"(pcpu));
    return pcpu;
}

#endif
