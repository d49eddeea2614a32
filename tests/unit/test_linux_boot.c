/* SPDX-License-Identifier: BSD-2-Clause */
/* The Linux loader over a bzImage that the test makes, whole and with every field of it wrong. The
 * guest's memory and the file are heap blocks of their exact sizes, so that the address sanitizer
 * sees each byte beyond. */
#include "machine/linux_boot.h"
#include "tests/unit/kernel_fixture.h"
#include "tests/unit/random.h"

#define SETUP_SECTS 7u
#define SETUP_SIZE  ((SETUP_SECTS + 1) * 512u)
#define CODE_SIZE   9000u
#define FILE_SIZE   (SETUP_SIZE + CODE_SIZE)
#define PREFERRED   (16 * MIB_SIZE)
#define INIT_SIZE   (20 * MIB_SIZE)

/* The header as in Documentation/arch/x86/boot.rst, protocol 2.15. */
static void make_kernel(uint8_t *k)
{
    memset(k, 0, FILE_SIZE);
    for (unsigned i = 0; i < CODE_SIZE; i++) {
        k[SETUP_SIZE + i] = (uint8_t)(i * 7 + 1);
    }
    put(k + 0x1f1, SETUP_SECTS, 1);
    put(k + 0x1fe, 0xaa55, 2);
    put(k + 0x200, 0x66eb, 2); /* jump: the header ends at 0x202 + 0x66 */
    memcpy(k + 0x202, "HdrS", 4);
    put(k + 0x206, 0x020f, 2);
    put(k + 0x211, 1, 1);            /* loadflags */
    put(k + 0x22c, 0x7fffffff, 4);   /* initrd_addr_max */
    put(k + 0x230, 2 * MIB_SIZE, 4); /* kernel_alignment */
    put(k + 0x234, 1, 1);            /* relocatable_kernel */
    put(k + 0x236, 0x3f, 2);         /* xloadflags */
    put(k + 0x238, 2047, 4);         /* cmdline_size */
    put(k + 0x258, PREFERRED, 8);
    put(k + 0x260, INIT_SIZE, 4);
}

static void start(struct fixture *f, uint64_t ram_size)
{
    start_with(f, ram_size, FILE_SIZE, make_kernel);
}

static status_t load(struct fixture *f)
{
    f->error[0] = '\0';
    return linux_boot_load(&f->request, &f->entry, f->error, sizeof(f->error));
}

static void expect_failure(struct fixture *f, status_t status, const char *words)
{
    assert_int_equal(load(f), status);
    assert_non_null(strstr(f->error, words));
}

static uint64_t params_at(const struct fixture *f, unsigned offset, unsigned size)
{
    return get(f->ram + f->entry.rsi + offset, size);
}

/* Translates through the tables that the kernel starts with. */
static uint64_t walk(const struct fixture *f, uint64_t linear)
{
    uint64_t entry = f->entry.cr3 | 1;

    for (unsigned shift = 39; shift >= 21; shift -= 9) {
        entry = get(f->ram + (entry & ~0xfffull) + (linear >> shift & 511) * 8, 8);
        assert_int_equal(entry & 3, 3); /* present, writable */
    }
    assert_true((entry & 0x80) != 0);
    return (entry & ~0x1fffffull) | (linear & 0x1fffff);
}

static void test_loads(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, RAM_SIZE);
    assert_int_equal(load(&f), STATUS_OK);
    assert_int_equal(f.entry.rip, PREFERRED + 0x200);
    assert_memory_equal(f.ram + PREFERRED, f.kernel + SETUP_SIZE, CODE_SIZE);
    /* The header came along, with what a loader must fill in. */
    assert_memory_equal(f.ram + f.entry.rsi + 0x1f1, f.kernel + 0x1f1, 0x210 - 0x1f1);
    assert_memory_equal(f.ram + f.entry.rsi + 0x22c, f.kernel + 0x22c, 0x268 - 0x22c);
    assert_int_equal(params_at(&f, 0x210, 1), 0xff);
    assert_int_equal(params_at(&f, 0x1ef, 1), 0); /* the sentinel */
    assert_int_equal(params_at(&f, 0x070, 8), 0xe0000);
    assert_string_equal((char *)f.ram + params_at(&f, 0x228, 4), f.request.cmdline);
    uint64_t initrd = params_at(&f, 0x218, 4);
    assert_int_equal(params_at(&f, 0x21c, 4), 5000);
    assert_int_equal(initrd % 4096, 0);
    assert_true(initrd >= PREFERRED + INIT_SIZE && initrd + 5000 <= RAM_SIZE);
    assert_memory_equal(f.ram + initrd, f.initrd, 5000);
    /* What boot_params has beyond header and table is zero. */
    for (unsigned i = 0x268; i < 0x2d0; i++) {
        assert_int_equal(params_at(&f, i, 1), 0);
    }
    stop(&f);
}

