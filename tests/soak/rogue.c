/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rogue: an end that is honest until traffic has gone both ways, then does one wrong thing,
 * and begins again, in the same process or, if that is dead, in another.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/ring_access.h"

#include "tests/soak/end.h"
#include "tests/unit/random.h"

#define QUOTA_MAX   1500u
#define FOREVER     (UINT64_MAX >> 1)
#define RECORDS_MAX (4 * BATCH)

struct field {
    const char *name;
    size_t offset;
    size_t size;
};

#define HEADER_FIELD(member)                                              \
    {                                                                     \
        "lies in " #member, offsetof(struct postern_ring_header, member), \
            sizeof(((struct postern_ring_header *)0)->member)             \
    }
#define RECORD_FIELD(member)                                                    \
    {                                                                           \
        "lies in a record's " #member, offsetof(struct postern_record, member), \
            sizeof(((struct postern_record *)0)->member)                        \
    }

static const struct field header_fields[] = {
    HEADER_FIELD(magic), HEADER_FIELD(version),  HEADER_FIELD(flags),    HEADER_FIELD(generation),
    HEADER_FIELD(seen),  HEADER_FIELD(mtu),      HEADER_FIELD(last),     HEADER_FIELD(head),
    HEADER_FIELD(tail),  HEADER_FIELD(rx_event), HEADER_FIELD(tx_event),
};

