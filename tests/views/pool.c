/* SPDX-License-Identifier: BSD-2-Clause */
/* Pools: pages that each end of a link in mode direct gives to the other. */
#include "tests/views/order.h"

#define PEER_MS    20000u
#define BAR4       0x20u
#define SLOT(slot) ((uint64_t)(slot)*SIZE_4K)
#define NO_BAR     (0x1000000000ull + 30 * SIZE_1G) /* where no BAR is at first */

static volatile struct order *order;
static const volatile struct order_answer *answer;

void map_orders(void)
{
    uint64_t window = window_of(OPEN_PORT);

    order = (volatile struct order *)(window + ORDER_OFFSET);
    answer = (const volatile struct order_answer *)(window + SECTION_SIZE + ORDER_OFFSET);
}

/* Has the peer begin; end_order() waits until it is done. */
static void begin_order(uint64_t kind, uint64_t a, uint64_t b, uint64_t c)
{
    order->kind = kind;
    order->a = a;
    order->b = b;
    order->c = c;
    order->stop = 0;
    order->number = rdtsc();
}

static bool is_answered(void)
{
    return answer->number == order->number;
}

static int64_t end_order(void)
{
    for (uint64_t end = rdtsc() + PEER_MS * tsc_per_ms(); !is_answered();) {
        if (rdtsc() > end) {
            error("the peer does not answer");
        }
        cpu_pause();
    }
    return answer->result;
}

int64_t have_peer(uint64_t kind, uint64_t a, uint64_t b, uint64_t c)
{
    begin_order(kind, a, b, c);
    return end_order();
}

static int64_t peer_load(uint64_t offset, uint64_t *value)
{
    int64_t result = have_peer(ORDER_LOAD, offset, 0, 0);

    *value = answer->value;
    return result;
}

static uint64_t peer_word(uint64_t page)
{
    CHECK_EQUAL(have_peer(ORDER_PEEK, page, 0, 0), 0);
    return answer->value;
}

static int64_t give(uint64_t slot, const void *page, int writable)
{
    return postern_pool_give(DIRECT_PORT, slot, (uint64_t)page, writable);
}

/* Nothing is given, by either end; `pages` of this one's. */
static uint64_t *start_with(uint64_t pages)
{
    map_orders();
    CHECK_EQUAL(postern_pool_take(DIRECT_PORT, POSTERN_POOL_ALL), 0);
    CHECK_EQUAL(have_peer(ORDER_TAKE, POSTERN_POOL_ALL, 0, 0), 0);
    CHECK(have_peer(ORDER_VIEW, 0, 0, 0) > 0);
    return ram_alloc(pages * SIZE_4K, SIZE_4K);
}

static uint32_t read_register(uint32_t port, uint32_t offset)
{
    uint64_t registers = nic_bar(nic_of(port), POSTERN_BAR_REGISTERS);

    return *(volatile uint32_t *)(registers + offset);
}

CLAIM(pool_is_described, "registers and BAR 4 tell of the pool, in mode direct alone")
{
    (void)window_of(DIRECT_PORT);
    CHECK_EQUAL(read_register(DIRECT_PORT, POSTERN_REG_MODE), POSTERN_MODE_DIRECT);
    CHECK_EQUAL(read_register(DIRECT_PORT, POSTERN_REG_POOL_SIZE), POOL_SIZE);
    pci_write(nic_of(DIRECT_PORT), 4, 0);
    uint64_t bar = nic_bar(nic_of(DIRECT_PORT), POSTERN_BAR_POOL);
    pci_write(nic_of(DIRECT_PORT), BAR4, ~0u);
    CHECK_EQUAL(pci_read(nic_of(DIRECT_PORT), BAR4), (uint32_t)-POOL_SIZE | 0xc);
    pci_write(nic_of(DIRECT_PORT), BAR4, (uint32_t)bar);
    pci_write(nic_of(DIRECT_PORT), 4, 2);
    for (uint32_t port = 0; port < DIRECT_PORT; port++) {
        (void)window_of(port);
        CHECK(read_register(port, POSTERN_REG_MODE) != POSTERN_MODE_DIRECT);
        CHECK_EQUAL(read_register(port, POSTERN_REG_POOL_SIZE), 0);
        CHECK_EQUAL(pci_read(nic_of(port), BAR4), 0);
    }
}

