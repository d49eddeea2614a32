/* SPDX-License-Identifier: BSD-2-Clause */
/* The multiboot loader over kernels that the test makes: whole ones of both forms, and such with
 * every field wrong. The guest's memory and the file are heap blocks of their exact sizes, so that
 * the address sanitizer sees each byte beyond. */
#include "machine/multiboot.h"
#include "tests/unit/kernel_fixture.h"
#include "tests/unit/random.h"

#define FILE_SIZE 9000u
#define HEADER    0x80u  /* of multiboot, in the file */
#define SEGMENTS  0x34u  /* ELF's program headers */
#define CODE      0x100u /* in the file */
#define CODE_SIZE 6000u
#define DATA      (CODE + CODE_SIZE)
#define DATA_SIZE 1000u
#define ADDRESS   (4 * MIB_SIZE)
#define DATA_AT   (5 * MIB_SIZE)
#define BSS_SIZE  3000u
#define ENTRY     (ADDRESS + 0x10)

static void put_header(uint8_t *at, uint32_t flags)
{
    put(at, 0x1badb002, 4);
    put(at + 4, flags, 4);
    put(at + 8, 0u - 0x1badb002u - flags, 4);
}

static void put_segment(uint8_t *at, uint32_t offset, uint64_t address, uint32_t file_size,
                        uint32_t memory_size)
{
    put(at, 1, 4); /* PT_LOAD */
    put(at + 4, offset, 4);
    put(at + 8, 0xc0000000, 4); /* the linear address does not matter */
    put(at + 12, address, 4);
    put(at + 16, file_size, 4);
    put(at + 20, memory_size, 4);
}

static void make_kernel(uint8_t *k)
{
    for (unsigned i = 0; i < FILE_SIZE; i++) {
        k[i] = (uint8_t)(i * 7 + 1);
    }
    memset(k, 0, CODE);
    memcpy(k, "\177ELF\1\1\1", 7);
    put(k + 16, 2, 2); /* an executable */
    put(k + 18, 3, 2); /* for the 386 */
    put(k + 24, ENTRY, 4);
    put(k + 28, SEGMENTS, 4);
    put(k + 42, 32, 2);
    put(k + 44, 2, 2);
    put_segment(k + SEGMENTS, CODE, ADDRESS, CODE_SIZE, CODE_SIZE);
    put_segment(k + SEGMENTS + 32, DATA, DATA_AT, DATA_SIZE, DATA_SIZE + BSS_SIZE);
    put_header(k + HEADER, 3);
}

/* No ELF: the header says it all. Header and code are loaded together. */
static void make_plain_kernel(uint8_t *k)
{
    make_kernel(k);
    memset(k, 0, 4);
    put_header(k + HEADER, 3 | 1u << 16);
    put(k + HEADER + 12, ADDRESS + 0x20, 4);             /* where the header goes */
    put(k + HEADER + 16, ADDRESS, 4);                    /* where loading begins */
    put(k + HEADER + 20, ADDRESS + CODE_SIZE, 4);        /* the end of the data */
    put(k + HEADER + 24, ADDRESS + CODE_SIZE + 2000, 4); /* the end of the bss */
    put(k + HEADER + 28, ENTRY, 4);
}

static void start(struct fixture *f, uint64_t ram_size)
{
    start_with(f, ram_size, FILE_SIZE, make_kernel);
}

static status_t load(struct fixture *f)
{
    f->error[0] = '\0';
    return guest_kernel_load(&f->request, &f->entry, f->error, sizeof(f->error));
}

static void expect_failure(struct fixture *f, status_t status, const char *words)
{
    f->error[0] = '\0';
    assert_int_equal(multiboot_check(&f->request, f->error, sizeof(f->error)), status);
    f->error[0] = '\0';
    assert_int_equal(multiboot_load(&f->request, &f->entry, f->error, sizeof(f->error)), status);
    assert_non_null(strstr(f->error, words));
    /* A refused kernel leaves the guest's memory alone. */
    assert_int_equal(f->ram[0x10000], UNTOUCHED);
    assert_int_equal(f->ram[ADDRESS], UNTOUCHED);
}

static uint64_t info(const struct fixture *f, unsigned offset)
{
    return get(f->ram + f->entry.rbx + offset, 4);
}

static void assert_filled(const uint8_t *at, uint8_t byte, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(at[i], byte);
    }
}

