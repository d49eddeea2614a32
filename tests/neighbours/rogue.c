/* SPDX-License-Identifier: BSD-2-Clause */
/* The rogue: honest until packets went both ways; then it does one thing that is wrong. */
#include "tests/kit/layout.h"
#include "tests/neighbours/neighbours.h"
#include "tests/neighbours/port.h"
#include "tests/soak/misbehave.h"

#define TIMES        3u   /* that it does each thing */
#define QUOTA_MAX    700u /* packets each way in between */
#define DEATH_VECTOR 0x60u
#define ACCESS_TICKS 100u /* about what an access to the ring takes */
#define DIARY_MAGIC  0x7972616964u
#define NOTE(member) (NOTE_OFFSET + offsetof(struct note, member))

/* What outlives the VM. */
struct diary {
    uint64_t magic;
    uint32_t starts;
    uint32_t turns;
    uint64_t pending; /* kinds after which packets did not go both ways yet */
    struct account account;
    uint32_t begun[KINDS], resumed[KINDS];
};

static struct diary *const diary = (struct diary *)PROGRESS_NOTE;
static struct port port;
static struct random dice;
static uint64_t quota_in, quota_out;

/* Its end, for what it does wrong. */

uint32_t rogue_random(uint32_t limit)
{
    return random_below(&dice, limit);
}

void rogue_nap(uint32_t us_below)
{
    uint64_t end = rdtsc() + random_below(&dice, us_below) * tsc_per_ms() / 1000;

    while (rdtsc() < end) {
        cpu_pause();
    }
}

const struct postern_ring *rogue_ring(void)
{
    return &port.ring;
}

bool rogue_is_believed(void)
{
    uint32_t seen = 0;
    struct postern_gate_copy copy = {
        .to = (uint64_t)&seen, .from = (uint64_t)&port.ring.peer->seen, .size = sizeof(seen)};

    (void)port_cross(&port, POSTERN_GATE_COPY, &copy);
    return seen == port.ring.generation && port.ring.up;
}

static void set_note(size_t offset, uint64_t value)
{
    port_put(&port, offset, &value, sizeof(value));
}

/* Nothing comes of the new generation before the note says that it is honest. */
void rogue_open(void)
{
    port.lies = false;
    port_open(&port);
    set_note(NOTE(honest), port.ring.generation);
}

void rogue_close(void)
{
    (void)port_call(&port, POSTERN_GATE_RING_CLOSE, 0);
}

void rogue_sync(void)
{
    port_sync(&port);
}

void rogue_receive(void)
{
    (void)port_receive(&port);
}

void rogue_send(unsigned count)
{
    (void)port_send(&port, count, true);
}

void rogue_publish(void)
{
    port_publish(&port);
}

void rogue_ring_doorbell(void)
{
    (void)hypercall(POSTERN_HC_DOORBELL, port.number, 0, 0);
}

/* Some die while the section is revoked. */
void rogue_grant(bool granted)
{
    (void)hypercall(POSTERN_HC_WINDOW_GRANT, port.number, granted ? 1 : 0, 0);
    rogue_ring_doorbell();
    if (!granted && rogue_random(2) == 0) {
        rogue_die_within(200);
    }
}

_Noreturn void rogue_die(void)
{
    const struct PACKED {
        uint16_t limit;
        uint64_t base;
    } no_idt = {0, 0};

    if (rogue_random(2) == 0) {
        outb(GUEST_PORT_RESET, GUEST_RESET_VALUE);
    }
    __asm__ volatile("lidt %0\n ud2" : : "m"(no_idt));
    halt_forever();
}

static void on_death(struct frame *frame)
{
    (void)frame;
    rogue_die();
}

void rogue_die_within(uint32_t accesses)
{
    wrmsr(MSR_IA32_TSC_DEADLINE, rdtsc() + 1 + random_below(&dice, accesses * ACCESS_TICKS));
}

void rogue_begin_lying(void)
{
    port.lies = true;
    set_note(NOTE(honest), 0);
}

void rogue_get(size_t offset, void *value, size_t size)
{
    port_get(&port, offset, value, size);
}

/* The note is the test's, and right. */
void rogue_put(size_t offset, const void *value, size_t size)
{
    diary->account.sessions++; /* packets may be lost by it */
    if (align_down(offset, SIZE_4K) != NOTE_OFFSET) {
        port_put(&port, offset, value, size);
    }
}

/* What is honest. */

static bool has_exchanged(void)
{
    return TAKEN_NEXT(diary->account.taken) >= quota_in && TAKEN_NEXT(port.peer.taken) >= quota_out;
}

/* Until so many packets went each way. */
static void exchange(uint64_t quota)
{
    quota_in = TAKEN_NEXT(diary->account.taken) + quota;
    quota_out = diary->account.sent + quota;
    ports_work(&port, 1, &dice, has_exchanged);
}

void rogue_exchange_for_ever(void)
{
    exchange(1ull << TAKEN_BITS);
}

static bool all_has_ended(void)
{
    static struct account printed;

    if (port.peer.ends != 0 &&
        (printed.sent != diary->account.sent || printed.taken != diary->account.taken)) {
        printed = diary->account;
        account_print("rogue to victim", "victim to rogue", &printed);
    }
    return false;
}

static NORETURN void end(void)
{
    for (unsigned kind = 0; kind < KINDS; kind++) {
        print("rogue: %s: %u times, and back %u times\n", misbehave_name(kind), diary->begun[kind],
              diary->resumed[kind]);
    }
    print("rogue: has done all\n");
    set_note(NOTE(ends), 1);
    for (;;) {
        ports_work(&port, 1, &dice, all_has_ended);
    }
}

/* Waits for the test to end this VM. */
static void be_killed(void)
{
    print("rogue: is to be killed\n");
    rogue_exchange_for_ever();
}

static void do_wrong(void)
{
    unsigned kind = diary->turns++ % KINDS;

    diary->begun[kind]++;
    diary->pending |= 1ull << kind;
    if (kind == ROGUE_KILLED) {
        be_killed();
    }
    misbehave(kind);
}

static void settle(void)
{
    for (unsigned kind = 0; kind < KINDS; kind++) {
        diary->resumed[kind] += diary->pending >> kind & 1;
    }
    diary->pending = 0;
}

static void begin(void)
{
    const struct note note = {0};

    if (diary->magic != DIARY_MAGIC) {
        memset(diary, 0, sizeof(*diary));
        diary->magic = DIARY_MAGIC;
    }
    diary->starts++;
    dice.state = packet_mix(diary->starts) | 1;
    vector_handle(DEATH_VECTOR, on_death);
    wrmsr(MSR_X2APIC_LVT_TIMER, TIMER_DEADLINE | DEATH_VECTOR);
    port_init(&port, 0, 1, &diary->account);
    port_put(&port, NOTE_OFFSET, &note, sizeof(note));
    rogue_open();
}

NORETURN void rogue_role(void)
{
    begin();
    while (diary->turns < TIMES * KINDS) {
        exchange(1 + rogue_random(QUOTA_MAX));
        settle();
        do_wrong();
    }
    exchange(1 + rogue_random(QUOTA_MAX));
    settle();
    end();
}
