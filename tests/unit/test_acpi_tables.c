/* SPDX-License-Identifier: BSD-2-Clause */
/* The firmware's ACPI tables, made by the test in memory below 4 GiB (the RSDT's pointers have 32
 * bits). The MADT ends where an unmapped page begins: a read beyond it is a fault. */
#define _GNU_SOURCE /* MAP_32BIT, timegm() */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#include "arch/x86/acpi_tables.h"
#include "tests/unit/random.h"

#define ARENA_SIZE 0x10000u
#define RSDP_AT    0x000u
#define ROOT_AT    0x100u
#define OTHER_AT   0x800u
#define HEADER     36u

struct fixture {
    uint8_t *arena;
    uint8_t *madt;
    uint32_t madt_size;
    struct boot_info info;
};

static void put(uint8_t *at, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> 8 * i);
    }
}

static void set_sum(uint8_t *table, size_t size, unsigned at)
{
    uint8_t sum = 0;

    table[at] = 0;
    for (size_t i = 0; i < size; i++) {
        sum = (uint8_t)(sum + table[i]);
    }
    table[at] = (uint8_t)(0 - sum);
}

static void make_table(uint8_t *at, const char *signature, uint32_t size)
{
    memcpy(at, signature, 4);
    put(at + 4, size, 4);
    set_sum(at, size, 9);
}

static void make_rsdp(struct fixture *f, bool extended)
{
    uint8_t *rsdp = f->arena + RSDP_AT;
    uint64_t root = (uint64_t)(f->arena + ROOT_AT);

    memset(rsdp, 0, 36);
    memcpy(rsdp, "RSD PTR ", 8);
    rsdp[15] = extended ? 2 : 0;
    if (extended) {
        put(rsdp + 20, 36, 4);
        put(rsdp + 24, root, 8);
    } else {
        put(rsdp + 16, root, 4);
    }
    set_sum(rsdp, 20, 8);
    set_sum(rsdp, 36, 32);
}

/* A root table that points to some other table first, then to the MADT. */
static void make_root(struct fixture *f, bool extended)
{
    uint8_t *root = f->arena + ROOT_AT;
    unsigned step = extended ? 8 : 4;

    memset(root, 0, 0x100);
    put(root + HEADER, (uint64_t)(f->arena + OTHER_AT), step);
    put(root + HEADER + step, (uint64_t)f->madt, step);
    make_table(root, extended ? "XSDT" : "RSDT", HEADER + 2 * step);
    make_table(f->arena + OTHER_AT, "FACP", 244);
}

static void place_madt(struct fixture *f, uint32_t size)
{
    f->madt_size = size;
    f->madt = f->arena + ARENA_SIZE - size;
    memset(f->madt, 0, size);
}

static void finish(struct fixture *f, bool extended)
{
    make_table(f->madt, "APIC", f->madt_size);
    make_root(f, extended);
    make_rsdp(f, extended);
}

