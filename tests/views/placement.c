/* SPDX-License-Identifier: BSD-2-Clause */
/* The gate in pages of RAM. */
#include "tests/views/views.h"

static int64_t place(uint64_t page, uint64_t gpa)
{
    return hypercall(POSTERN_HC_GATE_PLACE, page, gpa, 0);
}

CLAIM(placed_gate_crosses, "a gate that was placed in RAM crosses as the one at home")
{
    uint32_t view = open_view();
    uint8_t *pages = ram_alloc(gate_page_count() * SIZE_4K, SIZE_4K);

    for (uint32_t i = 0; i < gate_page_count(); i++) {
        CHECK_EQUAL(place(i, (uint64_t)pages + i * SIZE_4K), 0);
    }
    CHECK_EQUAL(memcmp(pages, (void *)gate_address(), gate_page_count() * SIZE_4K), 0);
    CHECK_EQUAL(((postern_gate_t)(uint64_t)pages)(view, POSTERN_GATE_NOTHING, NULL), 0);
    CHECK_EQUAL(((postern_gate_t)(uint64_t)pages)(view, 4000, NULL), POSTERN_ERR_UNKNOWN);
    CHECK_EQUAL(((postern_gate_t)(uint64_t)pages)(400, 0, NULL), POSTERN_ERR_NOT_OPEN);
    for (uint32_t i = 0; i < gate_page_count(); i++) {
        CHECK_EQUAL(place(POSTERN_GATE_REMOVE, (uint64_t)pages + i * SIZE_4K), 0);
    }
}

CLAIM(placement_hides_ram, "RAM below a placed gate is hidden, not lost")
{
    volatile uint64_t *page = ram_alloc(SIZE_4K, SIZE_4K);

    page[0] = 0x1234567812345678ull;
    page[511] = 99;
    CHECK_EQUAL(place(0, (uint64_t)page), 0);
    CHECK(page[0] != 0x1234567812345678ull);
    CHECK_TRAP(TRY("movq $0, %0", : "+m"(page[0])), EXCEPTION_GP, 0);
    CHECK_EQUAL(place(POSTERN_GATE_REMOVE, (uint64_t)page), 0);
    CHECK_EQUAL(page[0], 0x1234567812345678ull);
    CHECK_EQUAL(page[511], 99);
    page[0] = 1;
    CHECK_EQUAL(page[0], 1);
}

CLAIM(placement_again_changes_nothing, "to place or remove a second time is no error")
{
    uint64_t page = (uint64_t)ram_alloc(SIZE_4K, SIZE_4K);

    CHECK_EQUAL(place(0, page), 0);
    CHECK_EQUAL(place(0, page), 0);
    CHECK_EQUAL(place(1, page), 0); /* another page of the gate in its place */
    CHECK_EQUAL(place(POSTERN_GATE_REMOVE, page), 0);
    CHECK_EQUAL(place(POSTERN_GATE_REMOVE, page), 0);
}

CLAIM(placement_refuses_nonsense, "pages that are no RAM, and pages that no gate has, are refused")
{
    uint64_t page = (uint64_t)ram_alloc(SIZE_4K, SIZE_4K);
    uint64_t bad[] = {1,          page + 8,      ram_size(),          GUEST_GATE_BASE,
                      UINT64_MAX, ~0xfffull,     GUEST_PCI_HIGH_BASE, GUEST_IOAPIC_BASE,
                      BIT(63),    ram_size() - 1};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        CHECK_EQUAL(place(0, bad[i]), POSTERN_ERR_ARGUMENT);
        CHECK_EQUAL(place(POSTERN_GATE_REMOVE, bad[i]), POSTERN_ERR_ARGUMENT);
    }
    CHECK_EQUAL(place(gate_page_count(), page), POSTERN_ERR_ARGUMENT);
    CHECK_EQUAL(place(UINT64_MAX - 1, page), POSTERN_ERR_ARGUMENT);
}