static void test_entry_state(void **state)
{
    static const uint64_t addresses[] = {0, 0x10000, PREFERRED, 0x3fffffff, 0xfec00000, 0xffffffff};
    struct fixture f;

    (void)state;
    start(&f, RAM_SIZE);
    assert_int_equal(load(&f), STATUS_OK);
    for (unsigned i = 0; i < ARRAY_SIZE(addresses); i++) {
        assert_int_equal(walk(&f, addresses[i]), addresses[i]);
    }
    /* Nothing else is mapped: the guest's memory held other bytes there. */
    assert_int_equal(get(f.ram + f.entry.cr3 + 8, 8), 0);
    assert_int_equal(get(f.ram + f.entry.cr3 + 511 * 8, 8), 0);
    assert_int_equal(get(f.ram + f.entry.cr3 + 4096 + 4 * 8, 8), 0);
    /* Flat segments: 64-bit code at 0x10, data at 0x18. */
    assert_true(f.entry.gdt_limit >= LINUX_BOOT_DS + 7);
    uint64_t code = get(f.ram + f.entry.gdt_base + LINUX_BOOT_CS, 8);
    uint64_t data = get(f.ram + f.entry.gdt_base + LINUX_BOOT_DS, 8);
    assert_int_equal(code >> 40 & 0x9a, 0x9a);
    assert_int_equal(code >> 53 & 3, 1); /* L, not D */
    assert_int_equal(data >> 40 & 0x92, 0x92);
    assert_true(f.entry.rsp > 0x1000 && f.entry.rsp < 0x9fc00);
    assert_int_equal(f.entry.rsp % 16, 0);
    stop(&f);
}

/* The pieces in low memory lie apart from each other and inside what the map calls RAM. */
static void test_memory_map(void **state)
{
    struct fixture f;
    uint64_t ram_end = 0;

    (void)state;
    start(&f, RAM_SIZE);
    assert_int_equal(load(&f), STATUS_OK);
    unsigned entries = (unsigned)params_at(&f, 0x1e8, 1);
    assert_in_range(entries, 2, 128);
    for (unsigned i = 0; i < entries; i++) {
        uint64_t base = params_at(&f, 0x2d0 + 20 * i, 8);
        uint64_t size = params_at(&f, 0x2d0 + 20 * i + 8, 8);
        uint64_t type = params_at(&f, 0x2d0 + 20 * i + 16, 4);
        assert_true(base >= ram_end && size > 0 && base + size <= RAM_SIZE);
        ram_end = base + size;
        /* The ACPI tables' place is not RAM. */
        assert_true(type != 1 || base + size <= 0xe0000 || base >= 0x100000);
    }
    assert_int_equal(ram_end, RAM_SIZE);
    uint64_t cmdline = params_at(&f, 0x228, 4);
    assert_true(f.entry.rsi + 4096 <= f.entry.cr3 && f.entry.cr3 + 6 * 4096 <= f.entry.gdt_base);
    assert_true(f.entry.gdt_base + f.entry.gdt_limit < f.entry.rsp - 4096);
    assert_true(f.entry.rsp <= cmdline && cmdline + 4096 <= 0x9fc00);
    /* Nothing else was written: above the stack, in ACPI's place, at the kernel's sides. */
    for (uint64_t at = cmdline + 4096; at < PREFERRED; at += 64) {
        assert_int_equal(f.ram[at], UNTOUCHED);
    }
    assert_int_equal(f.ram[PREFERRED - 1], UNTOUCHED);
    assert_int_equal(f.ram[PREFERRED + CODE_SIZE], UNTOUCHED);
    for (uint64_t at = 0; at < f.entry.rsi; at++) {
        assert_int_equal(f.ram[at], UNTOUCHED);
    }
    stop(&f);
}

