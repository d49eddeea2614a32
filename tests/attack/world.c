/* SPDX-License-Identifier: BSD-2-Clause */
/* What attacks have in common, and what is looked at after each. */
#include "tests/attack/attack.h"
#include "tests/kit/percpu.h"

#define ANSWER_MS    4000u
#define PCI_COMMAND  0x04u
#define PCI_BAR(n)   (0x10u + 4u * (n))
#define BAR0_FIRST   0xc0000000u
#define BAR2_FIRST   0x1000000000ull
#define BAR2_STEP    (2ull * POSTERN_SECTION_MAX)
#define POOL_FIRST   0x1104000000ull /* of PORT_OTHER */
#define CHECK_OFFSET 0x9000ull       /* in the own section */

static uint64_t random_state = RANDOM_SEED;

bool native_vmfunc(void)
{
    return (cpuid(POSTERN_CPUID_ABI, 0).ebx & POSTERN_NATIVE_VMFUNC) != 0;
}

uint32_t nic_of(unsigned port)
{
    uint32_t device = PCI_DEVICE(1 + port);

    pci_write(device, PCI_COMMAND, 2);
    return device;
}

uint64_t window_of(unsigned port)
{
    return nic_bar(nic_of(port), 2);
}

uint64_t pool_of_other(void)
{
    return nic_bar(nic_of(PORT_OTHER), POSTERN_BAR_POOL);
}

void move_bar(unsigned port, unsigned bar, uint64_t gpa)
{
    pci_write(PCI_DEVICE(1 + port), PCI_BAR(bar), (uint32_t)gpa);
    pci_write(PCI_DEVICE(1 + port), PCI_BAR(bar + 1), (uint32_t)(gpa >> 32));
}

uint64_t view_open(unsigned port)
{
    (void)nic_of(port);
    int64_t view = hypercall(POSTERN_HC_VIEW_OPEN, port, POSTERN_ALL_VCPUS, 0);

    CHECK(view > 0);
    return (uint64_t)view;
}

uint8_t *window_map(unsigned port)
{
    uint64_t linear = CLAIM_BASE + 0x4000000000ull * (port + 1);
    uint64_t gpa = window_of(port);

    for (uint64_t at = 0; at < 2 * SECTION_SIZE; at += SIZE_4K) {
        page_map(linear + at, gpa + at, SIZE_4K, PTE_WRITE | PTE_USER);
    }
    return (uint8_t *)linear;
}

int64_t cross_at(uint64_t gate, uint64_t view, uint32_t function, void *arguments)
{
    return ((postern_gate_t)gate)((uint32_t)view, function, arguments);
}

int64_t cross(uint64_t view, uint32_t function, void *arguments)
{
    return cross_at(GATE_BASE, view, function, arguments);
}

int64_t cross_copy(uint64_t view, void *to, const void *from, uint64_t size)
{
    struct postern_gate_copy copy = {(uint64_t)to, (uint64_t)from, size};

    return cross(view, POSTERN_GATE_COPY, &copy);
}

void check_crossing(unsigned port)
{
    uint64_t view = view_open(port);
    uint8_t *window = window_map(port);
    uint64_t word = random_next(), back = 0;

    CHECK_EQUAL(cross_copy(view, window + CHECK_OFFSET, &word, sizeof(word)), 0);
    CHECK_EQUAL(cross_copy(view, &back, window + CHECK_OFFSET, sizeof(back)), 0);
    CHECK_EQUAL(back, word);
}

void check_victim_section(unsigned port)
{
    uint64_t view = view_open(port);
    uint8_t *peer = window_map(port) + SECTION_SIZE;
    uint64_t words[16], zero = 0;

    CHECK_EQUAL(cross_copy(view, words, peer + CANARY_OFFSET, sizeof(words)), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        CHECK_EQUAL(words[i], canary_word(i));
    }
    CHECK_EQUAL(cross_copy(view, peer + CANARY_OFFSET, &zero, sizeof(zero)), POSTERN_ERR_FAULT);
}

struct trap try_vmfunc(uint64_t leaf, uint64_t view)
{
    return TRY(BYTES_VMFUNC, : : "a"(leaf), "c"(view) : "memory");
}

struct trap try_switch(uint64_t view)
{
    if (native_vmfunc()) {
        return try_vmfunc(0, view);
    }
    return TRY(BYTES_VMCALL, : : "a"(POSTERN_HC_VIEW_SWITCH), "c"(view) : "memory");
}

static uint64_t user_leaf;

static uint64_t do_user_vmfunc(uint64_t view)
{
    __asm__ volatile(BYTES_VMFUNC : : "a"(user_leaf), "c"(view) : "memory");
    return 0;
}

static uint64_t do_user_vmcall(uint64_t view)
{
    __asm__ volatile(BYTES_VMCALL : : "a"(POSTERN_HC_VIEW_SWITCH), "c"(view) : "memory");
    return 0;
}

