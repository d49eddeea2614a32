/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A link's ring against a hostile peer. The input is a script: what the victim (end 0) does, what
 * an honest peer does, and what is written into the peer's section, before a step of the victim's
 * or in the middle of it, after any of its loads. The victim reads that section through a read-only
 * mapping with guard pages around it, as in a VM.
 */
#define _GNU_SOURCE
#include "tests/fuzz/fuzz.h"

#include "tests/unit/ring_access.h"
#include "tests/unit/ring_window.h"

#define SECTION POSTERN_SECTION_MIN

static struct ring_window window;
static struct postern_ring victim, peer;
static struct fuzz_input script;
static unsigned loads_until_write; /* 0: no write is due */

static uint64_t base_value(unsigned which)
{
    const uint64_t bases[] = {0,
                              victim.tail,
                              victim.head,
                              victim.peer_tail,
                              victim.peer_head,
                              victim.generation,
                              victim.peer_generation,
                              peer.head,
                              SECTION / 2,
                              POSTERN_RECORD_PAD,
                              POSTERN_RING_MAGIC};

    return bases[which % (sizeof(bases) / sizeof(bases[0]))];
}

/* Writes a word of the header, of the record that the victim looks at next, or anything. */
static void hostile_write(void)
{
    static const uint16_t fields[] = {0x00, 0x04, 0x08, 0x0c, 0x10, 0x14, 0x40, 0x80, 0xc0, 0x100};
    uint8_t kind = fuzz_byte(&script);
    uint8_t where = fuzz_byte(&script);
    size_t offset = fields[where % (sizeof(fields) / sizeof(fields[0]))];
    size_t size = (size_t)1 << (kind >> 6);
    uint64_t value;

    if ((kind & 0x03) == 3) {
        /* A pad where a record was. */
        offset =
            SECTION / 2 + victim.tail % (SECTION / 2) / POSTERN_RECORD_ALIGN * POSTERN_RECORD_ALIGN;
        ((struct postern_record *)(void *)(window.writable[1] + offset))->flags =
            POSTERN_RECORD_PAD;
        return;
    }
    if ((kind & 0x03) == 1) {
        offset = SECTION / 2 + (victim.tail + where % 32) % (SECTION / 2);
    } else if ((kind & 0x03) == 2) {
        offset = (size_t)fuzz_number(&script, 2);
    }
    offset -= offset % size;
    if ((kind & 0x04) != 0) {
        value = fuzz_number(&script, size);
    } else {
        value = base_value(fuzz_byte(&script));
        value +=
            (uint64_t)(int64_t)(int16_t)fuzz_number(&script, 2) * ((kind & 0x08) != 0 ? 16 : 1);
    }
    memcpy(window.writable[1] + offset, &value, size);
}

static uint64_t access_load(const void *address, size_t size)
{
    uint64_t value = 0;

    memcpy(&value, address, size);
    if ((uintptr_t)address - (uintptr_t)window.readable[1] < SECTION && loads_until_write > 0 &&
        --loads_until_write == 0) {
        hostile_write();
    }
    return value;
}

static void access_store(void *address, uint64_t value, size_t size)
{
    memcpy(address, &value, size);
}

static void access_barrier(void)
{
}

static void check_victim(void)
{
    FUZZ_CHECK(victim.fault < POSTERN_FAULTS);
    FUZZ_CHECK(victim.data_size == SECTION / 2);
    FUZZ_CHECK(victim.peer_head - victim.tail <= victim.data_size);
    FUZZ_CHECK(victim.published_head <= victim.head);
    FUZZ_CHECK(victim.head % POSTERN_RECORD_ALIGN == 0);
    if (victim.up) {
        FUZZ_CHECK(victim.head - victim.peer_tail <= victim.data_size);
        FUZZ_CHECK(victim.tail % POSTERN_RECORD_ALIGN == 0);
    }
}

static void check_packet(const uint8_t *payload, const struct postern_ring_meta *meta)
{
    static uint8_t copy[POSTERN_RING_MAX_PAYLOAD];
    size_t offset = (size_t)(payload - window.readable[1]);

    FUZZ_CHECK(offset >= SECTION / 2 && offset + meta->length <= SECTION);
    FUZZ_CHECK(meta->length > 0 && meta->length <= victim.max_payload);
    FUZZ_CHECK(postern_ring_meta_valid(meta));
    memcpy(copy, payload, meta->length);
}

static void victim_receives(bool consume)
{
    struct postern_ring_meta meta;
    const uint8_t *payload = postern_ring_peek(&victim, &meta);

    if (payload == NULL) {
        return;
    }
    check_packet(payload, &meta);
    if (consume) {
        postern_ring_consume(&victim);
    }
}

