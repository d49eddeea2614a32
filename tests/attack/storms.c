/* SPDX-License-Identifier: BSD-2-Clause */
/* Crossings while another vCPU does what it can. */
#include "tests/attack/enter.h"
#include "tests/kit/percpu.h"

#define CROSSINGS       400u
#define STORM_CROSSINGS 6000u
#define EVENTS          40u
#define STORM_VECTOR    0x70u
#define STORM_MS        20000u
#define COPY_SIZE       512u
#define ALIAS           (CLAIM_BASE + 0x30000000ull)
#define HOLE            0xd0000000ull
/* The RAM under the gate: a crossing that finds it there ends with #BP. Code that returned would
 * take what the crossing has saved for an address, and run on anywhere. */
#define BREAK_CODE 0xcc

static _Atomic bool stop;
static uint64_t storm_view;
static uint64_t storm_ram[2]; /* pages of RAM in which the gate comes and goes */
static uint64_t *storm_entries[2];

/* The window that crossings reach by storm_view. */
static uint8_t *storm_window(void)
{
    storm_view = view_open(PORT_GATED);
    return window_map(PORT_GATED);
}

/* Runs `storm` on CPU 1 until storm_end(). */
static void storm_begin(void (*storm)(void *))
{
    need_cpu(1);
    in_bochs_let_others_in();
    atomic_store(&stop, false);
    cpu_run(1, storm, NULL);
}

static void storm_end(void)
{
    atomic_store(&stop, true);
    CHECK_NO_TRAP(cpu_wait(1, STORM_MS));
}

/* Copies into the own section and back. False: a crossing ended early, as `may_end` says it may. */
static bool cross_once(uint8_t *window, bool may_end)
{
    uint8_t out[COPY_SIZE], back[COPY_SIZE] = {0};
    uint8_t mark = (uint8_t)random_next();

    memset(out, mark, sizeof(out));
    int64_t first = cross_copy(storm_view, window + 0xa000, out, sizeof(out));
    int64_t second = first == 0 ? cross_copy(storm_view, back, window + 0xa000, sizeof(back)) : -1;
    if (first == 0 && second == 0) {
        CHECK(memcmp(out, back, sizeof(out)) == 0 || may_end);
        return true;
    }
    CHECK(may_end);
    int64_t result = first != 0 ? first : second;
    CHECK(result == POSTERN_ERR_NOT_OPEN || result == POSTERN_ERR_FAULT);
    return false;
}

/* A while in which the other vCPU gets on: a guest whose own vCPU is interrupted faster than it
 * handles the interrupts stands still, as on any machine. */
static void breathe(void)
{
    for (uint64_t end = rdtsc() + 20000 + (rdtsc() & 0x3fff); rdtsc() < end;) {
        cpu_pause();
    }
}

/* Crosses until `vector` has come often enough by the storm, with interrupts of its own between. */
static void cross_under(void (*storm)(void *), unsigned vector)
{
    uint8_t *window = storm_window();

    storm_begin(storm);
    for (unsigned i = 0; i < STORM_CROSSINGS && vector_count(vector) < EVENTS; i++) {
        wrmsr(MSR_X2APIC_SELF_IPI, STORM_VECTOR + 2);
        CHECK(cross_once(window, false));
    }
    storm_end();
    CHECK(vector_count(vector) >= EVENTS);
    CHECK(vector_count(STORM_VECTOR + 2) > 0);
}

static void send_nmis(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        wrmsr(MSR_X2APIC_ICR, ICR_NMI | ICR_ASSERT);
        breathe();
    }
}

CLAIM(nmi_storm,
      "NMIs in a row from another vCPU are all handled, and each crossing comes to its end")
{
    cross_under(send_nmis, EXCEPTION_NMI);
}

static void send_ipis(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        wrmsr(MSR_X2APIC_ICR, ICR_ASSERT | STORM_VECTOR);
        wrmsr(MSR_X2APIC_ICR, ICR_ASSERT | (STORM_VECTOR + 1));
        breathe();
    }
}

