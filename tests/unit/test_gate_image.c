/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate's images as they are linked, run on the host. Signal handlers play the hypervisor: the
 * instruction that switches views is replaced by an invalid one, protected code and window can be
 * used in the "view" only, and single steps put an event after each instruction of a crossing.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cmocka.h>

#include "abi/gate_burst.h"
#include "abi/hypercall.h"
#include "vmfunc/gate.h"
#include "vmfunc/gate/layout.h"

#define PAGE      4096u
#define VIEW      3u
#define TRAP_FLAG 0x100
#define SLICE     POSTERN_SECTION_MIN
#define WINDOW    (2 * SLICE)

static const uint8_t vmfunc_bytes[] = {0x0f, 0x01, 0xd4};
static const uint8_t vmcall_bytes[] = {0x0f, 0x01, 0xc1};
static const uint8_t invalid_bytes[] = {0x0f, 0x0b, 0x90}; /* ud2; nop */

static uint8_t *gate;
static uint32_t gate_pages;
static bool is_fallback;
static uint8_t *window; /* two sections, of SLICE bytes each */

/* The hypervisor's state. */
static bool in_view;
static bool view_is_open;
static unsigned entries; /* into the view, of all kinds */
/* Events: after each instruction from `event_from` on, `events` times. 0: none. */
static bool stepping;
static unsigned step, event_from, events;
static bool event_closes_view;

static bool is_protected(uint64_t address)
{
    return address >= (uintptr_t)gate + PAGE && address < (uintptr_t)gate + gate_pages * PAGE;
}

static bool is_trampoline(uint64_t address)
{
    return address - (uintptr_t)gate < PAGE;
}

static void set_view(bool protected)
{
    int code = PROT_READ | (protected ? PROT_EXEC : 0);

    entries += protected && !in_view;
    in_view = protected;
    if (mprotect(gate + PAGE, (gate_pages - 1) * PAGE, code) != 0 ||
        mprotect(window, WINDOW, protected ? PROT_READ | PROT_WRITE : PROT_NONE) != 0) {
        abort();
    }
}

/* Counts an instruction of the gate, or the call of it, and has the event that comes after it. */
static void after_instruction(uint64_t rip)
{
    if (!stepping || (!is_trampoline(rip) && !is_protected(rip))) {
        return;
    }
    step++;
    if (step >= event_from && step - event_from < events) {
        set_view(false);
        view_is_open = view_is_open && !event_closes_view;
    }
}

static void give_up(greg_t *registers, int64_t error)
{
    set_view(false);
    registers[REG_RAX] = error;
    registers[REG_RIP] = (greg_t)(uintptr_t)gate + GATE_ABORT_OFFSET;
}

/* VMFUNC, or the hypercall. */
static void on_invalid(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint64_t view = (uint64_t)registers[REG_RCX];

    (void)number;
    (void)info;
    if (!is_trampoline((uint64_t)registers[REG_RIP]) ||
        registers[REG_RAX] != (is_fallback ? POSTERN_HC_VIEW_SWITCH : 0)) {
        abort();
    }
    if (view != 0 && (view != VIEW || !view_is_open)) {
        give_up(registers, POSTERN_ERR_NOT_OPEN);
        return;
    }
    set_view(view != 0);
    registers[REG_RIP] += 3;
    after_instruction((uint64_t)registers[REG_RIP]);
}

static void on_violation(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint64_t rip = (uint64_t)registers[REG_RIP];

    (void)number;
    (void)info;
    if (!is_protected(rip)) {
        abort();
    }
    if (in_view) {
        give_up(registers, POSTERN_ERR_FAULT);
    } else if (registers[REG_R15] != VIEW || !view_is_open) {
        give_up(registers, POSTERN_ERR_NOT_OPEN);
    } else {
        set_view(true);
    }
}

static void on_step(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

    (void)number;
    (void)info;
    if (stepping) {
        after_instruction((uint64_t)registers[REG_RIP]);
    } else {
        registers[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    }
}

static void handle(int signal_number, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};

    assert_int_equal(sigaction(signal_number, &action, NULL), 0);
}

/* In each test: cmocka has its own handlers at the start. */
static void handle_signals(void)
{
    handle(SIGILL, on_invalid);
    handle(SIGSEGV, on_violation);
    handle(SIGTRAP, on_step);
}

/* Replaces the two switches of the copied image. */
static void patch_switches(void)
{
    const uint8_t *bytes = is_fallback ? vmcall_bytes : vmfunc_bytes;
    unsigned found = 0;

    for (uint32_t i = 0; i + 3 <= PAGE; i++) {
        if (memcmp(gate + i, bytes, 3) == 0) {
            memcpy(gate + i, invalid_bytes, 3);
            found++;
        }
    }
    assert_int_equal(found, 2);
}

