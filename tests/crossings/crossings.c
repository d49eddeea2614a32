/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What views cost, in ticks of the TSC, which in Bochs are instructions. Not claims but figures: a
 * line "measure NAME VALUE" for each, in thousandths. tests/bench/bench.py reads them.
 */
#include "abi/guest.h"
#include "tests/kit/kit.h"

#define PORT      0u
#define CROSSINGS 1000000ull
#define BY_EXITS  20000ull
#define CALLS     2000ull
#define CHANGES   50ull
#define PAUSE_MS  2u /* more than the time between two revocations */

static uint8_t stack[SIZE_4K] __attribute__((aligned(4096)));
static uint64_t gate;
static uint32_t view;

static int64_t exits(void)
{
    return hypercall(POSTERN_HC_EXITS, 0, 0, 0);
}

static void report(const char *name, uint64_t total, uint64_t count)
{
    print("measure %s %llu\n", name, (unsigned long long)(total * 1000 / count));
}

/* Null crossings in a loop of assembly: the call and what loads its arguments are in the figure,
 * the loop's two instructions are not. */
static uint64_t crossing_ticks(uint32_t into, uint64_t stack_end, uint64_t count)
{
    uint64_t left = count;
    uint64_t start = rdtsc();

    __asm__ volatile("xchg %[stack], %%rsp\n"
                     "1: mov %[view], %%edi\n"
                     "xor %%esi, %%esi\n"
                     "call *%[gate]\n"
                     "dec %[left]\n"
                     "jnz 1b\n"
                     "xchg %[stack], %%rsp\n"
                     : [left] "+&b"(left), [stack] "+&r"(stack_end)
                     : [view] "r"(into), [gate] "r"(gate)
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
    return rdtsc() - start - 2 * count;
}

static void measure_crossings(void)
{
    bool native = (cpuid(POSTERN_CPUID_ABI, 0).ebx & POSTERN_NATIVE_VMFUNC) != 0;
    uint64_t count = native ? CROSSINGS : BY_EXITS;
    int64_t before = exits();
    uint64_t ticks = crossing_ticks(view, (uint64_t)stack + SIZE_4K, count);
    int64_t caused = exits() - before - 1; /* the counting itself */

    report(native ? "gate.roundtrip" : "gate.fallback", ticks, count);
    report(native ? "gate.exits" : "gate.fallback_exits", (uint64_t)caused, 1);
}

/* The same through a view whose page tables are the hypervisor's. */
static void measure_owned_tables(void)
{
    int64_t sealed = hypercall(POSTERN_HC_TEST_SEAL, PORT, (uint64_t)stack, 0);

    if (sealed < 1) {
        print("no sealed view: %lld\n", (long long)sealed);
        return;
    }
    uint64_t ticks = crossing_ticks((uint32_t)sealed, (uint64_t)stack + SIZE_4K, BY_EXITS);
    report("gate.owned_tables", ticks, BY_EXITS);
}

static void measure_hypercall(void)
{
    uint64_t start = rdtsc();

    for (uint64_t i = 0; i < CALLS; i++) {
        (void)hypercall(POSTERN_HC_VERSION, 0, 0, 0);
    }
    report("gate.hypercall", rdtsc() - start, CALLS);
}

/* The mean of CHANGES calls of `number`, each after what undoes it. */
static void measure_change(const char *name, uint64_t number, uint64_t argument, uint64_t undo,
                           uint64_t undo_argument)
{
    uint64_t total = 0;

    for (uint64_t i = 0; i < CHANGES; i++) {
        (void)hypercall(undo, PORT, undo_argument, 0);
        delay(PAUSE_MS);
        uint64_t start = rdtsc();
        (void)hypercall(number, PORT, argument, 0);
        total += rdtsc() - start;
    }
    report(name, total, CHANGES);
}

void guest_role(void)
{
    if (has_word("idle")) {
        return;
    }
    uint32_t pages;

    if (!postern_is_here()) {
        print("no Postern\n");
        return;
    }
    gate = postern_gate_home(&pages);
    pci_write(need_nic(), 4, pci_read(need_nic(), 4) | 2);
    view = (uint32_t)postern_view_open(PORT);
    measure_crossings();
    measure_owned_tables();
    measure_hypercall();
    measure_change("view.open", POSTERN_HC_VIEW_OPEN, 0, POSTERN_HC_VIEW_CLOSE, 0);
    measure_change("view.close", POSTERN_HC_VIEW_CLOSE, 0, POSTERN_HC_VIEW_OPEN, 0);
    measure_change("view.revoke", POSTERN_HC_WINDOW_GRANT, 0, POSTERN_HC_WINDOW_GRANT, 1);
    print("measured\n");
}