static void test_without_initrd(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, RAM_SIZE);
    f.request.initrd = NULL;
    f.request.rsdp = 0;
    assert_int_equal(load(&f), STATUS_OK);
    assert_int_equal(params_at(&f, 0x218, 4), 0);
    assert_int_equal(params_at(&f, 0x21c, 4), 0);
    assert_int_equal(params_at(&f, 0x070, 8), 0);
    assert_int_equal(f.ram[RAM_SIZE - 1], UNTOUCHED);
    stop(&f);
}

static void test_relocates(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, 32 * MIB_SIZE); /* less than preferred address and init_size */
    assert_int_equal(load(&f), STATUS_OK);
    assert_int_equal(f.entry.rip, 2 * MIB_SIZE + 0x200); /* the first aligned place above 1 MiB */
    assert_memory_equal(f.ram + 2 * MIB_SIZE, f.kernel + SETUP_SIZE, CODE_SIZE);
    put(f.kernel + 0x234, 0, 1);
    expect_failure(&f, STATUS_NO_MEMORY, "20 MiB of memory from 0x1000000");
    stop(&f);
    start(&f, 2 * MIB_SIZE + INIT_SIZE - 1);
    expect_failure(&f, STATUS_NO_MEMORY, "20 MiB of memory from 0x200000");
    stop(&f);
    start(&f, 2 * MIB_SIZE - 1);
    expect_failure(&f, STATUS_NO_MEMORY, "2 MiB");
    stop(&f);
}

static void test_initrd_bounds(void **state)
{
    struct fixture f;

    (void)state;
    /* A byte short of room behind the kernel, then exactly enough. */
    start(&f, PREFERRED + INIT_SIZE + 8191);
    f.request.initrd_size = 4096;
    assert_int_equal(load(&f), STATUS_OK);
    assert_int_equal(params_at(&f, 0x218, 4), PREFERRED + INIT_SIZE);
    f.request.initrd_size = 5000;
    f.request.ram_size = PREFERRED + INIT_SIZE + 4999;
    expect_failure(&f, STATUS_NO_MEMORY, "initrd of 4 KiB");
    f.request.initrd_size = UINT64_MAX;
    expect_failure(&f, STATUS_NO_MEMORY, "initrd");
    f.request.initrd_size = f.request.ram_size + 1;
    expect_failure(&f, STATUS_NO_MEMORY, "initrd");
    stop(&f);
    /* The kernel's own limit. */
    start(&f, RAM_SIZE);
    put(f.kernel + 0x22c, 40 * MIB_SIZE - 1, 4);
    assert_int_equal(load(&f), STATUS_OK);
    assert_true(params_at(&f, 0x218, 4) + 5000 <= 40 * MIB_SIZE);
    put(f.kernel + 0x22c, 0, 4);
    expect_failure(&f, STATUS_NO_MEMORY, "initrd");
    put(f.kernel + 0x22c, 0xffffffff, 4);
    assert_int_equal(load(&f), STATUS_OK);
    stop(&f);
}

static void test_command_line(void **state)
{
    struct fixture f;
    char *line = malloc(5000);

    (void)state;
    assert_non_null(line);
    start(&f, RAM_SIZE);
    memset(line, 'x', 5000);
    f.request.cmdline = line;
    line[2047] = '\0';
    assert_int_equal(load(&f), STATUS_OK);
    assert_string_equal((char *)f.ram + params_at(&f, 0x228, 4), line);
    line[2047] = 'x';
    line[2048] = '\0';
    expect_failure(&f, STATUS_INVALID, "command line");
    /* A kernel that claims to take more than there is room for. */
    put(f.kernel + 0x238, 0xffffffff, 4);
    line[2048] = 'x';
    line[4095] = '\0';
    assert_int_equal(load(&f), STATUS_OK);
    line[4095] = 'x';
    line[4096] = '\0';
    expect_failure(&f, STATUS_INVALID, "command line");
    line[4096] = 'x';
    line[4999] = '\0';
    expect_failure(&f, STATUS_INVALID, "command line");
    put(f.kernel + 0x238, 0, 4);
    f.request.cmdline = "x";
    expect_failure(&f, STATUS_INVALID, "command line");
    f.request.cmdline = "";
    assert_int_equal(load(&f), STATUS_OK);
    stop(&f);
    free(line);
}