static void start(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->arena = mmap(NULL, ARENA_SIZE + 0x1000, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    assert_true(f->arena != MAP_FAILED && (uint64_t)f->arena + ARENA_SIZE <= UINT32_MAX);
    assert_int_equal(mprotect(f->arena + ARENA_SIZE, 0x1000, PROT_NONE), 0);
}

static void stop(struct fixture *f)
{
    munmap(f->arena, ARENA_SIZE + 0x1000);
}

static status_t read_madt(struct fixture *f)
{
    memset(&f->info, 0, sizeof(f->info));
    f->info.ioapic_base = 0xfec00000;
    f->info.uart_gsi = 4;
    return acpi_read_madt((uint64_t)(f->arena + RSDP_AT), &f->info);
}

static uint8_t *add_local_apic(uint8_t *at, uint8_t id, uint32_t flags)
{
    at[0] = 0;
    at[1] = 8;
    at[3] = id;
    put(at + 4, flags, 4);
    return at + 8;
}

static uint8_t *add_local_x2apic(uint8_t *at, uint32_t id, uint32_t flags)
{
    at[0] = 9;
    at[1] = 16;
    put(at + 4, id, 4);
    put(at + 8, flags, 4);
    return at + 16;
}

static uint8_t *add_ioapic(uint8_t *at, uint32_t base, uint32_t gsi)
{
    at[0] = 1;
    at[1] = 12;
    put(at + 4, base, 4);
    put(at + 8, gsi, 4);
    return at + 12;
}

static uint8_t *add_override(uint8_t *at, uint8_t irq, uint32_t gsi)
{
    at[0] = 2;
    at[1] = 10;
    at[3] = irq;
    put(at + 4, gsi, 4);
    return at + 10;
}

/* CPUs 0, 2 (off) and 4 by local APICs, 0x100 by an x2APIC; two I/O APICs; two overrides. */
static void make_machine(struct fixture *f)
{
    place_madt(f, 44 + 3 * 8 + 16 + 2 * 12 + 2 * 10 + 6);
    uint8_t *at = f->madt + 44;
    at = add_local_apic(at, 0, 1);
    at = add_local_apic(at, 2, 0);
    at[0] = 4; /* a local APIC's NMI: of no interest */
    at[1] = 6;
    at += 6;
    at = add_local_apic(at, 4, 1);
    at = add_ioapic(at, 0xfec40000, 24);
    at = add_ioapic(at, 0xfec10000, 0);
    at = add_override(at, 0, 2);
    at = add_override(at, 4, 20);
    at = add_local_x2apic(at, 0x100, 1);
    assert_ptr_equal(at, f->arena + ARENA_SIZE);
}

static void expect_machine(struct fixture *f)
{
    assert_int_equal(read_madt(f), STATUS_OK);
    assert_int_equal(f->info.cpu_count, 3);
    assert_int_equal(f->info.cpus[0], 0);
    assert_int_equal(f->info.cpus[1], 4);
    assert_int_equal(f->info.cpus[2], 0x100);
    assert_int_equal(f->info.ioapic_base, 0xfec10000); /* the one that GSI 0 is at */
    assert_int_equal(f->info.uart_gsi, 20);
}

static void test_by_xsdt_and_rsdt(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    for (unsigned extended = 0; extended < 2; extended++) {
        make_machine(&f);
        finish(&f, extended);
        expect_machine(&f);
    }
    stop(&f);
}

static void test_damaged_pointers(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    for (unsigned extended = 0; extended < 2; extended++) {
        /* A byte wrong anywhere in what the checksums cover. */
        for (unsigned at = 0; at < 20; at++) {
            make_machine(&f);
            finish(&f, extended);
            f.arena[RSDP_AT + at] ^= 0x10;
            assert_int_equal(read_madt(&f), STATUS_NOT_FOUND);
        }
        unsigned root_size = HEADER + (extended ? 16 : 8);
        for (unsigned at = 0; at < root_size; at++) {
            make_machine(&f);
            finish(&f, extended);
            f.arena[ROOT_AT + at] ^= 0x10;
            assert_int_equal(read_madt(&f), STATUS_NOT_FOUND);
        }
        for (unsigned at = 0; at < f.madt_size; at++) {
            make_machine(&f);
            finish(&f, extended);
            if (at == 4 || at == 5) {
                continue; /* a length of less than a mebibyte is believed */
            }
            f.madt[at] ^= 0x10;
            assert_int_equal(read_madt(&f), STATUS_NOT_FOUND);
            assert_int_equal(f.info.cpu_count, 0);
        }
    }
    stop(&f);
}

static void test_lengths(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    /* Shorter than the fixed part: each length, its checksum right. */
    for (uint32_t size = 0; size < 44; size++) {
        make_machine(&f);
        finish(&f, true);
        put(f.madt + 4, size, 4);
        set_sum(f.madt, size < 10 ? 10 : size, 9);
        assert_int_equal(read_madt(&f), STATUS_NOT_FOUND);
    }
    /* Cut anywhere: whole entries count, those cut do not. */
    for (uint32_t size = 44; size <= 134; size++) {
        make_machine(&f);
        assert_int_equal(f.madt_size, 134);
        memmove(f.arena + ARENA_SIZE - size, f.madt, size);
        f.madt = f.arena + ARENA_SIZE - size;
        f.madt_size = size;
        finish(&f, true);
        assert_int_equal(read_madt(&f), size >= 52 ? STATUS_OK : STATUS_NOT_FOUND);
        assert_int_equal(f.info.cpu_count, size == 134 ? 3 : size >= 74 ? 2 : size >= 52 ? 1 : 0);
    }
    /* Root tables with no entries, and with part of one. */
    for (uint32_t extra = 0; extra < 16; extra++) {
        make_machine(&f);
        finish(&f, true);
        put(f.arena + ROOT_AT + 4, HEADER + extra, 4);
        set_sum(f.arena + ROOT_AT, HEADER + extra, 9);
        assert_int_equal(read_madt(&f), STATUS_NOT_FOUND);
    }
    stop(&f);
}

static void test_hostile_entries(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    /* Lengths of 0 and 1 would go on for ever; one beyond the end would read there. */
    for (unsigned length = 0; length < 256; length++) {
        for (unsigned type = 0; type < 12; type++) {
            place_madt(&f, 44 + 8 + 24);
            uint8_t *at = add_local_apic(f.madt + 44, 7, 1);
            at[0] = (uint8_t)type;
            at[1] = (uint8_t)length;
            memset(at + 2, 0xff, 22);
            finish(&f, true);
            assert_int_equal(read_madt(&f), STATUS_OK);
            assert_int_equal(f.info.cpus[0], 7);
            assert_in_range(f.info.cpu_count, 1, 2);
            /* Too short for their kind: not read. */
            bool counts =
                length <= 24 && ((type == 0 && length >= 8) || (type == 9 && length >= 16));
            assert_int_equal(f.info.cpu_count, counts ? 2 : 1);
        }
    }
    stop(&f);
}

static void test_many_cpus(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    place_madt(&f, 44 + 200 * 8);
    uint8_t *at = f.madt + 44;
    for (unsigned i = 0; i < 200; i++) {
        at = add_local_apic(at, (uint8_t)i, 1);
    }
    finish(&f, true);
    assert_int_equal(read_madt(&f), STATUS_OK);
    assert_int_equal(f.info.cpu_count, BOOT_MAX_CPUS);
    assert_int_equal(f.info.cpus[BOOT_MAX_CPUS - 1], BOOT_MAX_CPUS - 1);
    assert_int_equal(f.info.low_page, 0); /* behind the array */
    /* None enabled. */
    for (unsigned i = 0; i < 200; i++) {
        put(f.madt + 44 + 8 * i + 4, 2, 4); /* online capable only */
    }
    finish(&f, true);
    assert_int_equal(read_madt(&f), STATUS_NOT_FOUND);
    stop(&f);
}

static void test_random_madt(void **state)
{
    struct random random = {0x4d414454};
    struct fixture f;

    (void)state;
    start(&f);
    for (unsigned i = 0; i < 30000; i++) {
        if (random_below(&random, 2) == 0) {
            make_machine(&f);
        } else {
            place_madt(&f, 44 + random_below(&random, 300));
        }
        for (unsigned n = random_below(&random, 2) == 0 ? 3 : f.madt_size; n > 0; n--) {
            uint32_t at = random_below(&random, f.madt_size);
            f.madt[at] = (uint8_t)(random_below(&random, 2) == 0 ? random_below(&random, 17)
                                                                 : random_next(&random));
        }
        finish(&f, i % 2 == 0);
        status_t status = read_madt(&f);
        assert_true(status == STATUS_OK || status == STATUS_NOT_FOUND);
        assert_int_equal(f.info.cpu_count == 0, status != STATUS_OK);
        assert_true(f.info.cpu_count <= BOOT_MAX_CPUS);
    }
    stop(&f);
}

static void test_days(void **state)
{
    (void)state;
    for (time_t day = 0; day < 300000; day++) { /* to 2791 */
        time_t seconds = day * 86400;
        struct tm tm;
        assert_non_null(gmtime_r(&seconds, &tm));
        assert_int_equal(days_since_1970((unsigned)tm.tm_year + 1900, (unsigned)tm.tm_mon + 1,
                                         (unsigned)tm.tm_mday),
                         day);
    }
    assert_int_equal(days_since_1970(1969, 12, 31), 0);
    assert_int_equal(days_since_1970(2024, 0, 1), 0);
    assert_int_equal(days_since_1970(2024, 13, 1), 0);
    assert_int_equal(days_since_1970(2024, UINT32_MAX, 1), 0);
    assert_int_equal(days_since_1970(2024, 1, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_xsdt_and_rsdt),
        cmocka_unit_test(test_damaged_pointers),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_hostile_entries),
        cmocka_unit_test(test_many_cpus),
        cmocka_unit_test(test_random_madt),
        cmocka_unit_test(test_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
