/* SPDX-License-Identifier: BSD-2-Clause */
/* What snapshots have of views and of #VE: what a guest could have made is taken, and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/view_image.h"
#include "lib/bits.h"

#define RAM   MIB(16)
#define VCPUS 2u
#define PORTS 3u
#define PLAIN 1u /* of these: a port that has no view in any mode */

static uint64_t row[1024];
static struct snapshot_writer writer;
static char error[SNAPSHOT_ERROR_SIZE];

static void begin(void)
{
    memset(row, 0, sizeof(row));
    writer = (struct snapshot_writer){.bytes = (uint8_t *)row, .room = sizeof(row)};
}

static void add_ve(uint32_t vcpu, uint64_t gpa)
{
    struct ve_image *image = ve_image_add(&writer, vcpu);

    assert_non_null(image);
    image->gpa = gpa;
}

static void add_view(uint32_t view, uint32_t port, uint32_t vcpus)
{
    struct view_image *image = view_image_add(&writer, view);

    assert_non_null(image);
    *image = (struct view_image){port, vcpus};
}

/* As hostile rows may be: of another version or size. */
static void add_other(enum snapshot_type type, uint16_t version, uint32_t index, uint32_t size)
{
    const struct snapshot_wanted wanted = {type, version, index, size};

    assert_non_null(snapshot_add(&writer, &wanted));
}

static const char *judge(void)
{
    const struct view_image_limits limits = {.ram_size = RAM,
                                             .vcpus = VCPUS,
                                             .ports = PORTS,
                                             .with_views = MASK(PORTS - 1, 0) & ~BIT32(PLAIN)};

    error[0] = '\0';
    return snapshot_is_valid(row, writer.used, error) &&
                   view_images_fit(row, writer.used, &limits, error)
               ? "good"
               : error;
}

#define expect(why) assert_non_null(strstr(judge(), why))

static void what_a_guest_has_fits(void **state)
{
    (void)state;
    begin();
    expect("good");
    add_ve(1, RAM - PAGE_SIZE);
    expect("good");
    add_view(2, 0, 0);
    add_view(1, 2, 3);
    add_ve(0, 0);
    expect("good");
    assert_int_equal(ve_image_find(row, writer.used, 1)->gpa, RAM - PAGE_SIZE);
    assert_int_equal(view_image_find(row, writer.used, 1)->port, 2);
    assert_int_equal(view_image_find(row, writer.used, 1)->vcpus, 3);
    assert_null(view_image_find(row, writer.used, 3));
    assert_null(ve_image_find(row, writer.used, 2));
}

static void areas_elsewhere_are_refused(void **state)
{
    static const uint64_t bad[] = {RAM,     1,       RAM - PAGE_SIZE + 8,    0xfed00000,
                                   BIT(63), BIT(52), UINT64_MAX & ~0xfffull, UINT64_MAX};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        begin();
        add_ve(1, bad[i]);
        expect("vCPU 1: #VE's area at 0x");
    }
}

static void other_vcpus_are_refused(void **state)
{
    (void)state;
    begin();
    add_ve(VCPUS, 0);
    expect("a #VE record is of a vCPU that the VM does not have");
    begin();
    add_ve(0, 0);
    add_ve(UINT32_MAX, 0);
    expect("a #VE record is of a vCPU that the VM does not have");
    begin();
    add_ve(0, 0);
    add_ve(0, PAGE_SIZE);
    expect("there is more than one #VE record 0");
    begin();
    add_view(1, 0, BIT32(VCPUS));
    expect("view 1 is open to a vCPU that the VM does not have");
    begin();
    add_view(1, 0, UINT32_MAX);
    expect("view 1 is open to a vCPU that the VM does not have");
}

/* The default view is none of these, and a guest gets no number but the next one. */
static void other_numbers_are_refused(void **state)
{
    static const uint32_t bad[] = {0, 2, 511, 512, UINT32_MAX};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        begin();
        add_view(bad[i], 0, 1);
        expect("there is no view record 1");
    }
    begin();
    add_view(1, 0, 1);
    add_view(3, 2, 1);
    expect("there is no view record 2");
    begin();
    add_view(1, 0, 1);
    add_view(1, 2, 1);
    expect("there is more than one view record 1");
}

static void views_of_other_ports_are_refused(void **state)
{
    (void)state;
    begin();
    add_view(1, PORTS, 1);
    expect("view 1 is of NIC 3, which the VM does not have");
    begin();
    add_view(1, UINT32_MAX, 1);
    expect("which the VM does not have");
    begin();
    add_view(1, PLAIN, 1);
    expect("view 1 is of NIC 1, which can have none");
    begin();
    add_view(1, 2, 1);
    add_view(2, 2, 1);
    expect("view 2 is of NIC 2, which has another one");
    begin();
    for (uint32_t view = 1; view <= PORTS + 1; view++) {
        add_view(view, 0, 1);
    }
    expect("the snapshot has 4 views, and the VM 3 of Postern's NICs");
}

static void other_records_are_refused(void **state)
{
    (void)state;
    begin();
    add_other(SNAPSHOT_VE, 2, 0, sizeof(struct ve_image));
    expect("#VE record 0 is of version 2");
    begin();
    add_other(SNAPSHOT_VE, VE_IMAGE_VERSION, 0, 0);
    expect("#VE record 0 has 0 bytes");
    begin();
    add_other(SNAPSHOT_VIEW, 2, 1, sizeof(struct view_image));
    expect("view record 1 is of version 2");
    begin();
    add_other(SNAPSHOT_VIEW, VIEW_IMAGE_VERSION, 1, sizeof(struct view_image) + 8);
    expect("view record 1 has 16 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_guest_has_fits),
        cmocka_unit_test(areas_elsewhere_are_refused),
        cmocka_unit_test(other_vcpus_are_refused),
        cmocka_unit_test(other_numbers_are_refused),
        cmocka_unit_test(views_of_other_ports_are_refused),
        cmocka_unit_test(other_records_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