CLAIM(ipi_storm,
      "IPIs in a row from another vCPU are all handled, and each crossing comes to its end")
{
    cross_under(send_ipis, STORM_VECTOR);
}

static void close_and_open(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        (void)hypercall(POSTERN_HC_VIEW_CLOSE, PORT_GATED, POSTERN_ALL_VCPUS, 0);
        (void)hypercall(POSTERN_HC_VIEW_OPEN, PORT_GATED, POSTERN_ALL_VCPUS, 0);
        breathe(); /* some crossings are to find it open */
    }
}

CLAIM(view_closed_under_crossings,
      "a view that another vCPU closes and opens ends crossings, no more")
{
    unsigned done = 0, ended = 0;

    uint8_t *window = storm_window();
    storm_begin(close_and_open);
    for (unsigned i = 0; i < CROSSINGS; i++) {
        *(cross_once(window, true) ? &done : &ended) += 1;
    }
    storm_end();
    CHECK(done > 0);
    CHECK_EQUAL(done + ended, CROSSINGS);
}

static void move_window(void *unused)
{
    uint32_t device = PCI_DEVICE(1 + PORT_GATED);

    (void)unused;
    for (uint32_t i = 0; !atomic_load(&stop); i++) {
        pci_write(device, 0x18, 0x100000 * (i % 16)); /* within the same gibibyte */
        pci_write(device, 4, i % 4 == 0 ? 0 : 2);
    }
    pci_write(device, 4, 2);
}

CLAIM(window_moved_under_crossings,
      "a window that another vCPU moves about ends crossings, no more")
{
    uint8_t *window = storm_window();

    storm_begin(move_window);
    for (unsigned i = 0; i < CROSSINGS / 2; i++) {
        (void)cross_once(window, true);
    }
    storm_end();
}

/* The victim shows the secret only while it has its section revoked. */
static uint64_t secrets_seen;

static void look_for_secret(uint8_t *peer)
{
    uint64_t words[8];

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        words[i] = 0;
    }
    (void)cross_copy(storm_view, words, peer + SECRET_OFFSET, sizeof(words));
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        secrets_seen += words[i] == SECRET ? 1 : 0;
    }
}

static void look_on(void *peer)
{
    in_bochs_let_others_in();
    while (!atomic_load(&stop)) {
        look_for_secret(peer);
    }
}

CLAIM(revoked_under_crossings, "what the victim shows once a revocation has returned is never seen")
{
    storm_view = view_open(PORT_GATED);
    uint8_t *peer = window_map(PORT_GATED) + SECTION_SIZE;

    secrets_seen = 0;
    need_cpu(1);
    atomic_store(&stop, false);
    cpu_run(1, look_on, peer);
    const volatile struct answer *answer = victim_answer();
    uint64_t before = answer->revocations;
    uint64_t beats = answer->beats, begin = rdtsc();
    victim_revoke(true);
    uint64_t end = rdtsc() + 3000 * tsc_per_ms();
    in_bochs_let_others_in();
    while (answer->revocations < before + 10 && rdtsc() < end) {
        look_for_secret(peer);
    }
    __asm__ volatile("cli" : : : "memory");
    victim_revoke(false);
    storm_end();
    uint64_t made = answer->revocations - before;
    if (made < 10) {
        fail("the victim has revoked %llu times in %llu ms, %llu beats", (unsigned long long)made,
             (unsigned long long)((rdtsc() - begin) / tsc_per_ms()),
             (unsigned long long)(answer->beats - beats));
    }
    CHECK_EQUAL(secrets_seen, 0);
}

static void place_and_remove(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        for (unsigned i = 0; i < 2; i++) {
            (void)hypercall(POSTERN_HC_GATE_PLACE, i, storm_ram[i], 0);
        }
        for (unsigned i = 0; i < 2; i++) {
            (void)hypercall(POSTERN_HC_GATE_PLACE, POSTERN_GATE_REMOVE, storm_ram[i], 0);
        }
        breathe();
    }
}

static void cross_by_alias(void *arguments)
{
    (void)cross_at(ALIAS, storm_view, POSTERN_GATE_COPY, arguments);
}