CLAIM(pool_is_closed_in_default_view, "without a crossing no given page is there: #GP, no bus")
{
    (void)start_with(0);
    uint64_t pool = pool_window();

    CHECK_EQUAL(have_peer(ORDER_GIVE, 0, 1, 1), 0);
    CHECK_TRAP(TRY("movq (%0), %%rax", : : "r"(pool) : "rax"), EXCEPTION_GP, 0);
    CHECK_TRAP(TRY("movq (%0), %%rax", : : "r"(pool + SLOT(1)) : "rax"), EXCEPTION_GP, 0);
    CHECK_TRAP(TRY("movq %%rax, (%0)", : : "r"(pool + SLOT(1)) : "memory"), EXCEPTION_GP, 0);
}

CLAIM(pool_arguments, "ports, slots and pages that this VM does not have are refused")
{
    uint64_t *page = start_with(1);
    uint64_t gpa = (uint64_t)page;
    static const uint64_t ports[] = {PORTS, BIT(32), BIT(32) + DIRECT_PORT, UINT64_MAX};
    static const uint64_t slots[] = {POOL_SLOTS, BIT(32), BIT(52), UINT64_MAX - 1, UINT64_MAX};
    const uint64_t foreign[] = {ram_size(),       ram_size() + SIZE_4K,
                                0xc0000000,       GUEST_GATE_BASE,
                                GUEST_LAPIC_BASE, GUEST_IOAPIC_BASE,
                                BIT(32),          nic_bar(nic_of(DIRECT_PORT), POSTERN_BAR_WINDOW),
                                BIT(47),          nic_bar(nic_of(DIRECT_PORT), POSTERN_BAR_POOL),
                                BIT(63),          BIT(63) + gpa,
                                ~0xfffull};

    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++) {
        CHECK_EQUAL(postern_pool_give(ports[i], 0, gpa, 0), POSTERN_ERR_ARGUMENT);
        CHECK_EQUAL(postern_pool_take(ports[i], 0), POSTERN_ERR_ARGUMENT);
    }
    for (uint32_t port = 0; port < DIRECT_PORT; port++) {
        CHECK_EQUAL(postern_pool_give(port, 0, gpa, 0), POSTERN_ERR_MODE);
        CHECK_EQUAL(postern_pool_take(port, POSTERN_POOL_ALL), POSTERN_ERR_MODE);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(slots); i++) {
        CHECK_EQUAL(postern_pool_give(DIRECT_PORT, slots[i], gpa, 1), POSTERN_ERR_ARGUMENT);
        if (slots[i] != POSTERN_POOL_ALL) {
            CHECK_EQUAL(postern_pool_take(DIRECT_PORT, slots[i]), POSTERN_ERR_ARGUMENT);
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(foreign); i++) {
        CHECK_EQUAL(postern_pool_give(DIRECT_PORT, 0, foreign[i], 0), POSTERN_ERR_ARGUMENT);
        CHECK_EQUAL(postern_pool_give(DIRECT_PORT, 0, foreign[i], 1), POSTERN_ERR_ARGUMENT);
    }
    for (uint64_t odd = 2; odd < SIZE_4K; odd *= 2) {
        CHECK_EQUAL(postern_pool_give(DIRECT_PORT, 0, gpa + odd, 0), POSTERN_ERR_ARGUMENT);
        CHECK_EQUAL(postern_pool_give(DIRECT_PORT, 0, gpa + odd, 1), POSTERN_ERR_ARGUMENT);
    }
    uint64_t value;
    CHECK_EQUAL(peer_load(0, &value), POSTERN_ERR_FAULT);
}

CLAIM(pool_give_twice, "a slot that has the page stays as it is; one that has another is refused")
{
    uint64_t *pages = start_with(2);
    uint64_t *second = pages + SIZE_4K / sizeof(*pages);
    uint64_t value = 0;

    pages[0] = 11;
    second[0] = 22;
    CHECK_EQUAL(give(4, pages, 0), 0);
    CHECK_EQUAL(give(4, pages, 0), 0);
    CHECK_EQUAL(give(4, pages, 1), POSTERN_ERR_ARGUMENT);
    CHECK_EQUAL(give(4, second, 0), POSTERN_ERR_ARGUMENT);
    CHECK_EQUAL(peer_load(SLOT(4), &value), 0);
    CHECK_EQUAL(value, 11);
    CHECK_EQUAL(have_peer(ORDER_STORE, SLOT(4), 1, 0), POSTERN_ERR_FAULT);
    CHECK_EQUAL(give(5, pages, 1), 0); /* the same page once more, for writing */
    CHECK_EQUAL(have_peer(ORDER_STORE, SLOT(5), 33, 0), 0);
    CHECK_EQUAL(*(volatile uint64_t *)pages, 33);
    CHECK_EQUAL(postern_pool_take(DIRECT_PORT, 4), 0);
    CHECK_EQUAL(give(4, second, 0), 0);
    CHECK_EQUAL(peer_load(SLOT(4), &value), 0);
    CHECK_EQUAL(value, 22);
}

