/* SPDX-License-Identifier: BSD-2-Clause */
/* Pools: a page of the victim's own RAM, which this guest may read. */
#include "tests/attack/attack.h"

#define LOADS 2000u

static uint64_t view;
static uint8_t *pool; /* its pages and one on either side, writable in the guest's page tables */

static void map_pool(void)
{
    view = view_open(PORT_OTHER);
    pool = map_physical(pool_of_other() - SIZE_4K, POOL_SIZE + 2 * SIZE_4K);
    pool += SIZE_4K;
}

static int64_t load(const uint8_t *at, uint64_t *word)
{
    struct postern_gate_access access = {(uint64_t)at, 0};
    int64_t result = cross(view, POSTERN_GATE_LOAD, &access);

    *word = access.value;
    return result;
}

static int64_t store(uint8_t *at, uint64_t word)
{
    struct postern_gate_access access = {(uint64_t)at, word};

    return cross(view, POSTERN_GATE_STORE, &access);
}

CLAIM(pool_shows_no_more, "of a peer's RAM there is the page that it gave, to be read, and no more")
{
    uint8_t *given;
    uint64_t word = 0;

    map_pool();
    given = pool + CANARY_SLOT * SIZE_4K;
    for (uint8_t *at = pool - SIZE_4K; at < pool + POOL_SIZE + SIZE_4K; at += 512) {
        bool there = at >= given && at < given + SIZE_4K;
        CHECK_EQUAL(load(at, &word), there ? 0 : POSTERN_ERR_FAULT);
        CHECK_EQUAL(word, there ? canary_word((uint64_t)(at - given) / sizeof(word)) : 0);
        CHECK_EQUAL(store(at, 0), POSTERN_ERR_FAULT);
        CHECK_EQUAL(cross_copy(view, at, &word, sizeof(word)), POSTERN_ERR_FAULT);
    }
    /* Neither hypercall is for the peer's slots. */
    uint64_t own = (uint64_t)ram_alloc(SIZE_4K, SIZE_4K);
    CHECK_EQUAL(hypercall(POSTERN_HC_POOL_GIVE, PORT_OTHER, CANARY_SLOT, own | POSTERN_POOL_WRITE),
                0);
    CHECK_EQUAL(hypercall(POSTERN_HC_POOL_TAKE, PORT_OTHER, POSTERN_POOL_ALL, 0), 0);
    CHECK_EQUAL(load(given, &word), 0);
    CHECK_EQUAL(word, canary_word(0));
    CHECK_EQUAL(store(given, 0), POSTERN_ERR_FAULT);
}

static _Atomic bool stop;

/* Within two gibibytes, over the window too; gives and takes own pages meanwhile. */
static void move_pool(void *page)
{
    uint64_t home = pool_of_other(), window = window_of(PORT_OTHER);
    uint32_t device = PCI_DEVICE(1 + PORT_OTHER);

    in_bochs_let_others_in();
    for (uint64_t i = 0; !atomic_load(&stop); i++) {
        move_bar(PORT_OTHER, POSTERN_BAR_POOL, i % 3 == 0 ? window : home + i % 5 * POOL_SIZE);
        pci_write(device, 4, i % 4 == 0 ? 0 : 2);
        CHECK_EQUAL(hypercall(POSTERN_HC_POOL_GIVE, PORT_OTHER, i % 16, (uint64_t)page), 0);
        if (i % 16 == 15) {
            CHECK_EQUAL(hypercall(POSTERN_HC_POOL_TAKE, PORT_OTHER, POSTERN_POOL_ALL, 0), 0);
        }
        move_bar(PORT_OTHER, POSTERN_BAR_POOL, home);
        pci_write(device, 4, 2);
    }
}

CLAIM(pool_moved_under_crossings, "a pool that another vCPU moves about ends crossings, no more")
{
    void *page = ram_alloc(SIZE_4K, SIZE_4K);
    unsigned done = 0;

    in_bochs_let_others_in();
    map_pool();
    need_cpu(1);
    atomic_store(&stop, false);
    cpu_run(1, move_pool, page);
    for (unsigned i = 0; i < LOADS; i++) {
        uint64_t word = 0;
        int64_t result = load(pool + CANARY_SLOT * SIZE_4K, &word);
        CHECK(result == POSTERN_ERR_FAULT || (result == 0 && word == canary_word(0)));
        done += result == 0 ? 1 : 0;
    }
    atomic_store(&stop, true);
    CHECK_NO_TRAP(cpu_wait(1, 1000));
    CHECK(done > 0);
}
