/* SPDX-License-Identifier: BSD-2-Clause */
/* GDT, TSS and IDT of one CPU (SDM "Task Management in 64-bit Mode", "64-Bit Mode IDT"). */
#ifndef POSTERN_ARCH_X86_DESCRIPTORS_H
#define POSTERN_ARCH_X86_DESCRIPTORS_H

#include "lib/types.h"

#define SELECTOR_CODE 0x08u
#define SELECTOR_DATA 0x10u
#define SELECTOR_TSS  0x18u

/* Stacks that the TSS's interrupt-stack table offers. */
enum ist { IST_NMI = 1, IST_DOUBLE_FAULT, IST_MACHINE_CHECK, IST_COUNT };

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t ist[8]; /* ist[0] is reserved */
    uint64_t reserved1;
    uint16_t reserved2;
    uint16_t io_map_base;
} PACKED;

struct descriptor_tables {
    uint64_t gdt[5]; /* null, code, data, and the TSS's two */
    struct tss tss;
};

/* Fills the tables of a CPU; `ist_tops` are the stacks' upper ends, by enum ist. */
void descriptors_build(struct descriptor_tables *tables, uint8_t *const ist_tops[IST_COUNT]);

/* Loads GDT, segment registers, TSS and the common IDT on the CPU that calls. GS's base is lost. */
void descriptors_load(struct descriptor_tables *tables);

/* The address of the IDT that all CPUs share, for the VMCS's host state. */
uint64_t descriptors_idt(void);

#endif