static const struct field record_fields[] = {
    RECORD_FIELD(length),
    RECORD_FIELD(flags),
    RECORD_FIELD(csum_start),
    RECORD_FIELD(csum_offset),
    RECORD_FIELD(gso_type),
    RECORD_FIELD(gso_size),
    RECORD_FIELD(header_length),
    {"lies in a record's stamp or payload", sizeof(struct postern_record), sizeof(uint64_t)},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct end end;
static struct random dice;
static uint64_t die_at; /* at that access to the ring from now on the process dies; 0: at none */

/* Accesses to the ring. */

static _Noreturn void die(void)
{
    (void)raise(SIGKILL);
    abort();
}

static void count_access(void)
{
    if (die_at != 0 && --die_at == 0) {
        die();
    }
}

/* The accounts know a generation before the victim can. */
static void begin_life(uint32_t generation)
{
    struct soak *soak = end.soak;
    uint32_t count = atomic_load(&soak->life_count);

    if (count == LIVES_MAX) {
        soak_complain(soak, "the rogue has had all its lives");
    }
    atomic_store(&soak->lives[count].generation, generation);
    atomic_store(&soak->life_count, count + 1);
}

static uint64_t access_load(const void *address, size_t size)
{
    count_access();
    switch (size) {
    case 2:
        return __atomic_load_n((const uint16_t *)address, __ATOMIC_ACQUIRE);
    case 4:
        return __atomic_load_n((const uint32_t *)address, __ATOMIC_ACQUIRE);
    default:
        return __atomic_load_n((const uint64_t *)address, __ATOMIC_ACQUIRE);
    }
}

static void access_store(void *address, uint64_t value, size_t size)
{
    count_access();
    if (address == &end.ring.own->generation && value != 0) {
        begin_life((uint32_t)value);
    }
    switch (size) {
    case 2:
        __atomic_store_n((uint16_t *)address, (uint16_t)value, __ATOMIC_RELEASE);
        break;
    case 4:
        __atomic_store_n((uint32_t *)address, (uint32_t)value, __ATOMIC_RELEASE);
        break;
    default:
        __atomic_store_n((uint64_t *)address, value, __ATOMIC_RELEASE);
        break;
    }
}

static void access_barrier(void)
{
    count_access();
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* The victim never lies. */
static bool end_excuses(const struct end *unused)
{
    (void)unused;
    return false;
}

/* What is honest. */

static void nap(uint32_t us_below)
{
    uint32_t us = random_below(&dice, us_below);

    if (us > 10) {
        (void)usleep(us);
    } else {
        (void)sched_yield();
    }
}

static void open_end(void)
{
    end_open(&end, random_next(&dice));
}

static bool work(void)
{
    bool busy;

    (void)end_sync(&end);
    busy = end_work(&end);
    if (end.ring.fault != POSTERN_FAULT_NONE) {
        soak_complain(end.soak, "the victim is accused of fault %u", end.ring.fault);
    }
    return busy;
}

static void wait_for_work(uint32_t doorbell)
{
    if (end_rest(&end)) {
        soak_wait(end.soak, ROGUE, doorbell, 0);
    }
}

static void settle(void)
{
    uint64_t pending = atomic_exchange(&end.soak->pending, 0);

    for (unsigned kind = 0; kind < KINDS_MAX; kind++) {
        if ((pending >> kind & 1) != 0) {
            atomic_fetch_add(&end.soak->resumed[kind], 1);
        }
    }
}

/* Until so many packets have gone each way. */
static void exchange(uint64_t quota)
{
    struct soak *soak = end.soak;
    uint64_t in = atomic_load(&end.in->taken), out = atomic_load(&end.out->taken);

    while (TAKEN_NEXT(atomic_load(&end.in->taken)) < TAKEN_NEXT(in) + quota ||
           TAKEN_NEXT(atomic_load(&end.out->taken)) < TAKEN_NEXT(out) + quota) {
        uint32_t doorbell = atomic_load(&soak->doorbells[ROGUE]);

        if (atomic_load(&soak->quit)) {
            _exit(0);
        }
        if (!work()) {
            wait_for_work(doorbell);
        }
    }
}

/* What is not, but no lie. */

static void stop_reading(void)
{
    for (unsigned rounds = random_below(&dice, 40); rounds > 0; rounds--) {
        (void)end_sync(&end);
        (void)end_send(&end, BATCH);
        end_publish(&end);
        nap(50);
    }
}

static void stop_publishing(void)
{
    for (unsigned rounds = random_below(&dice, 40); rounds > 0; rounds--) {
        (void)end_sync(&end);
        (void)end_receive(&end);
        (void)end_send(&end, 1);
        nap(50);
    }
}

static void stand_still(void)
{
    (void)usleep(random_below(&dice, 2000));
}

static void die_at_any_access(void)
{
    die_at = 1 + random_below(&dice, 2000);
    exchange(FOREVER);
}

static void die_while_opening(void)
{
    die_at = 1 + random_below(&dice, 60);
    open_end();
    exchange(FOREVER);
}

static void close_and_open(void)
{
    postern_ring_close(&end.ring);
    end_ring(&end, random_below(&dice, 2) == 0);
    nap(200);
    open_end();
}

static void tell_victim(bool granted)
{
    atomic_store(&end.soak->granted, granted);
    (void)kill(end.soak->victim, SIGUSR1);
}

static void revoke_section(void)
{
    tell_victim(false);
    for (unsigned rounds = random_below(&dice, 10); rounds > 0; rounds--) {
        (void)work();
        nap(50);
    }
    tell_victim(true);
}

static void flood(void)
{
    for (unsigned i = 0; i < 2000; i++) {
        soak_ring(end.soak, VICTIM);
    }
}

/* Lies. */

static uint64_t likely_value(void)
{
    const struct postern_ring_header *own = end.ring.own;
    const uint64_t bases[] = {0,
                              own->head,
                              own->tail,
                              end.ring.head,
                              end.ring.tail,
                              end.ring.peer_head,
                              end.ring.generation,
                              end.ring.peer_generation,
                              end.ring.data_size,
                              end.ring.max_payload,
                              POSTERN_RECORD_PAD,
                              POSTERN_RING_MAGIC};
    uint64_t base = bases[random_below(&dice, COUNT(bases))];

    switch (random_below(&dice, 10)) {
    case 0:
        return base + random_below(&dice, 64) - 32;
    case 1:
        return base + SECTION / 2;
    case 2:
        return base - SECTION / 2;
    case 3:
        return base ^ 1ull << random_below(&dice, 64);
    case 4:
        return (uint64_t)random_next(&dice) << 32 | random_next(&dice);
    case 5:
        return base + 1;
    case 6:
        return random_below(&dice, end.ring.max_payload);
    case 7:
        return end.ring.max_payload + random_below(&dice, end.ring.max_payload);
    default:
        return base + 16 * (uint64_t)random_below(&dice, 200);
    }
}

static void put(size_t offset, const void *value, size_t size)
{
    memcpy((uint8_t *)end.ring.own + offset, value, size);
}

static void lie_in_field(size_t offset, size_t size)
{
    uint64_t value = likely_value();

    put(offset, &value, size);
}

/* The records from `from` to the head, which are still right; returns the offset of one, now and
 * then of the one before the data area's end. */
static size_t some_record(uint64_t from)
{
    size_t offsets[RECORDS_MAX];
    unsigned count = 0, last = 0;

    while (from != end.ring.head && count < RECORDS_MAX) {
        uint64_t at = from & (end.ring.data_size - 1);
        struct postern_record record;

        memcpy(&record, end.ring.data + at, sizeof(record));
        if (record.flags == POSTERN_RECORD_PAD) {
            from += record.length + POSTERN_RECORD_ALIGN;
            continue;
        }
        from += postern_ring_record_size(record.length, record.flags);
        offsets[count] = SECTION / 2 + at;
        last = offsets[count] > offsets[last] ? count : last;
        count++;
    }
    if (count == 0) {
        return SECTION / 2;
    }
    return offsets[random_below(&dice, 3) == 0 ? last : random_below(&dice, count)];
}

/* Honest packets, in one of which something changes before or after the victim can see it. */
static void lie_in_record(const struct field *field)
{
    const uint16_t pad = POSTERN_RECORD_PAD;
    uint64_t from = end.ring.head;
    size_t offset;

    (void)end_send(&end, RECORDS_MAX);
    offset = some_record(from);
    if (random_below(&dice, 8) == 0) {
        put(offset + offsetof(struct postern_record, flags), &pad, sizeof(pad));
    }
    offset += field->offset;
    if (random_below(&dice, 2) == 0) {
        lie_in_field(offset, field->size);
        end_publish(&end);
    } else {
        end_publish(&end);
        soak_ring(end.soak, VICTIM);
        nap(20);
        lie_in_field(offset, field->size);
    }
}

static void republish_old(void)
{
    struct postern_ring_header *own = end.ring.own;
    uint64_t head = own->head - POSTERN_RECORD_ALIGN * (uint64_t)random_below(&dice, 2000);
    uint64_t tail = own->tail - POSTERN_RECORD_ALIGN * (uint64_t)random_below(&dice, 2000);

    if (random_below(&dice, 3) != 0) {
        put(offsetof(struct postern_ring_header, head), &head, sizeof(head));
    }
    if (random_below(&dice, 3) != 0) {
        put(offsetof(struct postern_ring_header, tail), &tail, sizeof(tail));
    }
}

static void zero_section(void)
{
    memset(end.ring.own, 0, SECTION);
}

static void fill_with_garbage(void)
{
    for (unsigned i = 0; i < SECTION / 64; i++) {
        uint64_t word = random_below(&dice, 2) == 0 ? random_next(&dice) : likely_value();

        put(random_below(&dice, SECTION / 8) * sizeof(word), &word, sizeof(word));
    }
    for (unsigned i = 0; i < COUNT(header_fields); i++) {
        lie_in_field(header_fields[i].offset, header_fields[i].size);
    }
}

struct kind {
    const char *name;
    void (*act)(void);
    bool lies; /* is done again and again, and mended by another opening */
};

static const struct kind kinds[] = {
    [ROGUE_KILLED] = {"is killed at any time", NULL, false},
    {"dies at any access to the ring", die_at_any_access, false},
    {"dies while it opens", die_while_opening, false},
    {"opens again", open_end, false},
    {"closes, and opens again", close_and_open, false},
    {"stops reading", stop_reading, false},
    {"stops publishing", stop_publishing, false},
    {"stands still", stand_still, false},
    {"revokes its section", revoke_section, false},
    {"floods with doorbells", flood, false},
    {"republishes old indices", republish_old, true},
    {"zeroes its section", zero_section, true},
    {"fills its section with garbage", fill_with_garbage, true},
};

#define KINDS (COUNT(kinds) + COUNT(header_fields) + COUNT(record_fields))
_Static_assert(KINDS <= KINDS_MAX, "kinds");

unsigned rogue_kinds(void)
{
    return KINDS;
}

const char *rogue_kind_name(unsigned kind)
{
    if (kind < COUNT(kinds)) {
        return kinds[kind].name;
    }
    kind -= (unsigned)COUNT(kinds);
    return kind < COUNT(header_fields) ? header_fields[kind].name
                                       : record_fields[kind - COUNT(header_fields)].name;
}

static void lie_once(unsigned kind)
{
    if (kind < COUNT(kinds)) {
        kinds[kind].act();
    } else if (kind < COUNT(kinds) + COUNT(header_fields)) {
        const struct field *field = &header_fields[kind - COUNT(kinds)];

        lie_in_field(field->offset, field->size);
    } else {
        lie_in_record(&record_fields[kind - COUNT(kinds) - COUNT(header_fields)]);
    }
}

static void begin_to_lie(void)
{
    uint32_t life = atomic_load(&end.soak->life_count) - 1;

    atomic_store(&end.soak->lives[life].lying, 1);
}

/* Found out, the end opens anew, and is honest until the victim believes it. */
static void be_believed(void)
{
    if (POSTERN_LOAD(&end.ring.peer->seen) == end.ring.generation && end.ring.up) {
        return;
    }
    open_end();
    for (unsigned rounds = 100; rounds > 0 && !end.ring.up; rounds--) {
        (void)end_sync(&end);
        nap(50);
    }
    begin_to_lie();
}

/* Some lies of one kind between what is honest; then it is another. */
static void lie(unsigned kind)
{
    begin_to_lie();
    for (unsigned rounds = 1 + random_below(&dice, 12); rounds > 0; rounds--) {
        (void)end_sync(&end);
        be_believed();
        (void)end_send(&end, random_below(&dice, BATCH));
        if (random_below(&dice, 2) == 0) {
            end_publish(&end);
        }
        lie_once(kind);
        soak_ring(end.soak, VICTIM);
        nap(60);
    }
    if (random_below(&dice, 2) == 0) {
        die();
    }
    open_end();
}

static void misbehave(void)
{
    struct soak *soak = end.soak;
    unsigned kind = 1 + soak->turns++ % (unsigned)(KINDS - 1);

    atomic_fetch_add(&soak->begun[kind], 1);
    atomic_fetch_or(&soak->pending, 1ull << kind);
    if (kind < COUNT(kinds) && !kinds[kind].lies) {
        kinds[kind].act();
    } else {
        lie(kind);
    }
}

void rogue_run(struct soak *soak, uint32_t number)
{
    dice.state = packet_mix(soak->seed + number) | 1;
    end_init(&end, soak, LINK_ROGUE, 1, VICTIM);
    open_end();
    for (;;) {
        exchange(1 + random_below(&dice, QUOTA_MAX));
        settle();
        if (atomic_load(&soak->calm)) {
            exchange(FOREVER);
        }
        misbehave();
    }
}
