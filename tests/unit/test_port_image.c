/* SPDX-License-Identifier: BSD-2-Clause */
/* What snapshots have of Postern's NICs and of the gate: the same is taken, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "abi/pci.h"
#include "core/port_image.h"
#include "lib/bits.h"

#define RAM        MIB(16)
#define HASH       0x1234u
#define GATE_PAGES 3u

static char error[SNAPSHOT_ERROR_SIZE];

static const struct port_image own = {
    .section = MIB(4),
    .device = 2,
    .kind = POSTERN_PCI_MEMBER,
    .mode = POSTERN_MODE_GATED,
    .end = 1,
    .queues = 4,
    .lanes = 7,
    .to_switch = 1,
    .pool = 0,
};

static bool fits(const struct port_image *theirs)
{
    error[0] = '\0';
    return port_image_fits(theirs, &own, 1, "lan", error);
}

static void the_same_port_fits(void **state)
{
    const struct port_image theirs = own;

    (void)state;
    assert_true(fits(&theirs));
}

#define expect(member, value, why)           \
    do {                                     \
        struct port_image changed_ = own;    \
        changed_.member = (value);           \
        assert_false(fits(&changed_));       \
        assert_non_null(strstr(error, why)); \
    } while (0)

static void another_port_is_named(void **state)
{
    (void)state;
    expect(section, MIB(8), "NIC 1 (lan) is another one: its section is 4194304, the snapshot's 8");
    expect(device, 3, "number on the PCI bus");
    expect(kind, POSTERN_PCI_NIC, "kind");
    expect(end, 0, "its end is 1, the snapshot's 0");
    expect(queues, 2, "count of queues");
    expect(lanes, 3, "set of lanes");
    expect(to_switch, 0, "lane to the switch");
    expect(pool, 65536, "pool");
    expect(mode, POSTERN_MODE_OPEN, "NIC 1 (lan) is gated, the snapshot's was open");
    expect(mode, POSTERN_MODE_DIRECT, "the snapshot's was direct");
    expect(mode, UINT32_MAX, "the snapshot's was of no known mode");
}

static struct gates_image good_gates(void)
{
    struct gates_image image = {.hash = HASH, .gate_pages = GATE_PAGES, .count = 2};

    image.placements[0].gpa = RAM - PAGE_SIZE;
    image.placements[1].gpa = 0;
    image.placements[1].page = GATE_PAGES - 1;
    return image;
}

static const char *judge(const struct gates_image *image)
{
    error[0] = '\0';
    return gates_image_fits(image, HASH, GATE_PAGES, RAM, error) ? "good" : error;
}

#define expect_gates(member, value, why)                \
    do {                                                \
        struct gates_image changed_ = good_gates();     \
        changed_.member = (value);                      \
        assert_non_null(strstr(judge(&changed_), why)); \
    } while (0)

static void gates_fit(void **state)
{
    const struct gates_image none = {.hash = HASH, .gate_pages = GATE_PAGES}, good = good_gates();
    struct gates_image most = none;

    (void)state;
    assert_string_equal(judge(&none), "good");
    assert_string_equal(judge(&good), "good");
    for (; most.count < VIEW_PLACEMENT_MAX; most.count++) {
        most.placements[most.count].gpa = most.count * PAGE_SIZE;
    }
    assert_string_equal(judge(&most), "good");
    most.count++;
    assert_non_null(strstr(judge(&most), "places"));
    most.count = UINT32_MAX;
    assert_non_null(strstr(judge(&most), "places"));
}

static void gates_elsewhere_are_refused(void **state)
{
    (void)state;
    expect_gates(hash, HASH + 1, "another version");
    expect_gates(gate_pages, GATE_PAGES + 1, "another version");
    expect_gates(placements[0].page, GATE_PAGES, "places");
    expect_gates(placements[0].gpa, RAM, "places");
    expect_gates(placements[0].gpa, UINT64_MAX & ~0xfffull, "places");
    expect_gates(placements[0].gpa, 8, "places");
    expect_gates(placements[0].zero, 1, "places");
    /* Twice, and behind the end. */
    expect_gates(placements[0].gpa, 0, "places");
    expect_gates(count, 1, "places");
    expect_gates(placements[2].gpa, PAGE_SIZE, "places");
    expect_gates(placements[63].page, 1, "places");
    expect_gates(placements[63].zero, 1, "places");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_port_fits),
        cmocka_unit_test(another_port_is_named),
        cmocka_unit_test(gates_fit),
        cmocka_unit_test(gates_elsewhere_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
