/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/interrupts.h"

#include "guests/lwip/console.h"
#include "guests/lwip/cpu.h"

#define MSR_APIC_BASE    0x1bu
#define APIC_X2APIC      0xc00u /* enabled, in x2APIC mode */
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_TPR          0x808u
#define MSR_EOI          0x80bu
#define MSR_SVR          0x80fu
#define MSR_LVT_TIMER    0x832u
#define SVR_ENABLED      0x100u
#define TIMER_DEADLINE   0x40000u
#define CPUID_TSC        0x15u
#define CODE_SELECTOR    0x08ull
#define GATE_INTERRUPT   0x8e00ull
#define EXCEPTIONS       32u

/* As start.S leaves them. */
struct frame {
    uint64_t r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

struct gate {
    uint64_t low, high;
};

extern const uint8_t interrupt_vectors[]; /* 16 bytes each */
void on_interrupt(const struct frame *frame);

static struct gate idt[VECTORS];
static uint64_t counts[VECTORS];
static uint64_t tsc_per_ms, tsc_at_start;

void on_interrupt(const struct frame *frame)
{
    if (frame->vector < EXCEPTIONS) {
        crash("postern-lwip: exception %lu, error 0x%lx, at 0x%lx\n", frame->vector, frame->error,
              frame->rip);
    }
    counts[frame->vector]++;
    if (frame->vector != VECTOR_SPURIOUS) {
        wrmsr(MSR_EOI, 0);
    }
}

uint64_t interrupt_count(unsigned vector)
{
    return counts[vector];
}

static void load_idt(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } pointer = {sizeof(idt) - 1, (uint64_t)idt};

    for (unsigned i = 0; i < VECTORS; i++) {
        uint64_t address = (uint64_t)interrupt_vectors + 16ull * i;
        idt[i].low = (address & 0xffff) | CODE_SELECTOR << 16 | GATE_INTERRUPT << 32 |
                     (address >> 16 & 0xffff) << 48;
        idt[i].high = address >> 32;
    }
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

static void measure_tsc(void)
{
    struct cpuid_result r = cpuid(CPUID_TSC);

    if (r.eax == 0 || r.ebx == 0 || r.ecx == 0) {
        give_up("postern-lwip: CPUID leaf 0x15 tells no TSC frequency\n");
    }
    tsc_per_ms = (uint64_t)r.ecx * r.ebx / r.eax / 1000;
    tsc_at_start = rdtsc();
}

void interrupts_init(void)
{
    measure_tsc();
    load_idt();
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_X2APIC);
    wrmsr(MSR_TPR, 0);
    wrmsr(MSR_SVR, SVR_ENABLED | VECTOR_SPURIOUS);
    wrmsr(MSR_LVT_TIMER, TIMER_DEADLINE | VECTOR_TIMER);
}

uint64_t milliseconds(void)
{
    return (rdtsc() - tsc_at_start) / tsc_per_ms;
}

void set_alarm(uint32_t ms)
{
    wrmsr(MSR_TSC_DEADLINE, ms == WAIT_FOREVER ? 0 : rdtsc() + ms * tsc_per_ms);
}

void take_interrupts(void)
{
    /* STI lets them in after the next instruction. */
    __asm__ volatile("sti; nop; cli" : : : "memory");
}

void wait_for_interrupt(void)
{
    /* STI lets interrupts in after the next instruction only: none comes between it and HLT. */
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}
