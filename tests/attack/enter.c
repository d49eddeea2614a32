/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/attack/enter.h"

#include "tests/kit/layout.h"
#include "tests/kit/percpu.h"

#define RETURN_BYTE 0xc3u
#define TRAP_BYTES  16u

/* What enter_asm() does before it goes: calls `prime`, stores `entry` at `entry_at`. */
static struct {
    struct registers registers;
    uint64_t prime;
    uint64_t *entry_at;
    uint64_t entry;
} plan;

static uint64_t *scratch_words; /* what scratch_fill() writes */
static uint8_t *landing_pages;  /* two pages of RAM: at LANDING and before */

void registers_set_ring(struct registers *registers, unsigned ring)
{
    registers->cs = ring == 0 ? SELECTOR_CODE : SELECTOR_USER_CODE;
    registers->ss = ring == 0 ? SELECTOR_DATA : SELECTOR_USER_DATA;
}

static void enter_asm(void *unused)
{
    (void)unused;
    __asm__ volatile("leaq %0, %%rax\n"
                     "movq 160(%%rax), %%rcx\n"
                     "test %%rcx, %%rcx\n"
                     "jz 1f\n"
                     "call *%%rcx\n"
                     "movq 168(%%rax), %%rcx\n"
                     "movq 176(%%rax), %%rdx\n"
                     "movq %%rdx, (%%rcx)\n"
                     "1: pushq 152(%%rax)\n"
                     "pushq 144(%%rax)\n"
                     "pushq 136(%%rax)\n"
                     "pushq 128(%%rax)\n"
                     "pushq 120(%%rax)\n"
                     "movq 8(%%rax), %%rbx\n"
                     "movq 16(%%rax), %%rcx\n"
                     "movq 24(%%rax), %%rdx\n"
                     "movq 32(%%rax), %%rsi\n"
                     "movq 40(%%rax), %%rdi\n"
                     "movq 48(%%rax), %%rbp\n"
                     "movq 56(%%rax), %%r8\n"
                     "movq 64(%%rax), %%r9\n"
                     "movq 72(%%rax), %%r10\n"
                     "movq 80(%%rax), %%r11\n"
                     "movq 88(%%rax), %%r12\n"
                     "movq 96(%%rax), %%r13\n"
                     "movq 104(%%rax), %%r14\n"
                     "movq 112(%%rax), %%r15\n"
                     "movq (%%rax), %%rax\n"
                     "iretq"
                     :
                     : "m"(plan)
                     : "memory", "rax");
    __builtin_unreachable();
}

_Static_assert(offsetof(struct registers, rip) == 120, "enter_asm() knows");
_Static_assert(offsetof(struct registers, ss) == 152, "enter_asm() knows");

static struct trap go(const struct registers *registers)
{
    plan.registers = *registers;
    timeout_set(TIMEOUT_TICKS);
    struct trap trap = trap_of(enter_asm, NULL);
    timeout_clear();
    return trap;
}

struct trap enter(const struct registers *registers)
{
    plan.prime = 0;
    return go(registers);
}

static void fill(uint64_t at, uint64_t size)
{
    void *to = (void *)(SCRATCH + at);
    const void *from = (const uint8_t *)scratch_words + at;
    uint64_t count = size / sizeof(*scratch_words);

    /* It is done for each byte of the gate: by few instructions. */
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

void scratch_fill(void)
{
    fill(0, SCRATCH_SIZE);
}

void scratch_fill_near(void)
{
    fill(SCRATCH_POINT - SCRATCH - 0x800, 0x3000);
}

void scratch_init(void)
{
    uint64_t ram = (uint64_t)ram_alloc(SCRATCH_SIZE, SIZE_4K);

    for (uint64_t at = 0; at < SCRATCH_SIZE; at += SIZE_4K) {
        page_map(SCRATCH + at, ram + at, SIZE_4K, PTE_WRITE | PTE_USER | PTE_NX);
    }
    scratch_words = ram_alloc(SCRATCH_SIZE, SIZE_4K);
    for (uint64_t i = 0; i < SCRATCH_SIZE / sizeof(*scratch_words); i++) {
        scratch_words[i] = SCRATCH_POINT + (i & 0x7f) * sizeof(*scratch_words);
    }
    scratch_fill();
    /* SYSCALL leads there, too; and zeros that are executed do not lead to the start of other CPUs.
     */
    wrmsr(MSR_IA32_LSTAR, SCRATCH_POINT);
    wrmsr(MSR_IA32_CSTAR, SCRATCH_POINT);
    memset((void *)(AP_START - TRAP_BYTES), 0xcc, TRAP_BYTES);
    landing_pages = ram_alloc(2 * SIZE_4K, SIZE_4K);
    page_map(LANDING - SIZE_4K, (uint64_t)landing_pages, SIZE_4K, PTE_USER);
    page_map(LANDING, (uint64_t)landing_pages + SIZE_4K, SIZE_4K, PTE_USER);
}

struct trap land(uint32_t page, uint32_t offset, uint64_t view, struct registers *registers)
{
    static const uint8_t vmfunc[SWITCH_LENGTH] = {0x0f, 0x01, 0xd4};
    static const uint8_t vmcall[SWITCH_LENGTH] = {0x0f, 0x01, 0xc1};
    uint8_t *code = landing_pages + SIZE_4K + offset - SWITCH_LENGTH;
    uint32_t back = (offset + SIZE_4K / 2) % SIZE_4K;
    bool native = native_vmfunc();

    memcpy(code, native ? vmfunc : vmcall, SWITCH_LENGTH);
    landing_pages[SIZE_4K + back] = RETURN_BYTE;
    page_map(LANDING, (uint64_t)landing_pages + SIZE_4K, SIZE_4K, PTE_USER);
    plan.prime = LANDING + back;
    plan.entry_at = page_entry(LANDING);
    plan.entry = (GATE_BASE + page * SIZE_4K) | PTE_PRESENT | PTE_USER | PTE_ACCESSED;
    registers->rip = LANDING + offset - SWITCH_LENGTH;
    registers->rax = native ? 0 : POSTERN_HC_VIEW_SWITCH;
    registers->rcx = view;
    struct trap trap = go(registers);
    memset(code, 0, SWITCH_LENGTH);
    landing_pages[SIZE_4K + back] = 0;
    return trap;
}
