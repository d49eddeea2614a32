/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the claims and prints a line for each. What it has to remember when a claim ends the VM is
 * in RAM that no loader writes: the restarted VM goes on behind that claim.
 */
#include "lib/format.h"
#include "lib/string.h"
#include "tests/kit/kit.h"
#include "tests/kit/layout.h"
#include "tests/kit/percpu.h"

#define UART_DATA        GUEST_PORT_UART
#define UART_LINE_STATUS (GUEST_PORT_UART + 5u)
#define UART_EMPTY       0x20u
#define NOTE_MAGIC       0x65746f6e74696bull
#define INFO_CMDLINE     16u
#define CR0_START        (CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG)
#define CR4_START        (CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT)
#define MAX_PHASES       8u

/* What a claim has said of its VM's end. */
#define RESTART_CERTAIN  1u
#define RESTART_POSSIBLE 2u

enum verdict { SUCCESS, SKIP, ERROR, FAILURE, VERDICTS };

static const char *const verdict_names[] = {"success", "skip", "error", "failure"};

/* Outlives a restart. */
struct note {
    uint64_t magic;
    uint32_t next;     /* the claim that runs, or is next */
    uint32_t phase;    /* how often it was begun already */
    uint32_t running;  /* a claim runs */
    uint32_t expected; /* and has said that it will end the VM */
    uint32_t counts[VERDICTS];
};

extern const struct claim *const kit_claims[], *const kit_claims_end[];

static struct note *const note = (struct note *)PROGRESS_NOTE;
static const char *cmdline = "";
static struct recovery claim_recovery;
static enum verdict verdict;
static char reason[200];

void kit_main(uint32_t info, uint32_t magic);

static void put(void *context, const char *bytes, size_t size)
{
    (void)context;
    for (size_t i = 0; i < size; i++) {
        while ((inb(UART_LINE_STATUS) & UART_EMPTY) == 0) {
            cpu_pause();
        }
        outb(UART_DATA, (uint8_t)bytes[i]);
    }
}

void print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    format_to_v(put, NULL, format, arguments);
    va_end(arguments);
}

bool has_word(const char *word)
{
    size_t length = strlen(word);
    const char *at = cmdline;

    while (*at != '\0') {
        size_t size = 0;
        while (at[size] != '\0' && at[size] != ' ') {
            size++;
        }
        if (size == length && strncmp(at, word, length) == 0) {
            return true;
        }
        at += size + (at[size] == ' ' ? 1 : 0);
    }
    return false;
}

uint64_t option_number(const char *option, uint64_t otherwise)
{
    size_t length = strlen(option);
    uint64_t value = 0;
    const char *at = cmdline;

    while (*at != '\0' && !((at == cmdline || at[-1] == ' ') && strncmp(at, option, length) == 0)) {
        at++;
    }
    if (*at == '\0') {
        return otherwise;
    }
    for (at += length; *at >= '0' && *at <= '9'; at++) {
        value = 10 * value + (uint64_t)(*at - '0');
    }
    return value;
}

/* Ends the claim from wherever it is. On another CPU it ends the work that this was given, and the
 * verdict is taken by cpu_wait()'s caller. */
static NORETURN void leave(enum verdict v, const char *format, va_list arguments)
{
    (void)format_string_v(reason, sizeof(reason), format, arguments);
    verdict = v;
    kit_unwind(this_cpu()->index == 0 ? &claim_recovery : this_cpu()->recovery);
}

#define DEFINE_VERDICT(name, value)      \
    void name(const char *format, ...)   \
    {                                    \
        va_list arguments;               \
        va_start(arguments, format);     \
        leave(value, format, arguments); \
    }
DEFINE_VERDICT(skip, SKIP)
DEFINE_VERDICT(error, ERROR)
DEFINE_VERDICT(fail, FAILURE)

void skip_in_bochs(const char *bug)
{
    if (has_word("bochs")) {
        skip("Bochs: %s", bug);
    }
}

unsigned claim_phase(void)
{
    return note->phase;
}

void restart_possible(void)
{
    note->expected = RESTART_POSSIBLE;
}

void restart_expected(void)
{
    note->expected = RESTART_CERTAIN;
}

static void call_claim(void *argument)
{
    const struct claim *claim = argument;

    claim->run();
}