CLAIM(pool_page_for_writing, "what the peer stores through its gate is in the page, and back")
{
    volatile uint64_t *page = start_with(1);
    uint64_t last = SIZE_4K - 8, value = 0;

    CHECK_EQUAL(give(POOL_SLOTS - 1, (const void *)page, 1), 0);
    CHECK_EQUAL(have_peer(ORDER_STORE, SLOT(POOL_SLOTS - 1), 0x77777, 0), 0);
    CHECK_EQUAL(have_peer(ORDER_STORE, SLOT(POOL_SLOTS - 1) + last, 0x88888, 0), 0);
    CHECK_EQUAL(page[0], 0x77777);
    CHECK_EQUAL(page[last / 8], 0x88888);
    page[1] = 0x99999;
    CHECK_EQUAL(peer_load(SLOT(POOL_SLOTS - 1) + 8, &value), 0);
    CHECK_EQUAL(value, 0x99999);
}

CLAIM(pool_page_for_reading, "the peer reads a page that it may not write; a store is a FAULT")
{
    volatile uint64_t *page = start_with(1);
    uint64_t value = 0;

    page[0] = 0x123456;
    CHECK_EQUAL(give(0, (const void *)page, 0), 0);
    CHECK_EQUAL(peer_load(0, &value), 0);
    CHECK_EQUAL(value, 0x123456);
    CHECK_EQUAL(have_peer(ORDER_STORE, 0, 1, 0), POSTERN_ERR_FAULT);
    CHECK_EQUAL(page[0], 0x123456);
    page[0] = 0x654321;
    CHECK_EQUAL(peer_load(0, &value), 0);
    CHECK_EQUAL(value, 0x654321);
}

CLAIM(pool_slot_is_empty,
      "a slot that was not given, or was taken back, ends a crossing with FAULT")
{
    uint64_t *page = start_with(1);
    uint64_t value = 0;

    CHECK_EQUAL(give(2, page, 1), 0);
    CHECK_EQUAL(peer_load(SLOT(1), &value), POSTERN_ERR_FAULT);
    CHECK_EQUAL(peer_load(SLOT(3), &value), POSTERN_ERR_FAULT);
    CHECK_EQUAL(have_peer(ORDER_STORE, SLOT(3), 1, 0), POSTERN_ERR_FAULT);
    CHECK_EQUAL(peer_load(SLOT(2), &value), 0);
    CHECK_EQUAL(postern_pool_take(DIRECT_PORT, 3), 0);
    CHECK_EQUAL(peer_load(SLOT(2), &value), 0);
    CHECK_EQUAL(postern_pool_take(DIRECT_PORT, 2), 0);
    CHECK_EQUAL(postern_pool_take(DIRECT_PORT, 2), 0);
    CHECK_EQUAL(peer_load(SLOT(2), &value), POSTERN_ERR_FAULT);
    for (uint64_t slot = 0; slot < POOL_SLOTS; slot += 3) {
        CHECK_EQUAL(give(slot, page, 1), 0);
    }
    CHECK_EQUAL(peer_load(SLOT(30), &value), 0);
    CHECK_EQUAL(postern_pool_take(DIRECT_PORT, POSTERN_POOL_ALL), 0);
    CHECK_EQUAL(peer_load(SLOT(0), &value), POSTERN_ERR_FAULT);
    CHECK_EQUAL(peer_load(SLOT(30), &value), POSTERN_ERR_FAULT);
}

