/* SPDX-License-Identifier: BSD-2-Clause */
/* GDT, TSS and IDT of each CPU, and what happens when a vector comes. */
#include "arch/x86/cpu.h"
#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"
#include "tests/kit/devices.h"
#include "tests/kit/percpu.h"

#define GATE_INTERRUPT 0x8e00ull
#define GATE_USER      0x6000ull /* DPL 3 */
#define EXCEPTIONS     32u

struct gate {
    uint64_t low, high;
};

struct PACKED pointer {
    uint16_t limit;
    uint64_t base;
};

struct fixup {
    uint64_t from, to;
};

extern const struct fixup kit_fixups[], kit_fixups_end[];

struct kit_cpu kit_cpus[KIT_CPUS];
static alignas(16) struct gate idt[256];
static vector_handler_t handlers[256];

static void set_gate(unsigned vector, uint64_t attributes, uint64_t ist)
{
    uint64_t address = (uint64_t)kit_vectors + 16ull * vector;

    idt[vector].low = (address & 0xffff) | (uint64_t)SELECTOR_CODE << 16 | ist << 32 |
                      attributes << 32 | (address >> 16 & 0xffff) << 48;
    idt[vector].high = address >> 32;
}

static void fill_idt(void)
{
    for (unsigned i = 0; i < 256; i++) {
        set_gate(i, GATE_INTERRUPT, 0);
    }
    set_gate(EXCEPTION_DF, GATE_INTERRUPT, IST_DOUBLE_FAULT);
    set_gate(EXCEPTION_NMI, GATE_INTERRUPT, IST_NMI);
    set_gate(EXCEPTION_BP, GATE_INTERRUPT | GATE_USER, 0);
    set_gate(VECTOR_USER_RETURN, GATE_INTERRUPT | GATE_USER, 0);
}

void vector_use_ist(unsigned vector)
{
    set_gate(vector, GATE_INTERRUPT, IST_CLAIM);
}

void vector_handle(unsigned vector, vector_handler_t handler)
{
    handlers[vector] = handler;
}

uint64_t vector_count(unsigned vector)
{
    return atomic_load(&this_cpu()->counts[vector]);
}

static void load_idt(void)
{
    struct pointer pointer = {sizeof(idt) - 1, (uint64_t)idt};

    __asm__ volatile("lidt %0" : : "m"(pointer));
}

