/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cross [COUNT]: crosses into a gated port's view from ring 3, and tries what must not work. The
 * port's interface has to be down. A line for each check; exit code 0 if all are ok. Without a C
 * library.
 */
#include <stddef.h>

#include "abi/dev.h"
#include "abi/gate.h"
#include "abi/hypercall.h"
#include "system_call.h"

#define SYS_OPEN   2
#define SYS_MMAP   9
#define SYS_IOCTL  16
#define SYS_FORK   57
#define SYS_WAIT4  61

#define O_RDWR     2
#define PROT_READ  1
#define PROT_WRITE 2
#define PROT_EXEC  4
#define MAP_SHARED 1
#define MAP_ANON   0x22 /* and private */
#define EACCES     13

#define SIGILL     4
#define SIGBUS     7
#define SIGSEGV    11

#define PAGE       4096u
#define UNUSED     PAGE /* of a section: neither header nor data */

static postern_gate_t gate;
static uint8_t *window;
static struct postern_dev_port port = {.port = POSTERN_DEV_ANY};
static unsigned checks, failures;

static void print(const char *text)
{
    size_t length = 0;

    while (text[length] != '\0') {
        length++;
    }
    (void)system_call(SYS_WRITE, 1, text, (long)length);
}

static void print_number(long value)
{
    char text[24];
    char *digits;

    text[sizeof(text) - 1] = '\0';
    digits = decimal(text + sizeof(text) - 1, (unsigned long long)(value < 0 ? -value : value));
    if (value < 0) {
        *--digits = '-';
    }
    print(digits);
}

__attribute__((noreturn)) static void leave(int code)
{
    (void)system_call(SYS_EXIT, code, NULL, 0);
    __builtin_unreachable();
}

static void check_is(const char *name, long value, long wanted)
{
    checks++;
    print("cross: ");
    print(name);
    if (value == wanted) {
        print(": ok\n");
        return;
    }
    failures++;
    print(": FAILED, ");
    print_number(value);
    print(" is not ");
    print_number(wanted);
    print("\n");
}

static void *map(uint64_t size, int protection, int flags, int file, uint64_t offset)
{
    return (void *)system_call6(SYS_MMAP, 0, (long)size, protection, flags, file, (long)offset);
}

/* The signal that ends a child which does this; 0 if none does. */
static int signal_of(void (*body)(void))
{
    int status = 0;
    long child = system_call6(SYS_FORK, 0, 0, 0, 0, 0, 0);

    if (child == 0) {
        body();
        leave(0);
    }
    (void)system_call6(SYS_WAIT4, child, (long)&status, 0, 0, 0, 0);
    return status & 0x7f;
}

static void check_signal(const char *name, void (*body)(void))
{
    int signal = signal_of(body);

    /* Any of those that a wrong access or instruction brings. */
    check_is(name, signal == SIGILL || signal == SIGBUS || signal == SIGSEGV ? 1 : signal, 1);
}

static void read_window(void)
{
    (void)*(volatile uint8_t *)(window + UNUSED);
}

static void write_window(void)
{
    *(volatile uint8_t *)(window + UNUSED) = 1;
}

/* Does the CPU switch views by itself? */
static int is_native(void)
{
    unsigned eax = POSTERN_CPUID_ABI, ebx = 0, ecx = 0, edx = 0;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return (ebx & POSTERN_NATIVE_VMFUNC) != 0;
}

/* What the gate does, but here; then a look into the window. */
static void switch_alone(void)
{
    if (is_native()) {
        __asm__ volatile("vmfunc" : : "a"(0), "c"(port.view) : "memory");
    } else {
        __asm__ volatile("vmcall" : : "a"(POSTERN_HC_VIEW_SWITCH), "c"(port.view) : "memory");
    }
    read_window();
}

/* Into the protected code, not by the trampoline and without a view in R15. */
static void jump_inside(void)
{
    __asm__ volatile("xorl %%r15d, %%r15d\n\t"
                     "xorl %%r14d, %%r14d\n\t"
                     "call *%0"
                     :
                     : "a"((uint8_t *)gate + PAGE), "S"(0), "d"(0)
                     : "r14", "r15", "rcx", "rdi", "r8", "r9", "r10", "r11", "memory");
}

static void cross_without_arguments(void)
{
    (void)gate(port.view, POSTERN_GATE_LOAD, NULL);
}

static void check_forbidden(void)
{
    check_signal("read the window outside of the gate", read_window);
    check_signal("write the window outside of the gate", write_window);
    check_signal("switch views outside of the gate", switch_alone);
    check_signal("jump into the protected code", jump_inside);
    check_signal("cross with arguments that are not mapped", cross_without_arguments);
}

static long store(uint64_t offset, uint64_t value)
{
    struct postern_gate_access access = {(uintptr_t)window + offset, value};

    return gate(port.view, POSTERN_GATE_STORE, &access);
}