CLAIM(pool_of_the_peer, "copies go into and out of the pages that the peer gave, and end with them")
{
    uint8_t *buffer = (uint8_t *)start_with(3);
    uint32_t view = direct_view();
    uint64_t pool = pool_window();

    CHECK_EQUAL(have_peer(ORDER_GIVE, 0, 6, 1), 0);
    CHECK_EQUAL(have_peer(ORDER_GIVE, 1, 7, 1), 0);
    memset(buffer, 0x21, 2 * SIZE_4K);
    CHECK_EQUAL(gate_copy(view, pool + SLOT(6), (uint64_t)buffer, 2 * SIZE_4K), 0);
    CHECK_EQUAL(peer_word(0), 0x2121212121212121ull);
    CHECK_EQUAL(peer_word(1), 0x2121212121212121ull);
    memset(buffer, 0x42, 3 * SIZE_4K);
    CHECK_EQUAL(gate_copy(view, pool + SLOT(7), (uint64_t)buffer, SIZE_4K + 8), POSTERN_ERR_FAULT);
    CHECK_EQUAL(peer_word(0), 0x2121212121212121ull);
    CHECK_EQUAL(peer_word(1), 0x4242424242424242ull);
    CHECK_EQUAL(gate_copy(view, (uint64_t)buffer, pool + SLOT(6), 16), 0);
    CHECK_EQUAL(*(uint64_t *)buffer, 0x2121212121212121ull);
}

/* With memory decoding off, as a BAR is moved. */
static void move_bar4(uint64_t gpa)
{
    uint32_t function = nic_of(DIRECT_PORT);

    pci_write(function, 4, 0);
    pci_write(function, BAR4 + 4, (uint32_t)(gpa >> 32));
    pci_write(function, BAR4, (uint32_t)gpa);
    pci_write(function, 4, 2);
}

CLAIM(pool_moves_with_its_bar, "BAR 4 moves the given pages in the view, and decoding hides them")
{
    (void)start_with(0);
    uint32_t view = direct_view(), function = nic_of(DIRECT_PORT);
    uint64_t old = nic_bar(function, POSTERN_BAR_POOL);
    uint64_t before = pool_window(), value = 0;
    uint64_t after = (uint64_t)map_physical(NO_BAR, POOL_SIZE);

    CHECK_EQUAL(have_peer(ORDER_GIVE, 2, 0, 1), 0);
    CHECK_EQUAL(gate_store(view, before, 7001), 0);
    move_bar4(NO_BAR);
    CHECK_EQUAL(gate_load(view, before, &value), POSTERN_ERR_FAULT);
    CHECK_EQUAL(gate_load(view, after, &value), 0);
    CHECK_EQUAL(value, 7001);
    /* What is given while nothing decodes is there afterwards; what is taken is not. */
    pci_write(function, 4, 0);
    CHECK_EQUAL(gate_load(view, after, &value), POSTERN_ERR_FAULT);
    CHECK_EQUAL(have_peer(ORDER_GIVE, 3, 1, 1), 0);
    CHECK_EQUAL(have_peer(ORDER_TAKE, 0, 0, 0), 0);
    pci_write(function, 4, 2);
    CHECK_EQUAL(gate_load(view, after, &value), POSTERN_ERR_FAULT);
    CHECK_EQUAL(gate_store(view, after + SLOT(1), 7002), 0);
    CHECK_EQUAL(peer_word(3), 7002);
    move_bar4(old);
    CHECK_EQUAL(gate_load(view, after + SLOT(1), &value), POSTERN_ERR_FAULT);
    CHECK_EQUAL(gate_load(view, before + SLOT(1), &value), 0);
    CHECK_EQUAL(value, 7002);
}

CLAIM(pool_takes_no_place, "a pool on top of the window, RAM or the gate shows nothing")
{
    (void)start_with(0);
    uint32_t view = direct_view(), function = nic_of(DIRECT_PORT);
    uint64_t old = nic_bar(function, POSTERN_BAR_POOL);
    uint64_t window = window_of(DIRECT_PORT), value = 0;
    const uint64_t places[] = {nic_bar(function, POSTERN_BAR_WINDOW), ram_size() - POOL_SIZE,
                               align_down(GUEST_GATE_BASE, POOL_SIZE), ram_size()};
    uint64_t *ram = ram_alloc(SIZE_4K, SIZE_4K);

    CHECK_EQUAL(have_peer(ORDER_GIVE, 4, 0, 1), 0);
    CHECK_EQUAL(have_peer(ORDER_STORE, 0, 1, 0), POSTERN_ERR_FAULT);
    CHECK_EQUAL(gate_store(view, pool_window(), 5), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        move_bar4(places[i]);
        CHECK_EQUAL(gate_store(view, window, 8001), 0);
        CHECK_EQUAL(gate_load(view, window, &value), 0);
        CHECK_EQUAL(value, 8001);
        CHECK_EQUAL(gate_store(view, (uint64_t)ram, i), 0);
        CHECK_EQUAL(*(volatile uint64_t *)ram, i);
        CHECK_EQUAL(peer_word(4), 5);
    }
    move_bar4(old);
    CHECK_EQUAL(gate_load(view, pool_window(), &value), 0);
    CHECK_EQUAL(value, 5);
}

