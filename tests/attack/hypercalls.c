/* SPDX-License-Identifier: BSD-2-Clause */
/* Hypercalls with arguments that nobody should give. */
#include "tests/attack/attack.h"

#define CALLS     32u
#define KNOWN     (POSTERN_HC_POOL_TAKE + 1u)
#define FUZZ      4000u
#define USER_FUZZ 3000u
#define PAGES     8u

static uint64_t pages; /* of RAM that may be lost */

static const uint64_t edges[] = {0,
                                 1,
                                 2,
                                 3,
                                 511,
                                 512,
                                 0xfff,
                                 0x1001,
                                 0x7fffffff,
                                 0x80000000,
                                 0xffffffff,
                                 0x100000000,
                                 0x3ffffff,
                                 0x4000000,
                                 0x4000001,
                                 0x5000000,
                                 0xc0000000,
                                 0xfec00000,
                                 0xfed00000,
                                 0xfed01000,
                                 0xfee00000,
                                 0x1000000000,
                                 0x1000010000,
                                 0x1fffffff000,
                                 0x7fffffffff000,
                                 0xffffffffff000,
                                 0x7ffffffffffff000,
                                 0x8000000000000000,
                                 0xfffffffffffff000,
                                 0xfffffffffffffffe,
                                 ~0ull};

/* Whether the call would take away what this guest stands on. */
static bool is_suicide(uint64_t number, uint64_t a, uint64_t b)
{
    uint64_t gpa = number == POSTERN_HC_GATE_PLACE ? b : a;

    return (number == POSTERN_HC_GATE_PLACE || number == POSTERN_HC_VE) && gpa % SIZE_4K == 0 &&
           gpa < ram_size() && (gpa < pages || gpa >= pages + PAGES * SIZE_4K);
}

static bool is_result(uint64_t number, int64_t result)
{
    if (number == POSTERN_HC_EXITS || number == POSTERN_HC_GATE || number == POSTERN_HC_VERSION) {
        return result > 0;
    }
    if (number == POSTERN_HC_PORT_EXITS) {
        return result >= 0 || result == POSTERN_ERR_ARGUMENT;
    }
    return (result <= 0 && result >= POSTERN_ERR_MODE) ||
           (number == POSTERN_HC_VIEW_OPEN && result < 512);
}

static void try_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
    if (number == POSTERN_HC_VIEW_SWITCH || is_suicide(number, a, b)) {
        return;
    }
    int64_t result = hypercall(number, a, b, c);
    if (!is_result(number, result)) {
        fail("hypercall %llu(0x%llx, 0x%llx) returns %lld", (unsigned long long)number,
             (unsigned long long)a, (unsigned long long)b, (long long)result);
    }
}

CLAIM(hypercall_edges, "every hypercall refuses arguments at the edges of what exists")
{
    in_bochs_let_others_in();
    pages = (uint64_t)ram_alloc(PAGES * SIZE_4K, SIZE_4K);
    for (uint64_t number = 0; number < CALLS; number++) {
        for (unsigned i = 0; i < ARRAY_SIZE(edges); i++) {
            for (unsigned j = 0; j < ARRAY_SIZE(edges); j += number == 7 ? 5 : 1) {
                try_call(number, edges[i], edges[j], edges[(i + j) % ARRAY_SIZE(edges)]);
            }
        }
    }
}

CLAIM(hypercall_numbers, "a number without a call is an error, however wide")
{
    for (uint64_t bit = 4; bit < 64; bit++) {
        uint64_t number = (1ull << bit) + 3;
        CHECK_EQUAL(hypercall(number, 0, 0, 0), POSTERN_ERR_UNKNOWN);
        CHECK_EQUAL(hypercall(~0ull << bit, 0, 0, 0), POSTERN_ERR_UNKNOWN);
    }
    CHECK_EQUAL(hypercall(POSTERN_HC_TEST_STAY, 100, 2, 0), POSTERN_ERR_UNKNOWN);
}