/* Each field that is checked, with values that must be refused. */
static void test_hostile_header(void **state)
{
    static const struct {
        unsigned offset, size;
        uint64_t value;
        status_t status;
        const char *words;
    } cases[] = {
        {0x1fe, 2, 0, STATUS_INVALID, "boot_flag"},
        {0x202, 4, 0, STATUS_INVALID, "boot_flag"},
        {0x206, 2, 0x020b, STATUS_INVALID, "64-bit entry"},
        {0x206, 2, 0, STATUS_INVALID, "64-bit entry"},
        {0x236, 2, 0x3e, STATUS_INVALID, "64-bit entry"},
        {0x1f1, 1, 255, STATUS_INVALID, "setup_sects"},
        {0x1f1, 1, 31, STATUS_INVALID, "setup_sects"},
        {0x1f1, 1, 24, STATUS_INVALID, "entry is beyond"},
        {0x201, 1, 0, STATUS_INVALID, "length"},
        {0x201, 1, 0x61, STATUS_INVALID, "length"}, /* ends before init_size does */
        {0x201, 1, 0x8f, STATUS_INVALID, "length"}, /* into what is not the header's */
        {0x201, 1, 0xff, STATUS_INVALID, "length"},
        {0x230, 4, 0, STATUS_INVALID, "kernel_alignment"},
        {0x230, 4, 3, STATUS_INVALID, "kernel_alignment"},
        {0x258, 8, 0, STATUS_INVALID, "pref_address"},
        {0x258, 8, 0xfffff, STATUS_INVALID, "pref_address"},
        {0x260, 4, 0xffffffff, STATUS_NO_MEMORY, "MiB"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct fixture f;
        start(&f, RAM_SIZE);
        put(f.kernel + cases[i].offset, cases[i].value, cases[i].size);
        expect_failure(&f, cases[i].status, cases[i].words);
        /* A refused kernel leaves the guest's memory alone. */
        assert_int_equal(f.ram[0x10000], UNTOUCHED);
        assert_int_equal(f.ram[PREFERRED], UNTOUCHED);
        stop(&f);
    }
}

/* Values that are odd but do no harm. */
static void test_odd_header(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, RAM_SIZE);
    put(f.kernel + 0x258, UINT64_MAX - 5, 8); /* nowhere: it is relocated */
    assert_int_equal(load(&f), STATUS_OK);
    assert_int_equal(f.entry.rip, 2 * MIB_SIZE + 0x200);
    put(f.kernel + 0x230, 0x80000000, 4);
    expect_failure(&f, STATUS_NO_MEMORY, "0x80000000");
    make_kernel(f.kernel);
    put(f.kernel + 0x260, 0, 4); /* less than the file holds */
    assert_int_equal(load(&f), STATUS_OK);
    put(f.kernel + 0x258, RAM_SIZE - CODE_SIZE + 1, 8); /* a byte too far: relocated */
    f.request.initrd = NULL;
    assert_int_equal(load(&f), STATUS_OK);
    assert_int_equal(f.entry.rip, 2 * MIB_SIZE + 0x200);
    put(f.kernel + 0x258, RAM_SIZE - CODE_SIZE, 8); /* exactly */
    assert_int_equal(load(&f), STATUS_OK);
    assert_int_equal(f.entry.rip, RAM_SIZE - CODE_SIZE + 0x200);
    make_kernel(f.kernel);
    put(f.kernel + 0x1f1, 0, 1); /* 0 means 4 */
    assert_int_equal(load(&f), STATUS_OK);
    assert_memory_equal(f.ram + PREFERRED, f.kernel + 5 * 512, 512);
    stop(&f);
}