/* Exits that the peer has while `act` is done here, its own hypercall included. */
static uint64_t peers_exits_during(int64_t (*act)(void *pages), void *pages)
{
    begin_order(ORDER_SPIN, 0, 0, 0);
    for (uint64_t end = rdtsc() + PEER_MS * tsc_per_ms(); answer->progress < 100;) {
        if (rdtsc() > end) {
            error("the peer does not spin");
        }
        cpu_pause();
    }
    int64_t result = act(pages);
    delay(2); /* an interrupt may still be on its way */
    order->stop = 1;
    CHECK_EQUAL(end_order(), 0);
    CHECK_EQUAL(result, 0);
    return answer->value;
}

static int64_t give_many(void *pages)
{
    int64_t result = 0;

    for (unsigned slot = 0; slot < POOL_SLOTS && result == 0; slot++) {
        result = give(slot, (uint8_t *)pages + slot % 2 * SIZE_4K, slot % 3 == 0);
    }
    return result;
}

static int64_t take_many(void *pages)
{
    (void)pages;
    return postern_pool_take(DIRECT_PORT, POSTERN_POOL_ALL);
}

CLAIM(pool_give_interrupts_nobody,
      "to give pages makes no exit for the peer; to take them back makes one")
{
    void *pages = start_with(2);
    uint64_t least = UINT64_MAX, value = 0;

    /* A time slice's end may fall in between, but not each time. */
    for (unsigned tries = 0; tries < 20 && least > 1; tries++) {
        CHECK_EQUAL(postern_pool_take(DIRECT_PORT, POSTERN_POOL_ALL), 0);
        uint64_t exits = peers_exits_during(give_many, pages);
        least = exits < least ? exits : least;
        /* All the same the peer has it at once. */
        CHECK_EQUAL(peer_load(SLOT(POOL_SLOTS - 1), &value), 0);
        CHECK_EQUAL(peers_exits_during(take_many, pages) > 1, true);
    }
    CHECK_EQUAL(least, 1);
}

CLAIM(pool_take_under_crossings,
      "once a take has returned nothing of the peer's is stored any more")
{
    volatile uint64_t *page = start_with(1);

    for (unsigned i = 0; i < 30; i++) {
        page[0] = 0;
        CHECK_EQUAL(give(i % 4, (const void *)page, 1), 0);
        begin_order(ORDER_STORE_ON, SLOT(i % 4), 0, 0);
        for (uint64_t end = rdtsc() + PEER_MS * tsc_per_ms(); page[0] < 10 + i;) {
            CHECK(rdtsc() < end);
            cpu_pause();
        }
        uint64_t slot = i % 2 == 0 ? i % 4 : POSTERN_POOL_ALL;
        CHECK_EQUAL(postern_pool_take(DIRECT_PORT, slot), 0);
        uint64_t seen = page[0];
        CHECK_EQUAL(end_order(), POSTERN_ERR_FAULT);
        CHECK_EQUAL(page[0], seen);
    }
}

CLAIM(pool_takes_are_limited,
      "pages are taken back once in a millisecond: they cost the peer exits")
{
    uint64_t *page = start_with(1);
    const unsigned takes = 10;

    delay(2);
    uint64_t start = rdtsc();
    for (unsigned i = 0; i < takes; i++) {
        CHECK_EQUAL(give(0, page, 1), 0);
        CHECK_EQUAL(postern_pool_take(DIRECT_PORT, 0), 0);
    }
    CHECK(rdtsc() - start >= (takes - 1) * tsc_per_ms());
}