static long load(uint64_t offset, uint64_t *value)
{
    struct postern_gate_access access = {(uintptr_t)window + offset, 0};
    long result = gate(port.view, POSTERN_GATE_LOAD, &access);

    *value = access.value;
    return result;
}

static void check_copy(void)
{
    char text[] = "through the gate", back[sizeof(text)] = "";
    struct postern_gate_copy there = {(uintptr_t)window + UNUSED + 64, (uintptr_t)text,
                                      sizeof(text)};
    struct postern_gate_copy here = {(uintptr_t)back, (uintptr_t)window + UNUSED + 64,
                                     sizeof(text)};
    size_t same = 0;

    check_is("copy into the own section", gate(port.view, POSTERN_GATE_COPY, &there), 0);
    check_is("copy out of it", gate(port.view, POSTERN_GATE_COPY, &here), 0);
    while (same < sizeof(text) && back[same] == text[same]) {
        same++;
    }
    check_is("find what was copied", (long)same, sizeof(text));
}

static void check_allowed(void)
{
    uint64_t value = 0;
    /* A page that is not there until the protected code writes to it. */
    uint64_t *fresh = map(PAGE, PROT_READ | PROT_WRITE, MAP_ANON, -1, 0);
    struct postern_gate_copy copy = {(uintptr_t)fresh, (uintptr_t)window + UNUSED, 8};

    check_is("cross", gate(port.view, POSTERN_GATE_NOTHING, NULL), 0);
    check_is("store into the own section", store(UNUSED, 0x1234567890), 0);
    check_is("load from it", load(UNUSED, &value), 0);
    check_is("find what was stored", (long)value, 0x1234567890);
    check_copy();
    check_is("load from the peer's section", load(port.window_size / 2, &value), 0);
    check_is("store into the peer's section", store(port.window_size / 2 + UNUSED, 1),
             POSTERN_ERR_FAULT);
    check_is("call a function that there is not", gate(port.view, 4000, NULL), POSTERN_ERR_UNKNOWN);
    check_is("cross to a view that is not open", gate(port.view + 100, POSTERN_GATE_NOTHING, NULL),
             POSTERN_ERR_NOT_OPEN);
    check_is("copy to a page that has to be made", gate(port.view, POSTERN_GATE_COPY, &copy), 0);
    check_is("find it there", (long)*fresh, 0x1234567890);
}

static void check_many(long count)
{
    unsigned long long start = __builtin_ia32_rdtsc();
    long bad = 0;

    for (long i = 0; i < count; i++) {
        bad += gate(port.view, POSTERN_GATE_NOTHING, NULL) != 0;
    }
    start = __builtin_ia32_rdtsc() - start;
    check_is("cross many times", bad, 0);
    print("cross: ticks of a crossing: ");
    print_number((long)start / count);
    print("\n");
}

/* Opens the device and maps what it has. */
static int set_up(void)
{
    long file = system_call6(SYS_OPEN, (long)POSTERN_DEV_PATH, O_RDWR, 0, 0, 0, 0);
    long result = file;

    if (file >= 0) {
        result = system_call6(SYS_IOCTL, file, POSTERN_DEV_TAKE, (long)&port, 0, 0, 0);
    }
    if (result < 0) {
        print(file < 0 ? "cross: the device does not open: " : "cross: no port is to be had: ");
        print_number(result);
        print("\n");
        return 0;
    }
    check_is(
        "map the gate to write to it",
        (long)map(port.gate_size, PROT_READ | PROT_WRITE, MAP_SHARED, (int)file, POSTERN_DEV_GATE),
        -EACCES);
    gate = (postern_gate_t)map(port.gate_size, PROT_READ | PROT_EXEC, MAP_SHARED, (int)file,
                               POSTERN_DEV_GATE);
    window =
        map(port.window_size, PROT_READ | PROT_WRITE, MAP_SHARED, (int)file, POSTERN_DEV_WINDOW);
    check_is("map the gate", (long)gate < 0, 0);
    check_is("map the window", (long)window < 0, 0);
    return failures == 0;
}

__attribute__((noreturn, used)) static void start(const long *stack)
{
    const char *text = stack[0] > 1 ? (const char *)stack[2] : "10000";
    long count = 0;

    for (; *text >= '0' && *text <= '9' && count < 1000000000; text++) {
        count = count * 10 + *text - '0';
    }
    if (!set_up()) {
        leave(1);
    }
    check_allowed();
    check_many(count > 0 ? count : 1);
    check_forbidden();
    check_is("cross after all that", gate(port.view, POSTERN_GATE_NOTHING, NULL), 0);
    print("cross: ");
    print_number(checks - failures);
    print(" of ");
    print_number(checks);
    print(" checks ok\n");
    leave(failures == 0 ? 0 : 1);
}

__asm__(".globl _start\n_start:\n\tmovq %rsp, %rdi\n\tandq $-16, %rsp\n\tcall start\n");