static void test_short_files(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, RAM_SIZE);
    for (uint64_t size = 0; size <= FILE_SIZE; size += size < 0x2a0 ? 1 : 97) {
        uint8_t *cut = malloc(size + (size == 0));
        assert_non_null(cut);
        memcpy(cut, f.kernel, size);
        f.request.kernel = cut;
        f.request.kernel_size = size;
        /* Up to the 64-bit entry, at 0x200 in the code. */
        assert_int_equal(load(&f), size <= SETUP_SIZE + 0x200 ? STATUS_INVALID : STATUS_OK);
        free(cut);
    }
    stop(&f);
}

/* Random headers: whatever is accepted stays inside the guest's memory, and the kernel is not
 * overlapped by the initrd or by low memory's tables. */
static void test_mutations(void **state)
{
    static const uint8_t fields[] = {0,
                                     0x200 - 0x1f1,
                                     0x201 - 0x1f1,
                                     0x206 - 0x1f1,
                                     0x22c - 0x1f1,
                                     0x22f - 0x1f1,
                                     0x230 - 0x1f1,
                                     0x233 - 0x1f1,
                                     0x234 - 0x1f1,
                                     0x236 - 0x1f1,
                                     0x238 - 0x1f1,
                                     0x258 - 0x1f1,
                                     0x25a - 0x1f1,
                                     0x25b - 0x1f1,
                                     0x25f - 0x1f1,
                                     0x260 - 0x1f1,
                                     0x262 - 0x1f1,
                                     0x263 - 0x1f1};
    struct random random = {5};
    struct fixture f;
    unsigned accepted = 0;

    (void)state;
    start(&f, RAM_SIZE);
    for (unsigned i = 0; i < 20000; i++) {
        make_kernel(f.kernel);
        for (unsigned n = 1 + random_below(&random, 4); n > 0; n--) {
            unsigned at = random_below(&random, 3) == 0
                              ? random_below(&random, 0x290 - 0x1f1)
                              : fields[random_below(&random, ARRAY_SIZE(fields))];
            f.kernel[0x1f1 + at] = (uint8_t)random_next(&random);
        }
        f.request.initrd_size = random_below(&random, 5000);
        f.request.ram_size =
            2 * MIB_SIZE + random_below(&random, (uint32_t)(RAM_SIZE - 2 * MIB_SIZE + 1));
        status_t status = load(&f);
        if (status != STATUS_OK) {
            assert_true(f.error[0] != '\0');
            continue;
        }
        uint64_t kernel = f.entry.rip - 0x200;
        uint64_t initrd = params_at(&f, 0x218, 4);
        accepted++;
        assert_true(kernel >= MIB_SIZE && kernel < f.request.ram_size);
        assert_true(initrd >= kernel && initrd + f.request.initrd_size <= f.request.ram_size);
        assert_memory_equal(f.ram + initrd, f.initrd, f.request.initrd_size);
    }
    assert_in_range(accepted, 2000, 19000); /* both kinds were tried */
    stop(&f);
}

static void test_error_is_cut(void **state)
{
    struct fixture f;
    char *small = malloc(4);

    (void)state;
    assert_non_null(small);
    start(&f, RAM_SIZE);
    f.kernel[0x202] = 'h';
    assert_int_equal(linux_boot_load(&f.request, &f.entry, small, 4), STATUS_INVALID);
    assert_string_equal(small, "not");
    make_kernel(f.kernel);
    put(f.kernel + 0x260, 0xffffffff, 4);
    assert_int_equal(linux_boot_load(&f.request, &f.entry, small, 4), STATUS_NO_MEMORY);
    assert_string_equal(small, "the");
    stop(&f);
    free(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loads),        cmocka_unit_test(test_entry_state),
        cmocka_unit_test(test_memory_map),   cmocka_unit_test(test_without_initrd),
        cmocka_unit_test(test_relocates),    cmocka_unit_test(test_initrd_bounds),
        cmocka_unit_test(test_command_line), cmocka_unit_test(test_hostile_header),
        cmocka_unit_test(test_odd_header),   cmocka_unit_test(test_short_files),
        cmocka_unit_test(test_mutations),    cmocka_unit_test(test_error_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