static void test_loads_elf(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, RAM_SIZE);
    assert_int_equal(load(&f), STATUS_OK);
    assert_int_equal(f.entry.kind, GUEST_KERNEL_MULTIBOOT);
    assert_false(f.entry.long_mode);
    assert_int_equal(f.entry.rip, ENTRY);
    assert_int_equal(f.entry.rax, 0x2badb002);
    assert_memory_equal(f.ram + ADDRESS, f.kernel + CODE, CODE_SIZE);
    assert_memory_equal(f.ram + DATA_AT, f.kernel + DATA, DATA_SIZE);
    assert_filled(f.ram + DATA_AT + DATA_SIZE, 0, BSS_SIZE);
    assert_int_equal(f.ram[ADDRESS - 1], UNTOUCHED);
    assert_int_equal(f.ram[ADDRESS + CODE_SIZE], UNTOUCHED);
    assert_int_equal(f.ram[DATA_AT + DATA_SIZE + BSS_SIZE], UNTOUCHED);
    /* The descriptors behind the selectors are flat and of 32 bits. */
    uint64_t code = get(f.ram + f.entry.gdt_base + f.entry.code_selector, 8);
    uint64_t data = get(f.ram + f.entry.gdt_base + f.entry.data_selector, 8);
    assert_int_equal(code, 0x00cf9b000000ffff);
    assert_int_equal(data, 0x00cf93000000ffff);
    stop(&f);
}

static void test_information(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, RAM_SIZE);
    assert_int_equal(load(&f), STATUS_OK);
    assert_int_equal(info(&f, 0) & 0x4d, 0x4d); /* memory, command line, modules, memory map */
    assert_int_equal(info(&f, 4), 639);
    assert_int_equal(info(&f, 8), 63 << 10);
    assert_string_equal((char *)f.ram + info(&f, 16), f.request.cmdline);
    assert_int_equal(info(&f, 20), 1);
    uint64_t module = get(f.ram + info(&f, 24), 4);
    assert_int_equal(module % 4096, 0);
    assert_true(module >= DATA_AT + DATA_SIZE + BSS_SIZE);
    assert_int_equal(get(f.ram + info(&f, 24) + 4, 4), module + 5000);
    assert_memory_equal(f.ram + module, f.initrd, 5000);
    assert_string_equal((char *)f.ram + get(f.ram + info(&f, 24) + 8, 4), "");
    /* The map: RAM up to its end, ACPI's tables not in it. */
    uint64_t at = info(&f, 48), end = at + info(&f, 44), last = 0;
    while (at < end) {
        uint64_t base = get(f.ram + at + 4, 8), size = get(f.ram + at + 12, 8);
        assert_int_equal(get(f.ram + at, 4), 20);
        assert_true(base >= last && size > 0);
        last = base + size;
        assert_true(get(f.ram + at + 20, 4) != 1 || last <= 0xe0000 || base >= MIB_SIZE);
        at += get(f.ram + at, 4) + 4;
    }
    assert_int_equal(at, end);
    assert_int_equal(last, RAM_SIZE);
    assert_string_equal((char *)f.ram + info(&f, 64), "Postern");
    stop(&f);
}

static void test_without_initrd(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, RAM_SIZE);
    f.request.initrd = NULL;
    assert_int_equal(load(&f), STATUS_OK);
    assert_int_equal(info(&f, 0) & 8, 0);
    assert_int_equal(info(&f, 20), 0);
    assert_filled(f.ram + DATA_AT + DATA_SIZE + BSS_SIZE, UNTOUCHED, 8192);
    stop(&f);
}

static void test_loads_plain_file(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, RAM_SIZE);
    make_plain_kernel(f.kernel);
    assert_int_equal(load(&f), STATUS_OK);
    assert_int_equal(f.entry.rip, ENTRY);
    assert_memory_equal(f.ram + ADDRESS, f.kernel + HEADER - 0x20, CODE_SIZE);
    assert_filled(f.ram + ADDRESS + CODE_SIZE, 0, 2000);
    assert_int_equal(f.ram[ADDRESS + CODE_SIZE + 2000], UNTOUCHED);
    put(f.kernel + HEADER + 20, 0, 4); /* all of the file */
    put(f.kernel + HEADER + 24, 0, 4); /* and no bss */
    assert_int_equal(load(&f), STATUS_OK);
    assert_memory_equal(f.ram + ADDRESS, f.kernel + HEADER - 0x20, FILE_SIZE - (HEADER - 0x20));
    stop(&f);
}

/* Which loader a file gets. */
static void test_recognises(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, RAM_SIZE);
    assert_true(multiboot_recognise(f.kernel, FILE_SIZE));
    assert_true(multiboot_recognise(f.kernel, HEADER + 12));
    assert_false(multiboot_recognise(f.kernel, HEADER + 11));
    assert_false(multiboot_recognise(f.kernel, 0));
    put(f.kernel + HEADER + 8, 0, 4); /* the checksum */
    assert_false(multiboot_recognise(f.kernel, FILE_SIZE));
    assert_int_equal(load(&f), STATUS_INVALID);
    assert_non_null(strstr(f.error, "not a bzImage"));
    expect_failure(&f, STATUS_INVALID, "no multiboot header");
    /* The last place where the header may be, and the next. */
    make_kernel(f.kernel);
    put(f.kernel + HEADER, 0, 4);
    put_header(f.kernel + 8192 - 12, 3);
    assert_true(multiboot_recognise(f.kernel, FILE_SIZE));
    put(f.kernel + 8192 - 12, 0, 4);
    put_header(f.kernel + 8192 - 8, 3);
    assert_false(multiboot_recognise(f.kernel, FILE_SIZE));
    put_header(f.kernel + 0x202, 3); /* not on a multiple of 4 */
    assert_false(multiboot_recognise(f.kernel, FILE_SIZE));
    stop(&f);
}

