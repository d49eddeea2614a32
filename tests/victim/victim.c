/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The victim: a guest that minds its own business, which is to look whether anything of its own has
 * changed: canaries in its RAM, in its sections of all links, and the gate's pages, which are the
 * hypervisor's. It runs until its VM is ended.
 */
#include "tests/victim/victim.h"

#include "abi/gate.h"
#include "tests/kit/kit.h"

#define RAM_CANARY  0x80000ull /* bytes */
#define RING_VECTOR 0x50u      /* the one above it is for changes of the link */
#define TICK_VECTOR 0x60u
#define TICK_MS     5u

static uint64_t *ram_canary, *buffer, *gate_copy;
static const uint64_t *gate;
static uint64_t gate_words;
static uint8_t *windows[PORTS];
static int64_t views[PORTS];
static volatile uint32_t *msix[PORTS]; /* the entry of the ring's vector */
static volatile struct answer *answer;

static int64_t call_gate(unsigned port, uint32_t function, void *arguments)
{
    return ((postern_gate_t)(uintptr_t)gate)((uint32_t)views[port], function, arguments);
}

static void report(uint64_t bad, uint64_t place)
{
    if (bad != 0 && answer->bad == 0) {
        answer->where = place;
        print("victim: %llu words changed, place %llu\n", (unsigned long long)bad,
              (unsigned long long)place);
    }
    answer->bad += bad;
}

static uint64_t count_changed(const uint64_t *words, uint64_t size)
{
    uint64_t bad = 0;

    for (uint64_t i = 0; i < size / sizeof(*words); i++) {
        bad += words[i] != canary_word(i) ? 1 : 0;
    }
    return bad;
}

static void fill(uint64_t *words, uint64_t size)
{
    for (uint64_t i = 0; i < size / sizeof(*words); i++) {
        words[i] = canary_word(i);
    }
}

/* Copies between the section's canary and the buffer. */
static void move_section(unsigned port, bool out)
{
    uint64_t section = (uint64_t)windows[port] + CANARY_OFFSET, ram = (uint64_t)buffer;
    struct postern_gate_copy copy = {
        .to = out ? section : ram, .from = out ? ram : section, .size = CANARY_SIZE};

    if (views[port] == 0) {
        memcpy((void *)copy.to, (const void *)copy.from, copy.size);
    } else if (call_gate(port, POSTERN_GATE_COPY, &copy) != 0) {
        report(1, PLACE_GATE_REFUSES);
    }
}

static void look(void)
{
    uint64_t bad = 0;

    report(count_changed(ram_canary, RAM_CANARY), PLACE_RAM);
    for (uint64_t i = 0; i < gate_words; i++) {
        bad += gate[i] != gate_copy[i] ? 1 : 0;
    }
    report(bad, PLACE_GATE);
    for (unsigned port = 0; port < PORTS; port++) {
        memset(buffer, 0, CANARY_SIZE);
        move_section(port, false);
        report(count_changed(buffer, CANARY_SIZE), PLACE_SECTION + port);
    }
}

/* As a driver that defends itself: after a ring it masks them, until it has time. */
static void mask_rings(uint32_t mask)
{
    for (unsigned port = 0; port < PORTS; port++) {
        if (msix[port] != NULL) {
            msix[port][3] = mask;
        }
    }
}

static void on_ring(struct frame *frame)
{
    (void)frame;
    if (answer->unmasked == 0) {
        mask_rings(1);
    }
    end_of_interrupt();
}

static void set_up_port(unsigned port)
{
    uint32_t device = PCI_DEVICE(1 + port);

    pci_write(device, 4, 2);
    windows[port] = map_physical(nic_bar(device, 2), 2 * SECTION_SIZE);
    msix[port] = nic_enable_msix(device, RING_VECTOR);
    if (port != PORT_OPEN) {
        views[port] = hypercall(POSTERN_HC_VIEW_OPEN, port, POSTERN_ALL_VCPUS, 0);
        CHECK(views[port] > 0);
    }
    fill(buffer, CANARY_SIZE);
    move_section(port, true);
}

static void set_up(void)
{
    uint64_t home = (uint64_t)hypercall(POSTERN_HC_GATE, 0, 0, 0);

    gate = (const uint64_t *)align_down(home, SIZE_4K);
    gate_words = (home & 0xfff) * SIZE_4K / sizeof(*gate);
    gate_copy = ram_alloc(gate_words * sizeof(*gate), SIZE_4K);
    memcpy(gate_copy, gate, gate_words * sizeof(*gate));
    ram_canary = ram_alloc(RAM_CANARY, SIZE_2M);
    fill(ram_canary, RAM_CANARY);
    buffer = ram_alloc(CANARY_SIZE, SIZE_4K);
    for (unsigned port = 0; port < PORTS; port++) {
        set_up_port(port);
    }
    CHECK_EQUAL(hypercall(POSTERN_HC_POOL_GIVE, PORT_OTHER, CANARY_SLOT, (uint64_t)ram_canary), 0);
    answer = (volatile struct answer *)(windows[PORT_OPEN] + TALK_OFFSET);
    memset((void *)answer, 0, sizeof(*answer));
}

/* Eight words, as fast as one. */
static void put_secret(uint64_t word)
{
    uint64_t words[8];
    struct postern_gate_copy copy = {.to = (uint64_t)windows[PORT_GATED] + SECRET_OFFSET,
                                     .from = (uint64_t)words,
                                     .size = sizeof(words)};

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        words[i] = word;
    }
    if (call_gate(PORT_GATED, POSTERN_GATE_COPY, &copy) != 0) {
        report(1, PLACE_GATE_REFUSES);
    }
}

static void revoke_for_a_while(void)
{
    CHECK_EQUAL(hypercall(POSTERN_HC_WINDOW_GRANT, PORT_GATED, 0, 0), 0);
    put_secret(SECRET);
    delay(1);
    put_secret(0);
    CHECK_EQUAL(hypercall(POSTERN_HC_WINDOW_GRANT, PORT_GATED, 1, 0), 0);
    answer->revocations = answer->revocations + 1;
}

static void wait_for_tick(void)
{
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + TICK_MS * tsc_per_ms());
    uint64_t ticks = vector_count(TICK_VECTOR);
    while (vector_count(TICK_VECTOR) == ticks) {
        __asm__ volatile("sti; hlt; cli" : : : "memory");
    }
    mask_rings(0);
    answer->rings = vector_count(RING_VECTOR);
    answer->beats = answer->beats + 1;
}

void guest_role(void)
{
    const volatile struct question *question;

    apic_init();
    vector_handle(RING_VECTOR, on_ring);
    set_up();
    question = (volatile struct question *)(windows[PORT_OPEN] + SECTION_SIZE + TALK_OFFSET);
    wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_DEADLINE | TICK_VECTOR);
    look();
    print("victim: ready, %llu bad\n", (unsigned long long)answer->bad);
    for (;;) {
        uint64_t number = question->number;
        if (number != answer->number) {
            look();
            answer->number = number;
        }
        if (question->revoke == 1) {
            revoke_for_a_while();
        }
        answer->unmasked = question->unmasked == 1 ? 1 : 0;
        wait_for_tick();
    }
}
