/* SPDX-License-Identifier: BSD-2-Clause */
/* The other CPUs: their start, and what they do for claims. */
#include "lib/string.h"
#include "tests/kit/devices.h"
#include "tests/kit/layout.h"
#include "tests/kit/percpu.h"

#define START_MS 200u

/* For entry.S: what the CPU that starts next takes. */
uint32_t kit_ap_stack, kit_ap_index;

void kit_ap_main(uint32_t index);

uint32_t cpu_count(void)
{
    return cpuid(0xb, 1).ebx;
}

void kit_ap_main(uint32_t index)
{
    struct kit_cpu *cpu = &kit_cpus[index];

    descriptors_load(index);
    apic_init();
    atomic_store(&cpu->online, true);
    for (;;) {
        void (*work)(void *) = atomic_load(&cpu->work);
        if (work == NULL) {
            __asm__ volatile("sti; hlt; cli" : : : "memory");
            continue;
        }
        write_cr3(read_cr3());
        cpu->work_trap = trap_of(work, cpu->work_argument);
        atomic_store(&cpu->work, NULL);
    }
}

void cpu_start(uint32_t index)
{
    uint64_t icr = (uint64_t)index << 32;

    atomic_store(&kit_cpus[index].online, false);
    atomic_store(&kit_cpus[index].work, NULL);
    kit_ap_stack = (uint32_t)(uint64_t)(kit_cpus[index].stack + STACK_SIZE);
    kit_ap_index = index;
    memcpy((void *)AP_START, kit_ap_start, (size_t)(kit_ap_start_end - kit_ap_start));
    wrmsr(MSR_X2APIC_ICR, icr | ICR_INIT | ICR_ASSERT);
    delay(1);
    wrmsr(MSR_X2APIC_ICR, icr | ICR_STARTUP | ICR_ASSERT | AP_START >> 12);
    uint64_t end = rdtsc() + START_MS * tsc_per_ms();
    while (!atomic_load(&kit_cpus[index].online)) {
        if (rdtsc() > end) {
            fail("CPU %u does not start", index);
        }
        cpu_pause();
    }
}

void need_cpu(uint32_t index)
{
    if (index >= KIT_CPUS || index >= cpu_count()) {
        skip("this VM has %u CPUs", cpu_count());
    }
    if (!atomic_load(&kit_cpus[index].online)) {
        cpu_start(index);
    }
}

void cpu_run(uint32_t index, void (*function)(void *argument), void *argument)
{
    struct kit_cpu *cpu = &kit_cpus[index];

    cpu->work_argument = argument;
    atomic_store(&cpu->work, function);
    wrmsr(MSR_X2APIC_ICR, (uint64_t)index << 32 | ICR_ASSERT | VECTOR_WAKE);
}

struct trap cpu_wait(uint32_t index, uint64_t ms)
{
    struct kit_cpu *cpu = &kit_cpus[index];
    uint64_t end = rdtsc() + ms * tsc_per_ms();

    while (atomic_load(&cpu->work) != NULL) {
        if (rdtsc() > end) {
            /* It is lost in the claim: the next that needs it starts it anew. */
            atomic_store(&cpu->online, false);
            fail("CPU %u has not finished within %u ms", index, (unsigned)ms);
        }
        cpu_pause();
    }
    return cpu->work_trap;
}