/* The peer starts anew while this end stores into a page of its image. */
static void peer_ends_by(uint64_t kind)
{
    uint64_t *page = start_with(1);
    uint64_t image = pool_window() + SLOT(9), value = 0;
    uint32_t view = direct_view();
    int64_t result;

    page[0] = 0xabcdef;
    CHECK_EQUAL(give(1, page, 0), 0);
    CHECK_EQUAL(have_peer(ORDER_GIVE_IMAGE, 0, 9, 0), 0);
    CHECK_EQUAL(gate_store(view, image, 0), 0);
    CHECK_EQUAL(have_peer(ORDER_PEEK_IMAGE, 0, 0, 0), 0);
    CHECK_EQUAL(answer->value, 8);
    begin_order(kind, 0, 0, 0);
    do {
        result = gate_store(view, image, 0);
    } while (result == 0 && !is_answered());
    CHECK_EQUAL(result, POSTERN_ERR_FAULT);
    /* Its new kernel is as it was loaded, and knows nothing of the page. */
    CHECK_EQUAL(end_order(), 0);
    CHECK_EQUAL(gate_store(view, image, 0), POSTERN_ERR_FAULT);
    CHECK_EQUAL(have_peer(ORDER_PEEK_IMAGE, 0, 0, 0), 0);
    CHECK_EQUAL(answer->value, 0);
    CHECK_EQUAL(have_peer(ORDER_GIVE, 0, 9, 1), 0);
    CHECK_EQUAL(gate_store(view, image, 3), 0);
    CHECK_EQUAL(peer_word(0), 3);
    /* What this end has given is in the view that it makes now; and what it gives now. */
    CHECK_EQUAL(give(2, page, 0), 0);
    CHECK(have_peer(ORDER_VIEW, 0, 0, 0) > 0);
    CHECK_EQUAL(peer_load(SLOT(1), &value), 0);
    CHECK_EQUAL(value, 0xabcdef);
    CHECK_EQUAL(peer_load(SLOT(2), &value), 0);
    CHECK_EQUAL(value, 0xabcdef);
    CHECK_EQUAL(peer_load(SLOT(3), &value), POSTERN_ERR_FAULT);
}

CLAIM(pool_of_a_peer_that_resets, "the peer's pages go before its RAM is loaded; the own ones stay")
{
    peer_ends_by(ORDER_RESET);
}

CLAIM(pool_of_a_peer_that_crashes, "the same when it ends by a triple fault")
{
    peer_ends_by(ORDER_CRASH);
}

CLAIM(pool_ends_with_its_giver, "what a VM has given is forgotten when it starts anew")
{
    uint64_t value = 0;

    if (claim_phase() == 0) {
        uint64_t *page = start_with(1);
        CHECK_EQUAL(give(0, page, 1), 0);
        CHECK_EQUAL(give(17, page, 0), 0);
        CHECK_EQUAL(have_peer(ORDER_GIVE, 5, 8, 0), 0);
        CHECK_EQUAL(peer_load(SLOT(17), &value), 0);
        restart_expected();
        outb(GUEST_PORT_RESET, GUEST_RESET_VALUE);
    }
    map_orders();
    CHECK_EQUAL(peer_load(SLOT(0), &value), POSTERN_ERR_FAULT);
    CHECK_EQUAL(peer_load(SLOT(17), &value), POSTERN_ERR_FAULT);
    /* The slots are free for other pages; and what the peer gave is still there. */
    CHECK_EQUAL(gate_load(direct_view(), pool_window() + SLOT(8), &value), 0);
    CHECK_EQUAL(gate_store(direct_view(), pool_window() + SLOT(8), 1), POSTERN_ERR_FAULT);
    uint64_t *page = ram_alloc(SIZE_2M, SIZE_2M);
    page[0] = 99;
    CHECK_EQUAL(give(17, page, 1), 0);
    CHECK_EQUAL(peer_load(SLOT(17), &value), 0);
    CHECK_EQUAL(value, 99);
}

/* tests/boot/test_views.py looks at what `hvctl links` says when this guest has ended. */
CLAIM(pool_is_left, "two pages of the peer's stay given, and one of this end's, until it ends")
{
    uint64_t *page = start_with(1);

    CHECK_EQUAL(give(3, page, 1), 0);
    CHECK_EQUAL(have_peer(ORDER_GIVE, 0, 0, 0), 0);
    CHECK_EQUAL(have_peer(ORDER_GIVE, 1, 31, 1), 0);
}