struct hostile {
    unsigned offset, size;
    uint64_t value;
    status_t status;
    const char *words;
};

static void test_hostile_elf(void **state)
{
    static const struct hostile cases[] = {
        {4, 1, 2, STATUS_INVALID, "ELF32"},
        {5, 1, 2, STATUS_INVALID, "ELF32"},
        {16, 2, 3, STATUS_INVALID, "ELF32"},
        {18, 2, 62, STATUS_INVALID, "ELF32"},
        {0, 4, 0x12345678, STATUS_INVALID, "no ELF32"},
        {42, 2, 31, STATUS_INVALID, "program headers"},
        {42, 2, 56, STATUS_INVALID, "program headers"},
        {44, 2, 65, STATUS_INVALID, "program headers"},
        {44, 2, 0xffff, STATUS_INVALID, "program headers"},
        {28, 4, FILE_SIZE - 63, STATUS_INVALID, "program headers"},
        {28, 4, 0xffffffff, STATUS_INVALID, "program headers"},
        {44, 2, 0, STATUS_INVALID, "entry point"},
        {24, 4, 0, STATUS_INVALID, "entry point"},
        {24, 4, ADDRESS + CODE_SIZE, STATUS_INVALID, "entry point"},
        {24, 4, DATA_AT + DATA_SIZE, STATUS_INVALID, "entry point"}, /* the bss */
        {SEGMENTS, 4, 4, STATUS_INVALID, "entry point"},             /* no PT_LOAD */
        {SEGMENTS + 4, 4, FILE_SIZE - CODE_SIZE + 1, STATUS_INVALID, "file's end"},
        {SEGMENTS + 4, 4, 0xffffffff, STATUS_INVALID, "file's end"},
        {SEGMENTS + 16, 4, 0xffffffff, STATUS_INVALID, "file's end"},
        {SEGMENTS + 20, 4, CODE_SIZE - 1, STATUS_INVALID, "file's end"},
        {SEGMENTS + 12, 4, 0, STATUS_INVALID, "below 1 MiB"},
        {SEGMENTS + 12, 4, 0xfffff, STATUS_INVALID, "below 1 MiB"},
        {SEGMENTS + 12, 4, 0xfffff000, STATUS_NO_MEMORY, "needs memory from 0xfffff000"},
        {SEGMENTS + 12, 4, RAM_SIZE - CODE_SIZE + 1, STATUS_NO_MEMORY, "needs memory"},
        {SEGMENTS + 20, 4, 0xffffffff, STATUS_NO_MEMORY, "needs memory"},
        {SEGMENTS + 52, 4, RAM_SIZE, STATUS_NO_MEMORY, "needs memory"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture f;
        start(&f, RAM_SIZE);
        put(f.kernel + cases[i].offset, cases[i].value, cases[i].size);
        expect_failure(&f, cases[i].status, cases[i].words);
        stop(&f);
    }
}

static void test_hostile_addresses(void **state)
{
    static const struct hostile cases[] = {
        {12, 4, ADDRESS - 1, STATUS_INVALID, "addresses"}, /* the header before the load address */
        {12, 4, ADDRESS + HEADER + 1, STATUS_INVALID, "addresses"}, /* before the file's start */
        {12, 4, 0xffffffff, STATUS_INVALID, "addresses"},
        {16, 4, 0, STATUS_INVALID, "addresses"},
        {20, 4, ADDRESS - 1, STATUS_INVALID, "addresses"},
        {20, 4, ADDRESS + FILE_SIZE, STATUS_INVALID, "file's end"},
        {20, 4, 0xffffffff, STATUS_INVALID, "file's end"},
        {24, 4, ADDRESS - 1, STATUS_INVALID, "addresses"},
        {24, 4, ADDRESS + 1, STATUS_INVALID, "file's end"},
        {24, 4, 0xffffffff, STATUS_NO_MEMORY, "needs memory"},
        {28, 4, ADDRESS - 1, STATUS_INVALID, "entry point"},
        {28, 4, ADDRESS + CODE_SIZE, STATUS_INVALID, "entry point"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture f;
        start(&f, RAM_SIZE);
        make_plain_kernel(f.kernel);
        put(f.kernel + HEADER + cases[i].offset, cases[i].value, cases[i].size);
        expect_failure(&f, cases[i].status, cases[i].words);
        stop(&f);
    }
}

static void test_hostile_header(void **state)
{
    struct fixture f;
    char *line = malloc(4097);

    (void)state;
    assert_non_null(line);
    start(&f, RAM_SIZE);
    put_header(f.kernel + HEADER, 1u << 2); /* a video mode */
    expect_failure(&f, STATUS_INVALID, "unknown");
    put_header(f.kernel + HEADER, 1u << 15);
    expect_failure(&f, STATUS_INVALID, "unknown");
    put_header(f.kernel + HEADER, 1u << 31); /* what may be ignored */
    assert_int_equal(load(&f), STATUS_OK);
    stop(&f);
    start(&f, RAM_SIZE);
    memset(line, 'x', 4096);
    line[4096] = '\0';
    f.request.cmdline = line;
    expect_failure(&f, STATUS_INVALID, "command line");
    line[4095] = '\0';
    assert_int_equal(load(&f), STATUS_OK);
    assert_string_equal((char *)f.ram + info(&f, 16), line);
    stop(&f);
    start(&f, RAM_SIZE);
    f.request.ram_size = 2 * MIB_SIZE - 1;
    expect_failure(&f, STATUS_NO_MEMORY, "2 MiB");
    stop(&f);
    free(line);
}

static void test_initrd_bounds(void **state)
{
    uint64_t end = (DATA_AT + DATA_SIZE + BSS_SIZE + 4095) & ~4095ull;
    struct fixture f;

    (void)state;
    start(&f, end + 5000);
    assert_int_equal(load(&f), STATUS_OK); /* exactly enough */
    stop(&f);
    start(&f, end + 5000);
    f.request.initrd_size = 5001;
    expect_failure(&f, STATUS_NO_MEMORY, "initrd of 4 KiB");
    f.request.initrd_size = UINT64_MAX;
    expect_failure(&f, STATUS_NO_MEMORY, "initrd");
    stop(&f);
}

static void test_short_files(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, RAM_SIZE);
    for (unsigned plain = 0; plain < 2; plain++) {
        uint64_t needed = plain == 0 ? DATA + DATA_SIZE : HEADER - 0x20 + CODE_SIZE;
        if (plain == 1) {
            make_plain_kernel(f.kernel);
        }
        for (uint64_t size = 0; size <= FILE_SIZE; size += size < 0x2a0 ? 1 : 97) {
            uint8_t *cut = malloc(size + (size == 0));
            assert_non_null(cut);
            memcpy(cut, f.kernel, size);
            f.request.kernel = cut;
            f.request.kernel_size = size;
            status_t expected = size < needed ? STATUS_INVALID : STATUS_OK;
            assert_int_equal(multiboot_load(&f.request, &f.entry, f.error, sizeof(f.error)),
                             expected);
            free(cut);
        }
    }
    stop(&f);
}

/* Random headers: whatever is accepted stays inside the guest's memory. */
static void test_mutations(void **state)
{
    struct random random = {7};
    struct fixture f;
    unsigned accepted = 0;

    (void)state;
    start(&f, RAM_SIZE);
    for (unsigned i = 0; i < 5000; i++) {
        (random_below(&random, 2) == 0 ? make_kernel : make_plain_kernel)(f.kernel);
        for (unsigned n = 1 + random_below(&random, 3); n > 0; n--) {
            f.kernel[random_below(&random, CODE)] = (uint8_t)random_next(&random);
        }
        f.request.initrd_size = random_below(&random, 5000);
        f.request.ram_size =
            2 * MIB_SIZE + random_below(&random, (uint32_t)(RAM_SIZE - 2 * MIB_SIZE + 1));
        if (multiboot_load(&f.request, &f.entry, f.error, sizeof(f.error)) == STATUS_OK) {
            accepted++;
            assert_in_range(f.entry.rip, MIB_SIZE, f.request.ram_size - 1);
            uint64_t module = get(f.ram + info(&f, 24), 4);
            assert_true(module + f.request.initrd_size <= f.request.ram_size);
            assert_memory_equal(f.ram + module, f.initrd, f.request.initrd_size);
        }
    }
    assert_in_range(accepted, 500, 4500); /* both kinds were tried */
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loads_elf),         cmocka_unit_test(test_information),
        cmocka_unit_test(test_without_initrd),    cmocka_unit_test(test_loads_plain_file),
        cmocka_unit_test(test_recognises),        cmocka_unit_test(test_hostile_elf),
        cmocka_unit_test(test_hostile_addresses), cmocka_unit_test(test_hostile_header),
        cmocka_unit_test(test_initrd_bounds),     cmocka_unit_test(test_short_files),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