static void set_up_image(bool fallback)
{
    const struct gate_image *image = gate_image(fallback);
    size_t size = image->pages * PAGE;

    is_fallback = fallback;
    gate_pages = image->pages;
    gate = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    window = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(gate != MAP_FAILED && window != MAP_FAILED);
    memcpy(gate, image->bytes, size);
    patch_switches();
    assert_int_equal(mprotect(gate, PAGE, PROT_READ | PROT_EXEC), 0);
    set_view(false);
    view_is_open = true;
    entries = 0;
    stepping = false;
    event_closes_view = false;
    events = 0;
}

static int set_up_native(void **state)
{
    (void)state;
    set_up_image(false);
    return 0;
}

static int set_up_fallback(void **state)
{
    (void)state;
    set_up_image(true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)munmap(gate, gate_pages * PAGE);
    (void)munmap(window, WINDOW);
    return 0;
}

/* The words that a callee keeps, and the stack pointer: set before the call, looked at after it. */
struct kept {
    uint64_t rbx, rbp, r12, r13, r14, r15, rsp;
};

/* Crosses with marks in all registers that a callee keeps, and checks them. `flags` are added to
 * the caller's: TRAP_FLAG. */
static int64_t cross(uint32_t function, void *arguments, uint64_t flags)
{
    struct kept after;
    int64_t result;
    struct {
        const void *gate;
        uint64_t function;
        void *arguments;
        uint64_t flags;
        struct kept *after;
        uint64_t stack_before;
    } call = {gate, function, arguments, flags, &after, 0};

    handle_signals();
    __asm__ volatile("subq $136, %%rsp\n\t" /* the red zone */
                     "pushq %%rbx\n\tpushq %%rbp\n\t"
                     "movq %[call], %%rax\n\t"
                     "pushq %%rax\n\t"
                     "movq %%rsp, 40(%%rax)\n\t"
                     "movq $0xb, %%rbx\n\tmovq $0xbb, %%rbp\n\tmovq $0x12, %%r12\n\t"
                     "movq $0x13, %%r13\n\tmovq $0x14, %%r14\n\tmovq $0x15, %%r15\n\t"
                     "movl %[view], %%edi\n\t"
                     "movq 8(%%rax), %%rsi\n\t"
                     "movq 16(%%rax), %%rdx\n\t"
                     "pushfq\n\tmovq 24(%%rax), %%rcx\n\torq %%rcx, (%%rsp)\n\tpopfq\n\t"
                     "call *(%%rax)\n\t"
                     "movq %%rax, %%rdx\n\t"
                     "pushfq\n\tandq $~0x500, (%%rsp)\n\tpopfq\n\t"
                     "movq (%%rsp), %%rax\n\t"
                     "movq 32(%%rax), %%rcx\n\t"
                     "movq %%rbx, 0(%%rcx)\n\tmovq %%rbp, 8(%%rcx)\n\tmovq %%r12, 16(%%rcx)\n\t"
                     "movq %%r13, 24(%%rcx)\n\tmovq %%r14, 32(%%rcx)\n\tmovq %%r15, 40(%%rcx)\n\t"
                     "movq %%rsp, 48(%%rcx)\n\t"
                     "popq %%rax\n\tpopq %%rbp\n\tpopq %%rbx\n\t"
                     "addq $136, %%rsp\n\t"
                     : "=&d"(result)
                     : [call] "r"(&call), [view] "i"(VIEW)
                     : "rax", "rcx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "memory", "cc");
    assert_true(after.rbx == 0xb && after.rbp == 0xbb && after.r12 == 0x12);
    assert_true(after.r13 == 0x13 && after.r14 == 0x14 && after.r15 == 0x15);
    assert_true(after.rsp == call.stack_before);
    assert_false(in_view);
    return result;
}

/* The same with events: `count` of them, after each instruction from number `from` (1 is the first)
 * on. Afterwards `step` says how many instructions of the gate there were. */
static int64_t cross_with_events(uint32_t function, void *arguments, unsigned from, unsigned count)
{
    step = 0;
    event_from = from;
    events = count;
    stepping = true;
    int64_t result = cross(function, arguments, TRAP_FLAG);
    stepping = false;
    return result;
}

static unsigned count_bytes(const struct gate_image *image, const uint8_t *bytes)
{
    unsigned found = 0;

    for (uint32_t i = 0; i + 3 <= image->pages * PAGE; i++) {
        found += memcmp(image->bytes + i, bytes, 3) == 0;
    }
    return found;
}

/* The entry is at 0, the way out where the hypervisor looks for it, and no switch of views is
 * anywhere, at any byte, but the two. More would not let a guest reach more: it can execute VMFUNC
 * itself. But these are all that there is to think about. */
static void test_shape(void **state)
{
    static const uint8_t entry[] = {0x41, 0x57, 0x41, 0x56};         /* push r15; push r14 */
    static const uint8_t way_out[] = {0x4c, 0x89, 0xf4, 0x41, 0x5e}; /* mov r14, rsp; pop r14 */

    (void)state;
    for (unsigned fallback = 0; fallback < 2; fallback++) {
        const struct gate_image *image = gate_image(fallback != 0);

        assert_int_equal(image->pages, GATE_PAGES);
        assert_int_equal((uintptr_t)image->bytes % PAGE, 0);
        assert_memory_equal(image->bytes, entry, sizeof(entry));
        assert_memory_equal(image->bytes + GATE_ABORT_OFFSET, way_out, sizeof(way_out));
        assert_int_equal(image->bytes[GATE_ABORT_OFFSET - 1], 0xcc);
        assert_int_equal(count_bytes(image, vmfunc_bytes), fallback != 0 ? 0 : 2);
        assert_int_equal(count_bytes(image, vmcall_bytes), fallback != 0 ? 2 : 0);
        for (uint32_t i = GATE_ABORT_OFFSET + 0x10; i < PAGE; i++) {
            assert_int_equal(image->bytes[i], 0xcc);
        }
    }
    assert_memory_equal(gate_image(false)->bytes + PAGE, gate_image(true)->bytes + PAGE,
                        (GATE_PAGES - 1) * PAGE);
}

static void test_crossing(void **state)
{
    struct postern_gate_access access = {(uintptr_t)window, 42};

    (void)state;
    assert_int_equal(cross(POSTERN_GATE_NOTHING, NULL, 0), 0);
    assert_int_equal(entries, 1);
    assert_int_equal(cross(POSTERN_GATE_STORE, &access, 0), 0);
    access.value = 0;
    assert_int_equal(cross(POSTERN_GATE_LOAD, &access, 0), 0);
    assert_int_equal(access.value, 42);
    assert_int_equal(cross(99, NULL, 0), POSTERN_ERR_UNKNOWN);
    view_is_open = false;
    assert_int_equal(cross(POSTERN_GATE_LOAD, &access, 0), POSTERN_ERR_NOT_OPEN);
    view_is_open = true;
    access.window = (uintptr_t)window + PAGE * 4096ull * 4096;
    assert_int_equal(cross(POSTERN_GATE_LOAD, &access, 0), POSTERN_ERR_FAULT);
}

/* The price of a crossing: the call and all up to the return, which is not counted. */
static void test_null_crossing_is_short(void **state)
{
    (void)state;
    assert_int_equal(cross_with_events(POSTERN_GATE_NOTHING, NULL, 0, 0), 0);
    print_message("a null crossing takes %u instructions\n", step + 1);
    assert_true(step + 1 <= 30);
}

/* A caller's direction flag makes copies no different. */
static void test_direction_flag(void **state)
{
    char text[] = "forwards";
    struct postern_gate_copy copy = {(uintptr_t)window + 16, (uintptr_t)text, sizeof(text)};
    char back[sizeof(text)] = "";

    (void)state;
    assert_int_equal(cross(POSTERN_GATE_COPY, &copy, 0x400), 0);
    copy = (struct postern_gate_copy){(uintptr_t)back, (uintptr_t)window + 16, sizeof(text)};
    assert_int_equal(cross(POSTERN_GATE_COPY, &copy, 0x400), 0);
    assert_string_equal(back, text);
}

/* A ring's functions with an event after any one instruction, or after all: nothing changes. */
static void test_events(void **state)
{
    char text[24] = "twenty-three characters";
    char back[24];
    unsigned steps = 1;

    (void)state;
    for (unsigned at = 0; at <= steps; at++) {
        struct postern_gate_copy there = {(uintptr_t)window, (uintptr_t)text, sizeof(text)};
        struct postern_gate_copy here = {(uintptr_t)back, (uintptr_t)window, sizeof(text)};

        memset(back, 0, sizeof(back));
        assert_int_equal(cross_with_events(POSTERN_GATE_COPY, &there, at, at == 0 ? UINT32_MAX : 1),
                         0);
        steps = step;
        assert_int_equal(cross_with_events(POSTERN_GATE_COPY, &here, at, at == 0 ? UINT32_MAX : 1),
                         0);
        assert_string_equal(back, text);
        text[0]++;
    }
    assert_true(steps > 20);
}

#define BURST 32u

static struct postern_ring ends[2];
static uint8_t packets[2][BURST][64];
static struct postern_gate_frame frames[2][BURST];

/* Two ends over the window: end 0 sends, end 1 receives. */
static void open_ends(void)
{
    for (unsigned end = 0; end < 2; end++) {
        struct postern_gate_ring call = {.ring = &ends[end], .mtu = 1500, .seed = 7};

        assert_true(
            postern_ring_init(&ends[end], window + end * SLICE, window + (1 - end) * SLICE, SLICE));
        ends[end].polls = true;
        assert_true(cross(POSTERN_GATE_RING_OPEN, &call, 0) >= 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        struct postern_gate_ring call = {.ring = &ends[i % 2]};

        assert_true(cross(POSTERN_GATE_RING_SYNC, &call, 0) >= 0);
    }
    assert_true(ends[0].up && ends[1].up);
}

static struct postern_gate_burst burst_of(unsigned end, uint32_t count)
{
    for (uint32_t i = 0; i < BURST; i++) {
        memset(packets[end][i], end == 0 ? (int)i + 1 : 0, sizeof(packets[end][i]));
        frames[end][i] = (struct postern_gate_frame){{.length = 64}, packets[end][i], 0};
    }
    return (struct postern_gate_burst){
        .ring = &ends[end], .frames = frames[end], .count = count, .room = 64};
}

/* Frames of both kinds, with an event after any one instruction: they arrive, and no register that
 * a caller keeps was used. */
static void test_burst_events(void **state)
{
    unsigned steps[2] = {1, 1};

    (void)state;
    open_ends();
    for (unsigned at = 1; at <= steps[0] || at <= steps[1]; at++) {
        struct postern_gate_burst out = burst_of(0, 3), in = burst_of(1, 3);

        frames[0][2].record.length = 17;
        assert_int_equal(cross_with_events(POSTERN_GATE_BURST_SEND, &out, at, 1), 0);
        steps[0] = step;
        assert_int_equal(out.done, 3);
        assert_int_equal(cross_with_events(POSTERN_GATE_BURST_TAKE, &in, at, 1), 0);
        steps[1] = step;
        assert_int_equal(in.done, 3);
        assert_memory_equal(packets[0][0], packets[1][0], 128);
        assert_memory_equal(packets[0][2], packets[1][2], 17);
        assert_int_equal(packets[1][2][17], 0);
    }
}

/* What programs' packets cost is a goal of its own (docs/performance.md). The library around it is
 * not in this. */
static void test_burst_is_short(void **state)
{
    struct postern_gate_burst out, in;
    unsigned sent, taken;

    (void)state;
    open_ends();
    for (unsigned i = 0; i < 3; i++) {
        out = burst_of(0, BURST);
        in = burst_of(1, BURST);
        assert_int_equal(cross_with_events(POSTERN_GATE_BURST_SEND, &out, 0, 0), 0);
        sent = step;
        assert_int_equal(cross_with_events(POSTERN_GATE_BURST_TAKE, &in, 0, 0), 0);
        taken = step;
        assert_int_equal(in.done, BURST);
        assert_memory_equal(packets[0], packets[1], sizeof(packets[0]));
    }
    print_message("32 frames of 64 bytes: %u instructions to send, %u to receive\n", sent, taken);
    assert_true(sent + taken <= BURST * 52);
}

/* The view is closed after any one instruction: the crossing ends there or is over. */
static void test_closing(void **state)
{
    struct postern_gate_access access = {(uintptr_t)window, 1};
    unsigned steps = 1, given_up = 0;

    (void)state;
    event_closes_view = true;
    for (unsigned at = 1; at <= steps; at++) {
        int64_t result = cross_with_events(POSTERN_GATE_STORE, &access, at, 1);

        assert_true(result == 0 || result == POSTERN_ERR_NOT_OPEN);
        given_up += result != 0;
        steps = step > steps ? step : steps;
        view_is_open = true;
    }
    assert_true(given_up > 10 && given_up < steps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),
        cmocka_unit_test_setup_teardown(test_crossing, set_up_native, tear_down),
        cmocka_unit_test_setup_teardown(test_crossing, set_up_fallback, tear_down),
        cmocka_unit_test_setup_teardown(test_null_crossing_is_short, set_up_native, tear_down),
        cmocka_unit_test_setup_teardown(test_null_crossing_is_short, set_up_fallback, tear_down),
        cmocka_unit_test_setup_teardown(test_direction_flag, set_up_native, tear_down),
        cmocka_unit_test_setup_teardown(test_events, set_up_native, tear_down),
        cmocka_unit_test_setup_teardown(test_events, set_up_fallback, tear_down),
        cmocka_unit_test_setup_teardown(test_burst_events, set_up_native, tear_down),
        cmocka_unit_test_setup_teardown(test_burst_events, set_up_fallback, tear_down),
        cmocka_unit_test_setup_teardown(test_burst_is_short, set_up_native, tear_down),
        cmocka_unit_test_setup_teardown(test_burst_is_short, set_up_fallback, tear_down),
        cmocka_unit_test_setup_teardown(test_closing, set_up_native, tear_down),
        cmocka_unit_test_setup_teardown(test_closing, set_up_fallback, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
