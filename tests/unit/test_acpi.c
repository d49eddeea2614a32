/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest's ACPI tables, read byte by byte as the specification lays them out, and by the reader
 * that the hypervisor has for the firmware's. */
#define _GNU_SOURCE /* MAP_32BIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "arch/x86/acpi_tables.h"
#include "machine/acpi.h"
#include "machine/guest_map.h"

#define DSDT_SIZE 61u

/* In place of the compiled one: bytes that are easy to tell. */
__asm__(".section .rodata\n"
        ".globl acpi_dsdt, acpi_dsdt_end\n"
        "acpi_dsdt: .ascii \"DSDT\"\n"
        ".fill 57, 1, 0xd5\n"
        "acpi_dsdt_end:\n"
        ".text\n");

static uint64_t get(const uint8_t *at, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value |= (uint64_t)at[i] << 8 * i;
    }
    return value;
}

static void expect_sum(const uint8_t *bytes, size_t size)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    assert_int_equal(sum, 0);
}

struct tables {
    uint8_t *memory;
    size_t size;
    const uint8_t *fadt, *madt, *dsdt;
};

/* The table that the guest sees at `gpa`. */
static const uint8_t *table_at(const struct tables *t, uint64_t gpa, const char *signature)
{
    uint64_t offset = gpa - GUEST_ACPI_BASE;

    assert_true(offset <= t->size - 36);
    const uint8_t *table = t->memory + offset;
    assert_memory_equal(table, signature, 4);
    uint64_t length = get(table + 4, 4);
    assert_true(length >= 36 && length <= t->size - offset);
    expect_sum(table, length);
    return table;
}

/* Builds them into a block and follows the pointers. */
static struct tables build(size_t size, uint32_t vcpus)
{
    struct tables t = {.memory = malloc(size), .size = size};

    assert_non_null(t.memory);
    memset(t.memory, 0xa5, size);
    assert_int_equal(acpi_build(t.memory, size, GUEST_ACPI_BASE, vcpus), STATUS_OK);
    assert_memory_equal(t.memory, "RSD PTR ", 8);
    expect_sum(t.memory, 20);
    assert_int_equal(t.memory[15], 2);
    assert_int_equal(get(t.memory + 20, 4), 36);
    expect_sum(t.memory, 36);
    const uint8_t *xsdt = table_at(&t, get(t.memory + 24, 8), "XSDT");
    assert_int_equal(get(xsdt + 4, 4), 36 + 2 * 8);
    t.fadt = table_at(&t, get(xsdt + 36, 8), "FACP");
    t.madt = table_at(&t, get(xsdt + 44, 8), "APIC");
    uint64_t dsdt = get(t.fadt + 140, 8);
    assert_int_equal(get(t.fadt + 40, 4), dsdt); /* or 0: both must agree */
    t.dsdt = t.memory + (dsdt - GUEST_ACPI_BASE);
    assert_true(dsdt - GUEST_ACPI_BASE <= size - DSDT_SIZE);
    return t;
}

static void test_fadt(void **state)
{
    struct tables t = build(GUEST_ACPI_SIZE, 1);

    (void)state;
    assert_int_equal(get(t.fadt + 4, 4), 276); /* revision 6 */
    assert_int_equal(t.fadt[8], 6);
    uint64_t flags = get(t.fadt + 112, 4);
    assert_true((flags >> 20 & 1) != 0);              /* hardware-reduced */
    assert_true((flags >> 10 & 1) != 0);              /* with a reset register */
    assert_true((flags & 1) != 0);                    /* WBINVD works */
    assert_int_equal(get(t.fadt + 109, 2) & 4, 4);    /* no VGA to probe */
    assert_int_equal(get(t.fadt + 109, 2) & 0x20, 0); /* a clock at the usual ports */
    /* Ports, in byte accesses: reset, sleep control, sleep status. */
    static const struct {
        unsigned at;
        uint64_t port;
    } registers[] = {
        {116, GUEST_PORT_RESET}, {244, GUEST_PORT_SLEEP_CONTROL}, {256, GUEST_PORT_SLEEP_STATUS}};
    for (unsigned i = 0; i < ARRAY_SIZE(registers); i++) {
        const uint8_t *gas = t.fadt + registers[i].at;
        assert_int_equal(gas[0], 1); /* system I/O */
        assert_int_equal(gas[1], 8);
        assert_int_equal(gas[2], 0);
        assert_int_equal(get(gas + 4, 8), registers[i].port);
    }
    assert_int_equal(t.fadt[128], GUEST_RESET_VALUE);
    /* What hardware-reduced platforms lack is zero: SCI, PM blocks, timer. */
    for (unsigned at = 46; at < 109; at++) {
        assert_int_equal(t.fadt[at], 0);
    }
    for (unsigned at = 148; at < 244; at++) {
        assert_int_equal(t.fadt[at], 0);
    }
    assert_memory_equal(t.dsdt, "DSDT\xd5", 5);
    assert_int_equal(t.dsdt[DSDT_SIZE - 1], 0xd5);
    free(t.memory);
}

