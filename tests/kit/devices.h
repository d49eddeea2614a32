/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtual PC as claims use it: local APIC, timers, PCI configuration space, hypercalls. */
#ifndef POSTERN_TESTS_KIT_DEVICES_H
#define POSTERN_TESTS_KIT_DEVICES_H

#include "abi/hypercall.h"
#include "abi/pci.h"
#include "arch/x86/cpu.h"
#include "arch/x86/defs/msr.h"
#include "machine/guest_map.h"
#include "tests/kit/trap.h"

/* x2APIC registers that arch/x86/defs/msr.h does not name. */
#define MSR_X2APIC_VERSION       0x803u
#define MSR_X2APIC_PPR           0x80au
#define MSR_X2APIC_LDR           0x80du
#define MSR_X2APIC_ISR           0x810u
#define MSR_X2APIC_ESR           0x828u
#define MSR_X2APIC_LVT_LINT0     0x835u
#define MSR_X2APIC_INITIAL_COUNT 0x838u
#define MSR_X2APIC_DIVIDE        0x83eu

#define TIMER_MASKED             (1u << 16)
#define TIMER_PERIODIC           (1u << 17)
#define TIMER_DEADLINE           (2u << 17)
#define ICR_NMI                  (4u << 8)
#define ICR_INIT                 (5u << 8)
#define ICR_STARTUP              (6u << 8)
#define ICR_ASSERT               (1u << 14)
#define ICR_SELF                 (1u << 18)
#define ICR_ALL                  (2u << 18)
#define ICR_OTHERS               (3u << 18)

/* RDMSR and WRMSR whose exception is the result. */
static inline struct trap try_rdmsr(uint32_t msr, uint64_t *value)
{
    uint32_t low = 0, high = 0;
    struct trap trap = TRY("rdmsr", : "+a"(low), "+d"(high) : "c"(msr));

    *value = (uint64_t)high << 32 | low;
    return trap;
}

static inline struct trap try_wrmsr(uint32_t msr, uint64_t value)
{
    return TRY("wrmsr",
               :
               : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
               : "memory");
}

static inline int64_t hypercall(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
    int64_t result;

    __asm__ volatile("vmcall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "memory");
    return result;
}

static inline void end_of_interrupt(void)
{
    wrmsr(MSR_X2APIC_EOI, 0);
}

/* Of the TSC, from CPUID leaf 0x15. */
uint64_t tsc_per_ms(void);

/* With interrupts on, waits until `vector` has come `count` times since the claim began; false if
 * it has not after `ms`. */
bool wait_for_vector(unsigned vector, uint64_t count, uint64_t ms);
void delay(uint64_t ms);

/* Puts the local APIC into the state that a claim finds: enabled, nothing in service or pending. */
void apic_init(void);

/* Other CPUs. They wait in HLT; a claim that needs one says so. */
uint32_t cpu_count(void);
/* Starts CPU `index` (1 and up) if it does not run; skips the claim if the VM has none. */
void need_cpu(uint32_t index);
/* Has it call `function`; `cpu_wait()` returns what exception ended it, after `ms` the claim fails.
 */
void cpu_run(uint32_t index, void (*function)(void *argument), void *argument);
struct trap cpu_wait(uint32_t index, uint64_t ms);
/* Sends INIT and SIPI. */
void cpu_start(uint32_t index);

/* PCI configuration space; `address` is bus << 16 | device << 11 | function << 8. */
#define PCI_DEVICE(number) ((uint32_t)(number) << 11)
uint32_t pci_read(uint32_t address, uint32_t offset);
void pci_write(uint32_t address, uint32_t offset, uint32_t value);
/* The first Postern NIC, skips the claim if the VM has none. Its memory is turned on. */
uint32_t need_nic(void);
/* Has MSI-X vector n of a NIC, whose memory is on, come to this CPU as vector `first` + n. Returns
 * the MSI-X table, whose entry n has the vector's mask in word 4 * n + 3. */
volatile uint32_t *nic_enable_msix(uint32_t address, uint32_t first);
/* The guest-physical address in a BAR that it has. */
uint64_t nic_bar(uint32_t address, unsigned bar);

#endif
