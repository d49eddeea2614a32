/* SPDX-License-Identifier: BSD-2-Clause */
/* What each CPU of the guest has: descriptors, stacks, and the kit's state. Found through GS. */
#ifndef POSTERN_TESTS_KIT_PERCPU_H
#define POSTERN_TESTS_KIT_PERCPU_H

#include "tests/kit/trap.h"

#define KIT_CPUS           4u
#define STACK_SIZE         0x4000u
#define SELECTOR_CODE      0x08u
#define SELECTOR_DATA      0x10u
#define SELECTOR_USER_DATA (0x18u | 3)
#define SELECTOR_USER_CODE (0x20u | 3)
#define SELECTOR_TSS       0x28u

#define IST_DOUBLE_FAULT   1u
#define IST_NMI            2u
#define IST_CLAIM          3u

/* The vectors of the kit's own. */
#define VECTOR_USER_RETURN 0x81u /* by INT from ring 3 */
#define VECTOR_WAKE        0x82u /* an idle CPU has work */

struct tss {
    uint32_t reserved1;
    uint64_t rsp[3];
    uint64_t reserved2;
    uint64_t ist[7];
    uint64_t reserved3;
    uint16_t reserved4, io_map;
} PACKED;

/* Where an exception goes back to. */
struct recovery {
    uint64_t rsp, rflags;
};

struct kit_cpu {
    struct kit_cpu *self; /* at GS:0 */
    uint32_t index;       /* also its APIC id */
    struct recovery *recovery;
    struct trap trap;
    uint64_t user_result;
    uint64_t gdt[8];
    struct tss tss;
    _Atomic uint64_t counts[256];
    /* Work for a CPU that is not the first. */
    void (*_Atomic work)(void *);
    void *work_argument;
    struct trap work_trap;
    _Atomic bool online;
    alignas(16) uint8_t stack[STACK_SIZE];
    alignas(16) uint8_t user_stack[STACK_SIZE];
    alignas(16) uint8_t interrupt_stacks[4][STACK_SIZE]; /* from ring 3, then the ISTs */
};

extern struct kit_cpu kit_cpus[KIT_CPUS];

static inline struct kit_cpu *this_cpu(void)
{
    struct kit_cpu *cpu;

    __asm__ volatile("mov %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

/* Loads GDT, TSS, IDT and GS of CPU `index`. */
void descriptors_load(uint32_t index);

/* Puts the IDT and the kit's counts back to what a claim finds. */
void descriptors_reset(void);

/* entry.S */
uint64_t kit_protect(struct recovery *recovery, void (*function)(void *), void *argument);
NORETURN void kit_unwind(const struct recovery *recovery);
NORETURN void kit_enter_user(uint64_t rip, uint64_t rsp, uint64_t argument);
void kit_user_return(void);
extern const uint8_t kit_vectors[]; /* 16 bytes each */
extern const uint8_t kit_ap_start[], kit_ap_start_end[];

#endif