static void test_madt(void **state)
{
    (void)state;
    for (uint32_t vcpus = 1; vcpus <= 64; vcpus++) {
        struct tables t = build(GUEST_ACPI_SIZE, vcpus);
        uint64_t size = get(t.madt + 4, 4);
        uint32_t cpus = 0, ioapics = 0;
        assert_int_equal(get(t.madt + 40, 4) & 1, 0); /* no PICs */
        for (uint64_t at = 44; at < size; at += t.madt[at + 1]) {
            const uint8_t *entry = t.madt + at;
            assert_true(at + 2 <= size && entry[1] >= 2 && at + entry[1] <= size);
            if (entry[0] == 1) {
                assert_int_equal(entry[1], 12);
                assert_int_equal(get(entry + 4, 4), GUEST_IOAPIC_BASE);
                assert_int_equal(get(entry + 8, 4), 0);
                ioapics++;
            } else {
                assert_int_equal(entry[0], 9);
                assert_int_equal(entry[1], 16);
                assert_int_equal(get(entry + 4, 4), cpus);
                assert_int_equal(get(entry + 8, 4), 1);
                cpus++;
            }
        }
        assert_int_equal(cpus, vcpus);
        assert_int_equal(ioapics, 1);
        free(t.memory);
    }
}

/* Every size, in a block of just that size. */
static void test_room(void **state)
{
    size_t needed = 0;

    (void)state;
    for (size_t size = 0; needed == 0 && size < 4096; size++) {
        uint8_t *memory = malloc(size + (size == 0));
        assert_non_null(memory);
        status_t status = acpi_build(memory, size, GUEST_ACPI_BASE, 8);
        assert_true(status == STATUS_OK || status == STATUS_NO_MEMORY);
        needed = status == STATUS_OK ? size : 0;
        free(memory);
    }
    assert_in_range(needed, 36 + 52 + 276 + 44 + 12 + 8 * 16 + DSDT_SIZE, 1000);
    struct tables t = build(needed, 8);
    assert_int_equal(t.memory[needed - 1], 0xd5);
    free(t.memory);
    t = build(needed + 100, 8);
    for (size_t at = needed; at < needed + 100; at++) {
        assert_int_equal(t.memory[at], 0xa5); /* nothing behind them is touched */
    }
    free(t.memory);
}

/* The hypervisor's reader finds in them what was put in. */
static void test_reads_back(void **state)
{
    uint8_t *memory = mmap(NULL, GUEST_ACPI_SIZE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    struct boot_info info;

    (void)state;
    assert_true(memory != MAP_FAILED);
    for (uint32_t vcpus = 1; vcpus <= 8; vcpus++) {
        memset(&info, 0, sizeof(info));
        assert_int_equal(acpi_build(memory, GUEST_ACPI_SIZE, (uint32_t)(uint64_t)memory, vcpus),
                         STATUS_OK);
        assert_int_equal(acpi_read_madt((uint64_t)memory, &info), STATUS_OK);
        assert_int_equal(info.cpu_count, vcpus);
        assert_int_equal(info.cpus[vcpus - 1], vcpus - 1);
        assert_int_equal(info.ioapic_base, GUEST_IOAPIC_BASE);
    }
    munmap(memory, GUEST_ACPI_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fadt),
        cmocka_unit_test(test_madt),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
