/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claims: statements on what a guest of Postern may rely on, each with the code that tries it.
 *
 *     CLAIM(cpuid_signature, "CPUID leaf 0x40000000 names Postern")
 *     {
 *         struct cpuid_result r = cpuid(0x40000000, 0);
 *
 *         CHECK_EQUAL(r.eax, 0x40000001);
 *     }
 *
 * A claim that returns has succeeded. skip(), error() and fail() end it otherwise and do not
 * return; so does an exception that it did not expect, which is a failure. The runner calls claims
 * with interrupts off, on CPU 0, and undoes afterwards what they did to the CPU, to the page tables
 * and to the local APIC. README.md beside this file says how to add one.
 */
#ifndef POSTERN_TESTS_KIT_CLAIM_H
#define POSTERN_TESTS_KIT_CLAIM_H

#include "lib/types.h"

struct claim {
    const char *name;
    const char *sentence;
    void (*run)(void);
};

/* The linker script gathers the entries: files in the order of their names, claims in the order in
 * which they stand. */
#define CLAIM(claim_name, text)                                                             \
    static void claim_##claim_name(void);                                                   \
    static const struct claim about_##claim_name = {#claim_name, text, claim_##claim_name}; \
    static const struct claim *const entry_##claim_name                                     \
        __attribute__((used, section(".claims"))) = &about_##claim_name;                    \
    static void claim_##claim_name(void)

/* The promise cannot be tried here. */
NORETURN void skip(const char *format, ...) PRINTF(1, 2);
/* The test itself is broken, or something that it needs. */
NORETURN void error(const char *format, ...) PRINTF(1, 2);
/* The promise is broken. */
NORETURN void fail(const char *format, ...) PRINTF(1, 2);

#define CHECK(condition)                                       \
    do {                                                       \
        if (!(condition)) {                                    \
            fail("%s:%u: %s", KIT_FILE, __LINE__, #condition); \
        }                                                      \
    } while (0)

#define CHECK_EQUAL(actual, expected)                                                  \
    do {                                                                               \
        uint64_t kit_actual = (uint64_t)(actual), kit_expected = (uint64_t)(expected); \
        if (kit_actual != kit_expected) {                                              \
            fail("%s:%u: %s is 0x%llx, not 0x%llx", KIT_FILE, __LINE__, #actual,       \
                 (unsigned long long)kit_actual, (unsigned long long)kit_expected);    \
        }                                                                              \
    } while (0)

#define KIT_FILE (__builtin_strrchr(__FILE__, '/') + 1)

/*
 * Claims that end their VM. Memory outlives a restart of the VM; the runner keeps a note there and
 * goes on. A claim that has called restart_expected() is called again after the restart, with
 * claim_phase() one higher; one that has not, and ended the VM, has failed.
 */
unsigned claim_phase(void);
void restart_expected(void);
/* The same for an end that need not come. */
void restart_possible(void);

/* A guest may define it: called after each claim that has succeeded, with all that the claim did to
 * CPU, page tables and local APIC undone. It ends as a claim does, and its verdict is the claim's.
 */
void after_claim(void);

/* Whether the command line has `word`. Bochs is told by "bochs". */
bool has_word(const char *word);

/* The decimal number behind `option`, which ends with "=", on the command line; `otherwise` if it
 * is not there. */
uint64_t option_number(const char *option, uint64_t otherwise);

/* Skips the claim in Bochs, whose `bug` hides what silicon does. */
void skip_in_bochs(const char *bug);

/* A guest may define it to play another part than to run its claims, as its command line says: it
 * then does not return. */
void guest_role(void);

/* Prints to the console. */
void print(const char *format, ...) PRINTF(1, 2);

#endif
