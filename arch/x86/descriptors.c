/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/descriptors.h"

#include "arch/x86/defs/registers.h"
#include "arch/x86/exceptions.h"
#include "lib/bits.h"

#define VECTORS         256u
#define GATE_INTERRUPT  0x8eu
#define DESCRIPTOR_CODE 0x00af9b000000ffffull
#define DESCRIPTOR_DATA 0x00cf93000000ffffull
#define DESCRIPTOR_TSS  0x0000890000000000ull

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

struct table_register {
    uint16_t limit;
    uint64_t base;
} PACKED;

_Static_assert(sizeof(struct tss) == 104, "the size of a 64-bit TSS");

static struct gate idt[VECTORS];

static void build_idt(void)
{
    for (unsigned vector = 0; vector < VECTORS; vector++) {
        uint64_t entry = exception_stub(vector);
        idt[vector] = (struct gate){
            .offset_low = (uint16_t)entry,
            .selector = SELECTOR_CODE,
            .type = GATE_INTERRUPT,
            .offset_middle = (uint16_t)(entry >> 16),
            .offset_high = (uint32_t)(entry >> 32),
        };
    }
    idt[EXCEPTION_NMI].ist = IST_NMI;
    idt[EXCEPTION_DF].ist = IST_DOUBLE_FAULT;
    idt[EXCEPTION_MC].ist = IST_MACHINE_CHECK;
}

void descriptors_build(struct descriptor_tables *tables, uint8_t *const ist_tops[IST_COUNT])
{
    uint64_t base = (uint64_t)&tables->tss;
    uint64_t limit = sizeof(tables->tss) - 1;

    for (unsigned i = 1; i < IST_COUNT; i++) {
        tables->tss.ist[i] = (uint64_t)ist_tops[i];
    }
    tables->tss.io_map_base = sizeof(tables->tss); /* there is none */
    tables->gdt[0] = 0;
    tables->gdt[SELECTOR_CODE / 8] = DESCRIPTOR_CODE;
    tables->gdt[SELECTOR_DATA / 8] = DESCRIPTOR_DATA;
    tables->gdt[SELECTOR_TSS / 8] =
        DESCRIPTOR_TSS | limit | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
    tables->gdt[SELECTOR_TSS / 8 + 1] = base >> 32;
    if (idt[0].type == 0) {
        build_idt();
    }
}

void descriptors_load(struct descriptor_tables *tables)
{
    struct table_register gdtr = {sizeof(tables->gdt) - 1, (uint64_t)tables->gdt};
    struct table_register idtr = {sizeof(idt) - 1, (uint64_t)idt};

    /* A TSS that is marked busy cannot be loaded. */
    tables->gdt[SELECTOR_TSS / 8] &= ~BIT(41);
    __asm__ volatile("lgdt %0\n\t"
                     "push %2\n\t"
                     "lea 1f(%%rip), %%rax\n\t"
                     "push %%rax\n\t"
                     "lretq\n"
                     "1:\n\t"
                     "mov %3, %%ds\n\t"
                     "mov %3, %%es\n\t"
                     "mov %3, %%ss\n\t"
                     "xor %%eax, %%eax\n\t"
                     "mov %%eax, %%fs\n\t"
                     "mov %%eax, %%gs\n\t"
                     "ltr %w4\n\t"
                     "lidt %1"
                     :
                     : "m"(gdtr), "m"(idtr), "r"((uint64_t)SELECTOR_CODE), "r"(SELECTOR_DATA),
                       "r"(SELECTOR_TSS)
                     : "rax", "memory");
}

uint64_t descriptors_idt(void)
{
    return (uint64_t)idt;
}