static void load_gdt(struct kit_cpu *cpu)
{
    struct pointer pointer = {sizeof(cpu->gdt) - 1, (uint64_t)cpu->gdt};
    uint64_t tss = (uint64_t)&cpu->tss;

    cpu->gdt[1] = 0x00af9b000000ffff;
    cpu->gdt[2] = 0x00cf93000000ffff;
    cpu->gdt[3] = 0x00cff3000000ffff;
    cpu->gdt[4] = 0x00affb000000ffff;
    cpu->gdt[5] =
        (sizeof(cpu->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24 & 0xff) << 56;
    cpu->gdt[6] = tss >> 32;
    __asm__ volatile("lgdt %0\n"
                     "pushq %1\n"
                     "leaq 1f(%%rip), %%rax\n"
                     "pushq %%rax\n"
                     "lretq\n"
                     "1: mov %2, %%ss\n"
                     "mov %3, %%ds\n mov %3, %%es\n mov %3, %%fs\n mov %3, %%gs\n"
                     "ltr %4"
                     :
                     : "m"(pointer), "i"((uint64_t)SELECTOR_CODE), "r"(SELECTOR_DATA), "r"(0),
                       "r"((uint16_t)SELECTOR_TSS)
                     : "rax", "memory");
    wrmsr(MSR_IA32_GS_BASE, (uint64_t)cpu); /* a null selector clears it */
}

void descriptors_load(uint32_t index)
{
    struct kit_cpu *cpu = &kit_cpus[index];

    cpu->self = cpu;
    cpu->index = index;
    cpu->tss.rsp[0] = (uint64_t)cpu->interrupt_stacks[1];
    for (unsigned i = 0; i < 3; i++) {
        cpu->tss.ist[i] = (uint64_t)cpu->interrupt_stacks[i + 1] + STACK_SIZE;
    }
    cpu->tss.io_map = sizeof(cpu->tss);
    load_gdt(cpu);
    fill_idt();
    load_idt();
}

void descriptors_reset(void)
{
    struct kit_cpu *cpu = this_cpu();

    for (unsigned i = 0; i < 256; i++) {
        handlers[i] = NULL;
        atomic_store(&cpu->counts[i], 0);
    }
    fill_idt();
    load_gdt(cpu);
    load_idt();
}

static uint64_t find_fixup(uint64_t rip)
{
    for (const struct fixup *fixup = kit_fixups; fixup < kit_fixups_end; fixup++) {
        /* A trap such as #BP tells the next instruction. */
        if (rip == fixup->from || rip == fixup->to) {
            return fixup->to;
        }
    }
    return 0;
}

static NORETURN void die(const struct kit_cpu *cpu)
{
    print("kit: CPU %u: %s outside of a claim\n", cpu->index, trap_text(&cpu->trap));
    outb(GUEST_PORT_EXIT, 0x7f);
    halt_forever();
}

static void on_exception(struct frame *frame, struct kit_cpu *cpu)
{
    bool user = (frame->cs & 3) != 0;
    uint64_t fixup = user ? 0 : find_fixup(frame->rip);

    cpu->trap = (struct trap){
        .vector = (unsigned)frame->vector,
        .error = frame->error,
        .rip = frame->rip,
        .cr2 = frame->vector == EXCEPTION_PF ? read_cr2() : 0,
        .user = user,
    };
    if (fixup != 0) {
        frame->rip = fixup;
        frame->rflags &= ~RFLAGS_TF;
        return;
    }
    if (cpu->recovery == NULL) {
        die(cpu);
    }
    kit_unwind(cpu->recovery);
}

/* Called by every vector's stub. */
void kit_interrupt(struct frame *frame);

void kit_interrupt(struct frame *frame)
{
    struct kit_cpu *cpu = this_cpu();
    unsigned vector = (unsigned)frame->vector;

    atomic_fetch_add(&cpu->counts[vector], 1);
    if (handlers[vector] != NULL) {
        handlers[vector](frame);
    } else if (vector == VECTOR_USER_RETURN) {
        cpu->user_result = frame->rax;
        cpu->trap.vector = TRAP_NONE;
        kit_unwind(cpu->recovery);
    } else if (vector >= EXCEPTIONS) {
        end_of_interrupt();
    } else if (vector != EXCEPTION_NMI) {
        on_exception(frame, cpu);
    }
}

void trap_clear(void)
{
    this_cpu()->trap = (struct trap){.vector = TRAP_NONE};
}

struct trap trap_get(void)
{
    return this_cpu()->trap;
}

struct trap trap_of(void (*function)(void *argument), void *argument)
{
    struct kit_cpu *cpu = this_cpu();
    struct recovery *outer = cpu->recovery;
    struct recovery recovery;

    trap_clear();
    cpu->recovery = &recovery;
    if (kit_protect(&recovery, function, argument) == 0) {
        trap_clear();
    }
    cpu->recovery = outer;
    return cpu->trap;
}

struct user_call {
    uint64_t rip, rsp, argument;
};

static void enter_user(void *context)
{
    const struct user_call *call = context;

    kit_enter_user(call->rip, call->rsp, call->argument);
}

uint64_t user_address(const void *address)
{
    return USER_BASE + (uint64_t)address;
}

struct trap run_user(uint64_t (*function)(uint64_t argument), uint64_t argument, uint64_t *result)
{
    struct kit_cpu *cpu = this_cpu();
    uint64_t *stack = (uint64_t *)(void *)(cpu->user_stack + STACK_SIZE) - 1;
    struct user_call call = {user_address((const void *)function), user_address(stack), argument};

    *stack = user_address((const void *)kit_user_return);
    cpu->user_result = 0;
    struct trap trap = trap_of(enter_user, &call);
    if (result != NULL) {
        *result = cpu->user_result;
    }
    return trap;
}

const char *trap_text(const struct trap *trap)
{
    static const char *const names[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD",
                                        "#NM", "#DF", "9",   "#TS", "#NP", "#SS", "#GP",
                                        "#PF", "15",  "#MF", "#AC", "#MC", "#XM", "#VE"};
    static char text[80];

    if (trap->vector == TRAP_NONE) {
        return "no exception";
    }
    (void)format_string(text, sizeof(text), "%s(0x%llx) at 0x%llx%s",
                        trap->vector < ARRAY_SIZE(names) ? names[trap->vector] : "a vector",
                        (unsigned long long)trap->error, (unsigned long long)trap->rip,
                        trap->user ? " in ring 3" : "");
    if (trap->vector == EXCEPTION_PF) {
        size_t used = strlen(text);
        (void)format_string(text + used, sizeof(text) - used, ", cr2 0x%llx",
                            (unsigned long long)trap->cr2);
    }
    return text;
}