struct trap user_vmfunc(uint64_t leaf, uint64_t view)
{
    user_leaf = leaf;
    return run_user(do_user_vmfunc, view, NULL);
}

struct trap user_switch(uint64_t view)
{
    return native_vmfunc() ? user_vmfunc(0, view) : run_user(do_user_vmcall, view, NULL);
}

void exceptions_use_ist(void)
{
    for (unsigned vector = 0; vector < 32; vector++) {
        vector_use_ist(vector);
    }
}

static void on_timeout(struct frame *frame)
{
    struct kit_cpu *cpu = this_cpu();

    end_of_interrupt();
    cpu->trap =
        (struct trap){.vector = TIMEOUT_VECTOR, .rip = frame->rip, .user = (frame->cs & 3) != 0};
    kit_unwind(cpu->recovery);
}

void timeout_set(uint64_t ticks)
{
    vector_handle(TIMEOUT_VECTOR, on_timeout);
    vector_use_ist(TIMEOUT_VECTOR);
    wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_DEADLINE | TIMEOUT_VECTOR);
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + ticks);
}

void timeout_clear(void)
{
    wrmsr(MSR_IA32_TSC_DEADLINE, 0);
}

void random_seed(uint64_t seed)
{
    random_state = seed;
}

/* splitmix64. */
uint64_t random_next(void)
{
    uint64_t z = random_state += RANDOM_SEED;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/* The BARs as they were, nothing open, placed, revoked or registered by this vCPU. */
static void restore_ports(void)
{
    for (unsigned port = 0; port < PORTS; port++) {
        pci_write(PCI_DEVICE(1 + port), PCI_COMMAND, 0);
        pci_write(PCI_DEVICE(1 + port), PCI_BAR(0), BAR0_FIRST + port * POSTERN_BAR_REGISTERS_SIZE);
        move_bar(port, POSTERN_BAR_WINDOW, BAR2_FIRST + port * BAR2_STEP);
        move_bar(port, POSTERN_BAR_POOL, POOL_FIRST); /* if it has one */
        pci_write(PCI_DEVICE(1 + port), PCI_COMMAND, 2);
        CHECK_EQUAL(hypercall(POSTERN_HC_POOL_TAKE, port, POSTERN_POOL_ALL, 0),
                    port == PORT_OTHER ? 0 : (uint64_t)POSTERN_ERR_MODE);
        CHECK_EQUAL(hypercall(POSTERN_HC_VIEW_CLOSE, port, POSTERN_ALL_VCPUS, 0), 0);
        CHECK_EQUAL(hypercall(POSTERN_HC_WINDOW_GRANT, port, 1, 0),
                    port == PORT_OPEN ? (uint64_t)POSTERN_ERR_MODE : 0);
    }
    CHECK_EQUAL(hypercall(POSTERN_HC_VE, POSTERN_VE_OFF, 0, 0), 0);
}

const volatile struct answer *victim_answer(void)
{
    uint8_t *peer = map_physical(peer_section_of(PORT_OPEN), SECTION_SIZE);

    return (const volatile struct answer *)(peer + TALK_OFFSET);
}

/* Mapped anew for each claim, no oftener: its tables are few. */
static volatile struct question *victim_question(void)
{
    uint8_t *own = map_physical(window_of(PORT_OPEN), SECTION_SIZE);

    return (volatile struct question *)(own + TALK_OFFSET);
}

void victim_revoke(bool on)
{
    victim_question()->revoke = on ? 1 : 0;
}

void victim_unmask(void)
{
    const volatile struct answer *answer = victim_answer();
    uint64_t end = rdtsc() + ANSWER_MS * tsc_per_ms();

    victim_question()->unmasked = 1;
    while (answer->unmasked == 0) {
        if (rdtsc() > end) {
            fail("the victim does not unmask");
        }
        cpu_pause();
    }
}

void victim_check(void)
{
    const volatile struct answer *answer = victim_answer();
    volatile struct question *question = victim_question();
    uint64_t end = rdtsc() + ANSWER_MS * tsc_per_ms();
    uint64_t number = rdtsc();

    question->revoke = 0;
    question->unmasked = 0;
    question->number = number;
    while (answer->number != number) {
        if (rdtsc() > end) {
            fail("the victim does not answer (%llu beats)", (unsigned long long)answer->beats);
        }
        cpu_pause();
    }
    if (answer->bad != 0) {
        fail("the victim finds %llu words changed, place %llu", (unsigned long long)answer->bad,
             (unsigned long long)answer->where);
    }
}

void after_claim(void)
{
    restore_ports();
    victim_check();
    check_crossing(PORT_GATED);
    check_victim_section(PORT_GATED);
    for (unsigned port = 0; port < PORTS; port++) {
        CHECK_EQUAL(hypercall(POSTERN_HC_VIEW_CLOSE, port, POSTERN_ALL_VCPUS, 0), 0);
    }
}
