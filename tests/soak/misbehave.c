/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/soak/misbehave.h"

#include "tests/soak/packet.h"

#define RECORDS_MAX   (4 * ROGUE_BATCH)
#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define ZEROES        4096u
#define FLOOD         2000u
#define OPENING       60u
#define LIFE          2000u
#define LOOKS         100u /* for the victim's belief */

#define HEADER(field) offsetof(struct postern_ring_header, field)

struct field {
    const char *name;
    size_t offset;
    size_t size;
};

#define HEADER_FIELD(member)                                                                  \
    {                                                                                         \
        "lies in " #member, HEADER(member), sizeof(((struct postern_ring_header *)0)->member) \
    }
#define RECORD_FIELD(member)                                                    \
    {                                                                           \
        "lies in a record's " #member, offsetof(struct postern_record, member), \
            sizeof(((struct postern_record *)0)->member)                        \
    }

static const struct field header_fields[] = {
    HEADER_FIELD(magic), HEADER_FIELD(version),  HEADER_FIELD(flags),    HEADER_FIELD(generation),
    HEADER_FIELD(seen),  HEADER_FIELD(mtu),      HEADER_FIELD(last),     HEADER_FIELD(head),
    HEADER_FIELD(tail),  HEADER_FIELD(rx_event), HEADER_FIELD(tx_event), HEADER_FIELD(posted),
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

/* What is no lie. */

static void die_at_any_access(void)
{
    rogue_die_within(LIFE);
    rogue_exchange_for_ever();
}

static void die_while_opening(void)
{
    rogue_die_within(OPENING);
    rogue_open();
    rogue_exchange_for_ever();
}

static void close_and_open(void)
{
    rogue_close();
    rogue_nap(200);
    rogue_open();
}

static void stop_reading(void)
{
    for (unsigned rounds = rogue_random(40); rounds > 0; rounds--) {
        rogue_sync();
        rogue_send(ROGUE_BATCH);
        rogue_publish();
        rogue_nap(50);
    }
}

static void stop_publishing(void)
{
    for (unsigned rounds = rogue_random(40); rounds > 0; rounds--) {
        rogue_sync();
        rogue_receive();
        rogue_send(1);
        rogue_nap(50);
    }
}

static void stand_still(void)
{
    rogue_nap(2000);
}

static void revoke_section(void)
{
    rogue_grant(false);
    for (unsigned rounds = rogue_random(10); rounds > 0; rounds--) {
        rogue_sync();
        rogue_receive();
        rogue_send(ROGUE_BATCH);
        rogue_publish();
        rogue_nap(50);
    }
    rogue_grant(true);
}

static void flood(void)
{
    for (unsigned i = 0; i < FLOOD; i++) {
        rogue_ring_doorbell();
    }
}

/* Lies. */

static uint64_t own_index(size_t offset)
{
    uint64_t index;

    rogue_get(offset, &index, sizeof(index));
    return index;
}

static uint64_t likely_value(void)
{
    const struct postern_ring *ring = rogue_ring();
    const uint64_t bases[] = {0,
                              own_index(HEADER(head)),
                              own_index(HEADER(tail)),
                              ring->head,
                              ring->tail,
                              ring->peer_head,
                              ring->generation,
                              ring->peer_generation,
                              ring->data_size,
                              ring->max_payload,
                              POSTERN_RECORD_PAD,
                              POSTERN_RING_MAGIC};
    uint64_t base = bases[rogue_random(COUNT(bases))];

    switch (rogue_random(10)) {
    case 0:
        return base + rogue_random(64) - 32;
    case 1:
        return base + SECTION_SIZE / 2;
    case 2:
        return base - SECTION_SIZE / 2;
    case 3:
        return base ^ 1ull << rogue_random(64);
    case 4:
        return (uint64_t)rogue_random(UINT32_MAX) << 32 | rogue_random(UINT32_MAX);
    case 5:
        return base + 1;
    case 6:
        return rogue_random(ring->max_payload);
    case 7:
        return ring->max_payload + rogue_random(ring->max_payload);
    default:
        return base + 16 * (uint64_t)rogue_random(200);
    }
}

static void lie_in_field(size_t offset, size_t size)
{
    uint64_t value = likely_value();

    rogue_put(offset, &value, size);
}

/* The records from `from` to the head, which are still right; returns the offset of one, now and
 * then of the one before the data area's end. */
static size_t some_record(uint64_t from)
{
    const struct postern_ring *ring = rogue_ring();
    size_t offsets[RECORDS_MAX];
    unsigned count = 0, last = 0;

    while (from != ring->head && count < RECORDS_MAX) {
        uint64_t at = from & (ring->data_size - 1);
        struct postern_record record;

        rogue_get(SECTION_SIZE / 2 + at, &record, sizeof(record));
        if (record.flags == POSTERN_RECORD_PAD) {
            from += record.length + POSTERN_RECORD_ALIGN;
            continue;
        }
        from += postern_ring_record_size(record.length, record.flags);
        offsets[count] = SECTION_SIZE / 2 + at;
        last = offsets[count] > offsets[last] ? count : last;
        count++;
    }
    if (count == 0) {
        return SECTION_SIZE / 2;
    }
    return offsets[rogue_random(3) == 0 ? last : rogue_random(count)];
}

/* Honest packets, in one of which something changes before or after the victim can see it. */
static void lie_in_record(const struct field *field)
{
    const uint16_t pad = POSTERN_RECORD_PAD;
    uint64_t from = rogue_ring()->head;
    size_t offset;

    rogue_send(RECORDS_MAX);
    offset = some_record(from);
    if (rogue_random(4) == 0) {
        rogue_put(offset + offsetof(struct postern_record, flags), &pad, sizeof(pad));
    }
    offset += field->offset;
    if (rogue_random(2) == 0) {
        lie_in_field(offset, field->size);
        rogue_publish();
    } else {
        rogue_publish();
        rogue_ring_doorbell();
        rogue_nap(20);
        lie_in_field(offset, field->size);
    }
}

/* One of the buffers that it has posted last, if it has any. */
static void lie_in_posted(void)
{
    uint64_t entry = (rogue_ring()->posted - 1 - rogue_random(8)) % POSTERN_POSTED_MAX;

    lie_in_field(POSTERN_POSTED_OFFSET + entry * sizeof(struct postern_posted),
                 sizeof(struct postern_posted));
}

/* A record like others, but for where its payload is: anywhere, or over the end of the pool. */
static void lend_what_it_has_not(void)
{
    const struct postern_ring *ring = rogue_ring();
    struct postern_record record;
    uint64_t from = ring->head;
    size_t offset;

    rogue_send(RECORDS_MAX);
    offset = some_record(from);
    rogue_get(offset, &record, sizeof(record));
    record = (struct postern_record){.length = record.length, .flags = POSTERN_RECORD_LENT};
    rogue_put(offset, &record, sizeof(record));
    if (rogue_random(2) == 0) {
        lie_in_field(offset + sizeof(record), sizeof(uint64_t));
    } else {
        const uint64_t over = ring->pool_size - record.length / 2;

        rogue_put(offset + sizeof(record), &over, sizeof(over));
    }
    rogue_publish();
}

static void republish_old(void)
{
    uint64_t head = own_index(HEADER(head)) - POSTERN_RECORD_ALIGN * (uint64_t)rogue_random(2000);
    uint64_t tail = own_index(HEADER(tail)) - POSTERN_RECORD_ALIGN * (uint64_t)rogue_random(2000);

    if (rogue_random(3) != 0) {
        rogue_put(HEADER(head), &head, sizeof(head));
    }
    if (rogue_random(3) != 0) {
        rogue_put(HEADER(tail), &tail, sizeof(tail));
    }
}

static void zero_section(void)
{
    static const uint8_t zeroes[ZEROES];

    for (size_t offset = 0; offset < SECTION_SIZE; offset += ZEROES) {
        rogue_put(offset, zeroes, ZEROES);
    }
}

static void fill_with_garbage(void)
{
    for (unsigned i = 0; i < SECTION_SIZE / 64; i++) {
        uint64_t word = rogue_random(2) == 0 ? rogue_random(UINT32_MAX) : likely_value();

        rogue_put(rogue_random(SECTION_SIZE / 8) * sizeof(word), &word, sizeof(word));
    }
    for (unsigned i = 0; i < COUNT(header_fields); i++) {
        lie_in_field(header_fields[i].offset, header_fields[i].size);
    }
}

/* All kinds. */

struct kind {
    const char *name;
    void (*act)(void);
    bool lies; /* is done again and again, and mended by another opening */
};

static const struct kind kinds[] = {
    [ROGUE_KILLED] = {"is killed at any time", NULL, false},
    {"dies at any access to the ring", die_at_any_access, false},
    {"dies while it opens", die_while_opening, false},
    {"opens again", rogue_open, false},
    {"closes, and opens again", close_and_open, false},
    {"stops reading", stop_reading, false},
    {"stops publishing", stop_publishing, false},
    {"stands still", stand_still, false},
    {"revokes its section", revoke_section, false},
    {"floods with doorbells", flood, false},
    {"republishes old indices", republish_old, true},
    {"lies in its posted buffers", lie_in_posted, true},
    {"lends what it has not", lend_what_it_has_not, true},
    {"zeroes its section", zero_section, true},
    {"fills its section with garbage", fill_with_garbage, true},
};

_Static_assert(COUNT(kinds) + COUNT(header_fields) + COUNT(record_fields) == KINDS, "kinds");

const char *misbehave_name(unsigned kind)
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

/* Found out, the end opens anew, and is honest until the victim believes it. */
static void be_believed(void)
{
    if (rogue_is_believed()) {
        return;
    }
    rogue_open();
    for (unsigned looks = LOOKS; looks > 0 && !rogue_ring()->up; looks--) {
        rogue_sync();
        rogue_nap(50);
    }
    rogue_begin_lying();
}

/* Of several lies in a row the victim finds the first one only. */
static void await_belief_lost(void)
{
    for (unsigned looks = LOOKS; looks > 0 && rogue_is_believed(); looks--) {
        rogue_nap(50);
    }
}

/* Some lies of one kind between what is honest; then it is another. */
static void lie(unsigned kind)
{
    rogue_begin_lying();
    for (unsigned rounds = 1 + rogue_random(12); rounds > 0; rounds--) {
        rogue_sync();
        be_believed();
        rogue_send(rogue_random(ROGUE_BATCH));
        if (rogue_random(2) == 0) {
            rogue_publish();
        }
        lie_once(kind);
        rogue_ring_doorbell();
        rogue_nap(60);
        if (rogue_random(4) != 0) {
            await_belief_lost();
        }
    }
    if (rogue_random(2) == 0) {
        rogue_die();
    }
    rogue_open();
}

void misbehave(unsigned kind)
{
    if (kind < COUNT(kinds) && !kinds[kind].lies) {
        kinds[kind].act();
    } else {
        lie(kind);
    }
}