static void victim_receives_batch(void)
{
    struct postern_ring_reader reader = postern_ring_read_begin(&victim);
    struct postern_ring_meta meta;
    const uint8_t *payload;

    for (unsigned i = 0; i < 8 && (payload = postern_ring_read_next(&reader, &meta)) != NULL; i++) {
        check_packet(payload, &meta);
    }
    postern_ring_read_end(&victim, &reader);
}

static void send_from(struct postern_ring *ring, uint32_t length)
{
    const struct postern_ring_meta meta = {.length = length,
                                           .flags = length % 2 != 0 ? POSTERN_RECORD_STAMP : 0};
    uint8_t *payload = postern_ring_reserve(ring, &meta);

    if (payload == NULL) {
        return;
    }
    size_t offset = (size_t)(payload - (uint8_t *)ring->own);
    FUZZ_CHECK(offset >= SECTION / 2 && offset + length <= SECTION);
    memset(payload, 0x5a, length);
    postern_ring_commit(ring);
}

static void peer_drains(void)
{
    struct postern_ring_meta meta;

    while (postern_ring_peek(&peer, &meta) != NULL) {
        postern_ring_consume(&peer);
    }
    (void)postern_ring_release(&peer);
}

static void victim_step(unsigned kind)
{
    switch (kind) {
    case 0:
        victim_receives(true);
        break;
    case 1:
        victim_receives(false);
        break;
    case 2:
        victim_receives_batch();
        (void)postern_ring_release(&victim);
        break;
    case 3:
        (void)postern_ring_arm_rx(&victim);
        break;
    case 4:
        send_from(&victim, (uint32_t)fuzz_number(&script, 2));
        break;
    case 5:
        (void)postern_ring_publish(&victim);
        break;
    case 6:
        (void)postern_ring_arm_tx(&victim, fuzz_number(&script, 2) % SECTION / 2 + 1);
        break;
    default:
        if (postern_ring_sync_needed(&victim)) {
            (void)postern_ring_sync(&victim);
        }
    }
}

static void other_step(unsigned kind)
{
    switch (kind) {
    case 0:
    case 1:
        hostile_write();
        break;
    case 2:
        send_from(&peer, (uint32_t)fuzz_number(&script, 2));
        (void)postern_ring_publish(&peer);
        break;
    case 3:
        peer_drains();
        break;
    case 4:
        postern_ring_open(&peer, 1500, 7);
        (void)postern_ring_sync(&peer);
        break;
    case 5:
        postern_ring_close(&peer);
        break;
    case 6:
        (void)postern_ring_sync(&peer);
        break;
    default:
        postern_ring_open(&victim, 1500, 7);
    }
}

static void begin(void)
{
    if (window.section_size == 0) {
        window_create(&window, SECTION);
    }
    for (unsigned end = 0; end < 2; end++) {
        memset(window.writable[end], 0, sizeof(struct postern_ring_header));
        memset(window.writable[end] + SECTION / 2, 0, SECTION / 2);
    }
    loads_until_write = 0;
    FUZZ_CHECK(postern_ring_init(&victim, window.writable[0], window.readable[1], SECTION));
    FUZZ_CHECK(postern_ring_init(&peer, window.writable[1], window.readable[0], SECTION));
    postern_ring_open(&victim, 1500, 7);
    postern_ring_open(&peer, 1500, 70);
    (void)postern_ring_sync(&victim);
    (void)postern_ring_sync(&peer);
    (void)postern_ring_sync(&victim);
}

/* After all of it an honest peer finds a link that works. */
static void check_works(void)
{
    loads_until_write = 0;
    FUZZ_CHECK(postern_ring_init(&peer, window.writable[1], window.readable[0], SECTION));
    postern_ring_open(&victim, 1500, 7);
    postern_ring_open(&peer, 1500, 70);
    (void)postern_ring_sync(&victim);
    (void)postern_ring_sync(&peer);
    (void)postern_ring_sync(&victim);
    FUZZ_CHECK(victim.up && peer.up);
    send_from(&peer, 77);
    (void)postern_ring_publish(&peer);
    struct postern_ring_meta meta;
    FUZZ_CHECK(postern_ring_peek(&victim, &meta) != NULL && meta.length == 77);
    postern_ring_consume(&victim);
    (void)postern_ring_release(&victim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    script = (struct fuzz_input){data, size};
    begin();
    while (script.left > 0) {
        uint8_t op = fuzz_byte(&script);

        if ((op & 0x08) != 0) {
            /* With a write after one of its loads, or after none. */
            loads_until_write = op >> 4;
            victim_step(op & 0x07);
            loads_until_write = 0;
            check_victim();
        } else {
            other_step(op & 0x07);
        }
    }
    check_works();
    return 0;
}