/* Back to what a claim finds. */
static void clean_up(void)
{
    interrupts_off();
    write_cr4(CR4_START);
    write_cr0(CR0_START);
    __asm__ volatile("mov %0, %%dr7" : : "r"(0x400ull));
    write_dr6(0xffff0ff0);
    wrmsr(MSR_IA32_EFER, EFER_START | EFER_LMA);
    wrmsr(MSR_IA32_GS_BASE, (uint64_t)&kit_cpus[0]);
    descriptors_reset();
    apic_init();
    descriptors_reset();
    memory_reset();
}

/* Whether the command line names others: "only=PREFIX", any number of them. */
static bool is_left_out(const struct claim *claim)
{
    static const char option[] = "only=";
    const size_t length = sizeof(option) - 1;
    bool any = false;

    for (const char *at = cmdline; *at != '\0'; at++) {
        if (strncmp(at, option, length) == 0) {
            size_t size = 0;
            while (at[length + size] != '\0' && at[length + size] != ' ') {
                size++;
            }
            if (strncmp(claim->name, at + length, size) == 0) {
                return false;
            }
            any = true;
        }
    }
    return any;
}

static void report(const struct claim *claim)
{
    print("claim %s: %s%s%s\n", claim->name, verdict_names[verdict], verdict == SUCCESS ? "" : ": ",
          verdict == SUCCESS ? "" : reason);
    note->counts[verdict]++;
    note->next++;
    note->phase = 0;
    note->running = 0;
    note->expected = 0;
}

__attribute__((weak)) void after_claim(void)
{
}

static void call_after(void *argument)
{
    (void)argument;
    after_claim();
}

/* Sets the verdict. */
static void protected(void (*function)(void *argument), void *argument)
{
    struct kit_cpu *cpu = this_cpu();

    verdict = SUCCESS;
    cpu->trap.vector = TRAP_NONE;
    cpu->recovery = &claim_recovery;
    if (kit_protect(&claim_recovery, function, argument) != 0 && verdict == SUCCESS) {
        verdict = FAILURE;
        (void)format_string(reason, sizeof(reason), "unexpected %s", trap_text(&cpu->trap));
    }
    cpu->recovery = NULL;
}

static void run(const struct claim *claim)
{
    note->running = 1;
    protected(call_claim, (void *)claim);
    if (verdict == SUCCESS && note->expected == RESTART_CERTAIN) {
        verdict = FAILURE;
        (void)string_copy(reason, sizeof(reason), "the VM should have ended, and has not");
    }
    clean_up();
    if (verdict == SUCCESS) {
        protected(call_after, NULL);
        clean_up();
    }
    report(claim);
}

/* A claim was running when the VM ended. */
static void after_restart(const struct claim *claim)
{
    if (note->expected != 0 && note->phase < MAX_PHASES) {
        note->expected = 0;
        note->phase++;
        return;
    }
    verdict = FAILURE;
    (void)string_copy(reason, sizeof(reason), "it ended the VM");
    report(claim);
}

static void run_all(void)
{
    uint32_t count = (uint32_t)(kit_claims_end - kit_claims);

    if (note->magic != NOTE_MAGIC || note->next > count) {
        memset(note, 0, sizeof(*note));
        note->magic = NOTE_MAGIC;
    }
    if (note->running != 0 && note->next < count) {
        after_restart(kit_claims[note->next]);
    }
    while (note->next < count) {
        if (is_left_out(kit_claims[note->next])) {
            note->next++;
        } else {
            run(kit_claims[note->next]);
        }
    }
    print("claims: %u success, %u skip, %u error, %u failure\n", note->counts[SUCCESS],
          note->counts[SKIP], note->counts[ERROR], note->counts[FAILURE]);
}

__attribute__((weak)) void guest_role(void)
{
}

void kit_main(uint32_t info, uint32_t magic)
{
    uint32_t line = 0;

    (void)magic;
    memcpy(&line, (const char *)(uint64_t)info + INFO_CMDLINE, sizeof(line));
    cmdline = (const char *)(uint64_t)line;
    descriptors_load(0);
    memory_init(info);
    if (has_word("idle")) {
        halt_forever();
    }
    clean_up();
    guest_role();
    run_all();
    bool bad = note->counts[ERROR] + note->counts[FAILURE] != 0;
    note->magic = 0; /* a start by hand begins anew */
    outb(GUEST_PORT_EXIT, bad ? 1 : 0);
    halt_forever();
}
