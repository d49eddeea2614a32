/* SPDX-License-Identifier: BSD-2-Clause */
/* Debug exceptions in crossings, and those that have ended VMs elsewhere. */
#include "tests/attack/enter.h"

static unsigned steps, steps_in_gate;

static void on_debug(struct frame *frame)
{
    steps++;
    if (frame->rip % USER_BASE >= GATE_BASE && frame->rip % USER_BASE < GATE_BASE + 2 * SIZE_4K) {
        steps_in_gate++;
    }
    __asm__ volatile("mov %0, %%dr6" : : "r"(0xffff0ff0ull));
}

static void debug_begin(void)
{
    steps = steps_in_gate = 0;
    vector_handle(EXCEPTION_DB, on_debug);
}

static int64_t step_through(uint64_t view)
{
    int64_t result;

    __asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq\n"
                     "call *%%rax\n"
                     "pushfq\n andq $~0x100, (%%rsp)\n popfq"
                     : "=a"(result)
                     : "a"(GATE_BASE), "D"(view), "S"(POSTERN_GATE_NOTHING), "d"(0)
                     : "rcx", "r8", "r9", "r10", "r11", "memory");
    return result;
}

CLAIM(step_through_gate,
      "a crossing that is single-stepped stops at each instruction, and ends well")
{
    uint64_t view = view_open(PORT_GATED);

    debug_begin();
    for (unsigned i = 0; i < 20; i++) {
        CHECK_EQUAL(step_through(view), 0);
    }
    CHECK(steps_in_gate >= 20 * 15);
    check_crossing(PORT_GATED);
}

static uint64_t user_step_through(uint64_t view)
{
    int64_t result;

    __asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq\n"
                     "call *%%rax\n"
                     "pushfq\n andq $~0x100, (%%rsp)\n popfq"
                     : "=a"(result)
                     : "a"(USER_BASE + GATE_BASE), "D"(view), "S"(POSTERN_GATE_NOTHING), "d"(0)
                     : "rcx", "r8", "r9", "r10", "r11", "memory");
    return (uint64_t)result;
}

CLAIM(step_through_gate_ring3, "the same for a program")
{
    uint64_t result = 1;
    uint64_t view = view_open(PORT_GATED);

    debug_begin();
    CHECK_NO_TRAP(run_user(user_step_through, view, &result));
    CHECK_EQUAL(result, 0);
    CHECK(steps_in_gate >= 15);
}

static void set_breakpoint(uint64_t address, uint64_t kind)
{
    __asm__ volatile("mov %0, %%dr0" : : "r"(address));
    __asm__ volatile("mov %0, %%dr7" : : "r"(0x402ull | kind << 16));
}

CLAIM(breakpoints_in_gate,
      "breakpoints on the gate's code and on the window do not keep a crossing in the view")
{
    uint64_t view = view_open(PORT_GATED);
    uint8_t *window = window_map(PORT_GATED);
    uint64_t word = 5;

    debug_begin();
    /* On data: the copy's target, any length and kind. */
    for (uint64_t kind = 1; kind < 16; kind += 2) {
        set_breakpoint((uint64_t)window + 0xa000, kind);
        CHECK_EQUAL(cross_copy(view, window + 0xa000, &word, sizeof(word)), 0);
    }
    CHECK(steps > 0);
    /* On instructions: each byte of the trampoline and the first ones behind. Only RF gets past
     * them. */
    for (uint64_t at = 0; at < 0x30; at++) {
        set_breakpoint(GATE_BASE + at, 0);
        vector_handle(EXCEPTION_DB, NULL);
        struct registers r = {.rdi = view, .rip = GATE_BASE, .rflags = 2};
        registers_set_ring(&r, 0);
        uint64_t stack[32];
        r.rsp = (uint64_t)&stack[16];
        stack[16] = 0; /* it returns to nowhere */
        struct trap trap = enter(&r);
        CHECK(trap.vector < 32);
    }
    __asm__ volatile("mov %0, %%dr7" : : "r"(0x400ull));
    check_crossing(PORT_GATED);
}

/* INT1 behind MOV SS, with a single step pending: an entry that forgets the step fails, and with it
 * the VM. */
static uint64_t user_step_in_shadow(uint64_t unused)
{
    uint64_t selector;

    (void)unused;
    __asm__ volatile("mov %%ss, %0\n"
                     "pushfq\n orq $0x100, (%%rsp)\n popfq\n"
                     "mov %0, %%ss\n"
                     ".byte 0xf1\n"
                     "pushfq\n andq $~0x100, (%%rsp)\n popfq"
                     : "=&r"(selector)
                     :
                     : "memory");
    return 77;
}

CLAIM(step_in_shadow_ring3,
      "a single step over INT1 in the shadow of MOV SS is the program's, not its VM's end")
{
    uint64_t result = 0;

    debug_begin();
    CHECK_NO_TRAP(run_user(user_step_in_shadow, 0, &result));
    CHECK_EQUAL(result, 77);
    CHECK(steps > 0);
    CHECK_EQUAL(user_step_in_shadow(0), 77);
}

CLAIM(exit_at_canonical_edge,
      "an instruction that exits at the last linear address goes on in the hole: #GP")
{
    uint8_t *code = ram_alloc(SIZE_4K, SIZE_4K);
    struct registers r = {.rax = 0, .rflags = 2};

    exceptions_use_ist();
    scratch_init();
    code[0xffe] = 0x0f;
    code[0xfff] = 0xa2; /* CPUID */
    page_map(0x7ffffffff000, (uint64_t)code, SIZE_4K, PTE_USER);
    for (unsigned ring = 0; ring < 4; ring += 3) {
        registers_set_ring(&r, ring);
        r.rsp = SCRATCH_POINT;
        r.rip = 0x7ffffffffffe;
        CHECK_TRAP(enter(&r), EXCEPTION_GP, 0);
    }
}
