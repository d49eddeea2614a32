/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions as results. TRY() is for one instruction that may fault, trap_of() for a function,
 * run_user() for a function in ring 3.
 */
#ifndef POSTERN_TESTS_KIT_TRAP_H
#define POSTERN_TESTS_KIT_TRAP_H

#include "arch/x86/defs/registers.h"
#include "tests/kit/claim.h"

#define TRAP_NONE    256u
#define EXCEPTION_DE 0u
#define EXCEPTION_BP 3u
#define EXCEPTION_NM 7u
#define EXCEPTION_NP 11u
#define EXCEPTION_SS 12u
#define EXCEPTION_VE 20u

/* What came, TRAP_NONE for nothing. */
struct trap {
    unsigned vector;
    uint64_t error; /* its error code, 0 for those that have none */
    uint64_t rip;
    uint64_t cr2; /* with a #PF */
    bool user;    /* it came from ring 3 */
};

/* The registers at an interrupt or exception; a handler may change them. */
struct frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

typedef void (*vector_handler_t)(struct frame *frame);

/*
 * One instruction, in the assembler's words, with its operands as in an asm statement:
 *
 *     struct trap trap = TRY("wrmsr", : : "c"(msr), "a"(low), "d"(high));
 *
 * An exception at that very instruction becomes the result, and the next one goes on.
 */
#define TRY(instruction, ...)                            \
    ({                                                   \
        trap_clear();                                    \
        __asm__ volatile("771: " instruction "\n772:\n"  \
                         ".pushsection .fixups, \"a\"\n" \
                         ".quad 771b, 772b\n"            \
                         ".popsection" __VA_ARGS__);     \
        trap_get();                                      \
    })

void trap_clear(void);
struct trap trap_get(void);

/* Calls `function`; an exception ends it and becomes the result. */
struct trap trap_of(void (*function)(void *argument), void *argument);

/* Calls `function` in ring 3, where it finds the low 4 GiB at USER_BASE: code and data that it
 * names are found by themselves; addresses that it is passed go through user_address(). What it
 * returns comes in `*result`, which may be NULL. It runs with interrupts off. */
#define USER_BASE 0x8000000000ull
struct trap run_user(uint64_t (*function)(uint64_t argument), uint64_t argument, uint64_t *result);
uint64_t user_address(const void *address);

/* Has `handler` called for `vector` until the claim ends, in place of what the kit does: exceptions
 * become results, NMIs and interrupts are counted, interrupts acknowledged. */
void vector_handle(unsigned vector, vector_handler_t handler);

/* How often an NMI or interrupt came to this CPU since the claim began. */
uint64_t vector_count(unsigned vector);

/* Has `vector` use a stack of its own. */
void vector_use_ist(unsigned vector);

/* Text of a trap: "#GP(0x0) at 0x400123". In a buffer that the next call reuses. */
const char *trap_text(const struct trap *trap);

#define CHECK_TRAP(actual, expected_vector, expected_error)                                       \
    do {                                                                                          \
        struct trap kit_trap = (actual);                                                          \
        if (kit_trap.vector != (expected_vector) || kit_trap.error != (expected_error)) {         \
            fail("%s:%u: %s, not vector %u error 0x%x", KIT_FILE, __LINE__, trap_text(&kit_trap), \
                 (unsigned)(expected_vector), (unsigned)(expected_error));                        \
        }                                                                                         \
    } while (0)

#define CHECK_NO_TRAP(actual) CHECK_TRAP(actual, TRAP_NONE, 0)

#endif