static void cross_many(unsigned count, uint64_t to, uint64_t from)
{
    struct postern_gate_copy copy = {to, from, 64};

    for (unsigned i = 0; i < count; i++) {
        struct trap trap = trap_of(cross_by_alias, &copy);
        if (trap.vector == EXCEPTION_NMI || (trap.vector >= 32 && trap.vector != TRAP_NONE)) {
            fail("vector %u: %s", trap.vector, trap_text(&trap));
        }
    }
}

static void alias_init(void)
{
    for (unsigned i = 0; i < 2; i++) {
        storm_ram[i] = (uint64_t)ram_alloc(SIZE_4K, SIZE_4K);
        memset((void *)storm_ram[i], BREAK_CODE, SIZE_4K);
        page_map(ALIAS + i * SIZE_4K, storm_ram[i], SIZE_4K, PTE_USER | PTE_WRITE);
        storm_entries[i] = page_entry(ALIAS + i * SIZE_4K);
    }
}

CLAIM(gate_removed_under_crossings, "a gate that comes and goes under crossings ends them, no more")
{
    uint8_t *window = storm_window();

    exceptions_use_ist();
    alias_init();
    storm_begin(place_and_remove);
    cross_many(CROSSINGS / 2, (uint64_t)window + 0xa000, (uint64_t)window + 0xb000);
    storm_end();
    /* Removed for good, the RAM is as it was. */
    for (unsigned i = 0; i < 2 * SIZE_4K; i++) {
        CHECK_EQUAL(((uint8_t *)storm_ram[i / SIZE_4K])[i % SIZE_4K], BREAK_CODE);
    }
}

static void rewrite_tables(void *unused)
{
    const uint64_t places[] = {
        GATE_BASE,       GATE_BASE + SIZE_4K,           storm_ram[0], storm_ram[1], HOLE,
        0x1000000000ull, 0x1000000000ull + SECTION_SIZE};
    uint64_t random = 1;

    (void)unused;
    while (!atomic_load(&stop)) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        uint64_t place = places[(random >> 33) % ARRAY_SIZE(places)];
        *(volatile uint64_t *)storm_entries[random >> 60 & 1] =
            place | PTE_USER | PTE_WRITE | (random >> 50 & 7 ? PTE_PRESENT : 0);
        if ((random >> 40 & 7) < 4) {
            *(volatile uint64_t *)storm_entries[0] = GATE_BASE | PTE_USER | PTE_PRESENT;
            *(volatile uint64_t *)storm_entries[1] = (GATE_BASE + SIZE_4K) | PTE_USER | PTE_PRESENT;
        }
    }
}

CLAIM(page_tables_rewritten, "page tables that another vCPU rewrites end crossings, no more")
{
    if (claim_phase() > 0) {
        return; /* the code that it made of its own pages led nowhere: that ends nobody else */
    }
    restart_possible();
    uint8_t *window = storm_window();

    exceptions_use_ist();
    alias_init();
    storm_begin(rewrite_tables);
    cross_many(CROSSINGS, (uint64_t)window + 0xa000, (uint64_t)window + SECTION_SIZE);
    storm_end();
    check_crossing(PORT_GATED);
    check_victim_section(PORT_GATED);
}

/* CPU 1 is taken out of a crossing by INIT. */
static void cross_for_ever(void *window)
{
    uint64_t ram[512];

    for (;;) {
        (void)cross_copy(storm_view, ram, window, sizeof(ram));
    }
}

CLAIM(init_in_view, "INIT and SIPI take a vCPU out of the view, and it starts anew")
{
    uint8_t *window = storm_window();

    for (unsigned i = 0; i < 8; i++) {
        need_cpu(1);
        cpu_run(1, cross_for_ever, window);
        delay(2);
        cpu_start(1);
        cpu_run(1, look_on, window); /* it runs, and ends at once */
        atomic_store(&stop, true);
        CHECK_NO_TRAP(cpu_wait(1, STORM_MS));
        CHECK(cross_once(window, false));
    }
}