CLAIM(hypercall_foreign_pages,
      "no page but of the own RAM is given to the gate, for #VE or to the peer")
{
    for (unsigned i = 0; i < ARRAY_SIZE(edges); i++) {
        bool own = edges[i] < ram_size() && edges[i] % SIZE_4K == 0;
        if (own || edges[i] == POSTERN_VE_OFF) {
            continue;
        }
        CHECK_EQUAL(hypercall(POSTERN_HC_VE, edges[i], 0, 0), POSTERN_ERR_ARGUMENT);
        /* But for the right to write it, bit 0. */
        if (edges[i] >= ram_size() || edges[i] % SIZE_4K > 1) {
            CHECK_EQUAL(hypercall(POSTERN_HC_POOL_GIVE, PORT_OTHER, 0, edges[i]),
                        POSTERN_ERR_ARGUMENT);
        }
        CHECK_EQUAL(hypercall(POSTERN_HC_GATE_PLACE, 0, edges[i], 0), POSTERN_ERR_ARGUMENT);
        CHECK_EQUAL(hypercall(POSTERN_HC_GATE_PLACE, POSTERN_GATE_REMOVE, edges[i], 0),
                    POSTERN_ERR_ARGUMENT);
    }
}

static uint64_t random_argument(void)
{
    switch (random_next() % 4) {
    case 0:
        return edges[random_next() % ARRAY_SIZE(edges)];
    case 1:
        return random_next() % 4;
    case 2:
        return pages + random_next() % PAGES * SIZE_4K;
    default:
        return random_next();
    }
}

CLAIM(hypercall_fuzz_ring0,
      "thousands of random hypercalls of ring 0 give results, and nothing else")
{
    pages = (uint64_t)ram_alloc(PAGES * SIZE_4K, SIZE_4K);
    in_bochs_let_others_in();
    random_seed(1);
    for (unsigned i = 0; i < FUZZ; i++) {
        uint64_t number = random_next() % 8 == 0 ? random_next() : random_next() % KNOWN;
        try_call(number, random_argument(), random_argument(), random_argument());
    }
    for (unsigned i = 0; i < PAGES; i++) {
        CHECK_EQUAL(hypercall(POSTERN_HC_GATE_PLACE, POSTERN_GATE_REMOVE, pages + i * SIZE_4K, 0),
                    0);
    }
}

static uint64_t user_call(uint64_t number)
{
    uint64_t result = number;

    __asm__ volatile("vmcall" : "+a"(result) : "D"(0), "S"(~0ull), "d"(0), "c"(0) : "memory");
    return result;
}

CLAIM(hypercall_fuzz_ring3, "no hypercall but the change of views is one for ring 3")
{
    uint64_t result = 0;

    random_seed(2);
    for (unsigned i = 0; i < USER_FUZZ; i++) {
        uint64_t number = i < 64 ? i : random_next();
        CHECK_NO_TRAP(run_user(user_call, number, &result));
        CHECK_EQUAL(result,
                    number == POSTERN_HC_VIEW_SWITCH ? number : (uint64_t)POSTERN_ERR_PERMISSION);
    }
}

CLAIM(gate_places_run_out, "more gates in RAM than there are places for are refused")
{
    uint64_t ram = (uint64_t)ram_alloc(80 * SIZE_4K, SIZE_4K);
    unsigned placed = 0;

    for (unsigned i = 0; i < 80; i++) {
        int64_t result = hypercall(POSTERN_HC_GATE_PLACE, i % 2, ram + i * SIZE_4K, 0);
        CHECK(result == 0 || result == POSTERN_ERR_NO_MEMORY);
        placed += result == 0 ? 1 : 0;
    }
    CHECK(placed >= 2 && placed < 80);
    for (unsigned i = 0; i < 80; i++) {
        CHECK_EQUAL(hypercall(POSTERN_HC_GATE_PLACE, POSTERN_GATE_REMOVE, ram + i * SIZE_4K, 0), 0);
    }
}
