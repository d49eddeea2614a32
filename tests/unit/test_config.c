/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration's parser. Texts are parsed from heap blocks of their exact size, unterminated.
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/config.h"
#include "tests/unit/random.h"

#define VM   "vm a\nkernel /k\npcpus 0\n"
#define VM_B "vm b\nkernel /k\npcpus 1\n"

static struct config config;
static struct config_error error;

static status_t parse_bytes(const char *text, size_t size)
{
    char *copy = malloc(size + (size == 0));

    assert_non_null(copy);
    memcpy(copy, text, size);
    memset(&config, 0xee, sizeof(config));
    memset(&error, 0xee, sizeof(error));
    status_t status = config_parse(copy, size, &config, &error);
    free(copy);
    return status;
}

static status_t parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static void good(const char *text)
{
    if (parse(text) != STATUS_OK) {
        fail_msg("line %u: %s\nof:\n%s", error.line, error.text, text);
    }
}

/* The text is refused, at `line`, and the message has `words` in it. */
static void bad(const char *text, unsigned line, const char *words)
{
    assert_int_equal(parse(text), STATUS_INVALID);
    assert_non_null(memchr(error.text, '\0', sizeof(error.text)));
    if (error.line != line || strstr(error.text, words) == NULL) {
        fail_msg("line %u: \"%s\", not line %u: \"%s\"\nof:\n%s", error.line, error.text, line,
                 words, text);
    }
}

static void test_whole(void **state)
{
    (void)state;
    good("# two.conf\n"
         "vm alpha\n"
         "    kernel  /postern/vmlinuz-cloud\n"
         "    initrd  /postern/initrd-cloud.img\n"
         "    cmdline console=ttyS0 hostname=alpha  ip=10.0.0.1 # for the link\n"
         "    memory  512M\n"
         "    vcpus   2\n"
         "    pcpus   0 3          # one pCPU number per vCPU\n"
         "    on_reboot stop\n"
         "    on_crash restart\n"
         "    mwait   on\n"
         "    rng     on\n"
         "    hvc     on\n"
         "    virtqueues split\n"
         "    disk    /postern/a.img overlay 128K\n"
         "    disk    /postern/b.img  rw\n"
         "    disk    /postern/a.img\tro # the same, as it is\n"
         "\n"
         "vm beta\n"
         "\tkernel\t/k\n"
         "\tpcpus\t1\n"
         "link a0\n"
         "    ends beta alpha\n"
         "    mode open\n"
         "    window 256K\n"
         "    queues 4\n"
         "    doorbells 5000\n");
    assert_int_equal(config.vm_count, 2);
    assert_int_equal(config.link_count, 1);
    const struct config_vm *a = &config.vms[0], *b = &config.vms[1];
    assert_string_equal(a->name, "alpha");
    assert_string_equal(a->kernel, "/postern/vmlinuz-cloud");
    assert_string_equal(a->initrd, "/postern/initrd-cloud.img");
    assert_string_equal(a->cmdline, "console=ttyS0 hostname=alpha  ip=10.0.0.1");
    assert_int_equal(a->memory, 512ull << 20);
    assert_true(a->vcpus == 2 && a->pcpus[0] == 0 && a->pcpus[1] == 3);
    assert_true(a->on_reboot == CONFIG_STOP && a->on_crash == CONFIG_RESTART);
    assert_true(a->mwait && !b->mwait);
    assert_true(a->rng && a->hvc && !b->rng && !b->hvc);
    assert_true(a->split_virtqueues && !b->split_virtqueues);
    assert_true(a->disk_count == 3 && b->disk_count == 0);
    assert_string_equal(a->disks[0].image, "/postern/a.img");
    assert_true(a->disks[0].mode == CONFIG_DISK_OVERLAY && a->disks[0].overlay == 128 << 10);
    assert_string_equal(a->disks[1].image, "/postern/b.img");
    assert_true(a->disks[1].mode == CONFIG_DISK_RW && a->disks[1].overlay == 0);
    assert_true(a->disks[2].mode == CONFIG_DISK_RO && a->disks[2].overlay == 0);
    assert_int_equal(a->line, 2);
    assert_string_equal(b->name, "beta");
    assert_string_equal(b->initrd, "");
    assert_string_equal(b->cmdline, "");
    assert_true(b->on_reboot == CONFIG_RESTART && b->on_crash == CONFIG_STOP);
    assert_true(b->vcpus == 1 && b->pcpus[0] == 1 && b->memory >= CONFIG_MEMORY_MIN);
    const struct config_link *link = &config.links[0];
    assert_string_equal(link->name, "a0");
    assert_true(link->ends[0] == 1 && link->ends[1] == 0);
    assert_int_equal(link->window, 256 << 10);
    assert_int_equal(link->queues, 4);
    assert_int_equal(link->doorbells, 5000);
    assert_int_equal(link->line, 22);
}

static void test_forms(void **state)
{
    (void)state;
    good(VM);
    good("vm a\r\nkernel /k\r\npcpus 0\r\n"); /* an editor of another system */
    assert_string_equal(config.vms[0].kernel, "/k");
    good("\n\n  # only a comment\nvm a\nkernel /k\npcpus 0"); /* no newline at the end */
    assert_int_equal(config.vms[0].line, 4);
    good(VM "cmdline x#y z\n");
    assert_string_equal(config.vms[0].cmdline, "x#y z"); /* within a word it is no comment */
    good(VM "# \x01\x7f\xff in a comment\n");
    good(VM "cmdline \xc3\xa4\n");
    good("vm a\nkernel /k\nvcpus 3\npcpus 5\n"); /* one pCPU for all */
    assert_true(config.vms[0].pcpus[0] == 5 && config.vms[0].pcpus[2] == 5);
    good("vm a\nkernel /k\npcpus 5 6 7\nvcpus 3\n"); /* in any order */
    assert_int_equal(config.vms[0].pcpus[2], 7);
    good(VM VM_B "link l\nends a b\nlink m\nends a b\n"); /* two links of one pair */
    assert_int_equal(config.link_count, 2);
    good("vm A-1_x.y\nkernel /k\npcpus 0xf\n");
    assert_int_equal(config.vms[0].pcpus[0], 15);
}

static void test_life(void **state)
{
    (void)state;
    good(VM);
    const struct config_vm *a = &config.vms[0];
    assert_true(a->autostart && !a->exclusive && a->weight == 100 && a->after == 0);
    assert_true(a->on_reboot == CONFIG_RESTART && a->on_crash == CONFIG_STOP && a->restarts == 10);
    good(VM "on_crash restart\n");
    assert_true(a->on_crash == CONFIG_RESTART && a->restarts == 10);
    good(VM "on_crash restart 1000\non_reboot destroy\n");
    assert_true(a->on_crash == CONFIG_RESTART && a->restarts == 1000);
    assert_int_equal(a->on_reboot, CONFIG_DESTROY);
    good(VM "on_crash keep\non_reboot stop\n");
    assert_true(a->on_crash == CONFIG_STOP && a->on_reboot == CONFIG_STOP);
    good(VM "on_crash destroy\n");
    assert_int_equal(a->on_crash, CONFIG_DESTROY);
    good(VM "autostart off\nweight 1\n");
    assert_true(!a->autostart && a->weight == 1);
    good(VM "autostart on\nweight 1000\n");
    assert_true(a->autostart && a->weight == 1000);
    /* VMs above and below; the same one twice is no mistake. */
    good(VM "after c b b\n" VM_B "after c\nvm c\nkernel /k\npcpus 0\n");
    assert_true(a->after == 6 && config.vms[1].after == 4 && config.vms[2].after == 0);
    /* Eight in a row, the last one first. */
    good("vm a\nkernel /k\npcpus 0\nafter b\nvm b\nkernel /k\npcpus 0\nafter c\n"
         "vm c\nkernel /k\npcpus 0\nafter d\nvm d\nkernel /k\npcpus 0\nafter e\n"
         "vm e\nkernel /k\npcpus 0\nafter f\nvm f\nkernel /k\npcpus 0\nafter g\n"
         "vm g\nkernel /k\npcpus 0\nafter h\nvm h\nkernel /k\npcpus 0\n");
    assert_true(a->after == 2 && config.vms[7].after == 0);
    /* Its own vCPUs may share a pCPU. */
    good("vm a\nkernel /k\nvcpus 3\npcpus 2\nexclusive on\n" VM_B "exclusive on\n");
    assert_true(a->exclusive && config.vms[1].exclusive);
}

static void test_link_modes(void **state)
{
    (void)state;
    good(VM VM_B "link l\nends a b\n");
    assert_int_equal(config.links[0].mode, CONFIG_LINK_OPEN);
    good(VM VM_B "link l\nends a b\nmode open\n");
    assert_int_equal(config.links[0].mode, CONFIG_LINK_OPEN);
    good(VM VM_B "link l\nends a b\nmode gated\n");
    assert_int_equal(config.links[0].mode, CONFIG_LINK_GATED);
    for (unsigned mode = CONFIG_LINK_OPEN; mode <= CONFIG_LINK_DIRECT; mode++) {
        char text[200];
        snprintf(text, sizeof(text), VM VM_B "link l\nends a b\nmode %s\n",
                 config_mode_name((enum config_link_mode)mode));
        good(text);
        assert_int_equal(config.links[0].mode, mode);
    }
    assert_string_equal(config_mode_name(CONFIG_LINK_DIRECT), "direct");
}

static void test_pool(void **state)
{
    static const char *const wrong[] = {"0",   "63K", "65K",         "96K",
                                        "3M",  "32K", "128M",        "1G",
                                        "-1M", "1 M", "1MB",         "18446744073709551616",
                                        "x",   "K",   "4294967296G", "64m"};

    (void)state;
    good(VM VM_B "link l\nends a b\n");
    assert_int_equal(config.links[0].pool, 0);
    good(VM VM_B "link l\nends a b\nmode gated\n");
    assert_int_equal(config.links[0].pool, 0);
    good(VM VM_B "link l\nends a b\nmode direct\n");
    assert_int_equal(config.links[0].pool, 1 << 20);
    good(VM VM_B "link l\npool 64K\nmode direct\nends a b\nlink m\nends a b\nmode direct\n"
                 "pool 64M\n");
    assert_int_equal(config.links[0].pool, 64 << 10);
    assert_int_equal(config.links[1].pool, 64 << 20);
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        char text[200];
        snprintf(text, sizeof(text), VM VM_B "link l\nends a b\nmode direct\npool %s\n", wrong[i]);
        bad(text, 10, "a power of two from 64K to 64M is wanted");
    }
    bad(VM VM_B "link l\nends a b\nmode direct\npool\n", 10, "lacks its value");
    bad(VM VM_B "link l\nends a b\nmode direct\npool 1M\npool 1M\n", 11, "given twice");
    /* For no other mode, wherever its lines stand. */
    bad(VM VM_B "link l\nends a b\npool 1M\n", 7, "link l: \"pool\" is for mode direct");
    bad(VM VM_B "link l\npool 1M\nmode gated\nends a b\nlink m\n", 7, "its mode is gated");
    bad(VM "network n\npool 1M\n", 5, "nothing that a network has");
}

static void test_sizes(void **state)
{
    (void)state;
    good(VM "memory 16M\n");
    good(VM "memory 3G\n");
    assert_int_equal(config.vms[0].memory, 3ull << 30);
    good(VM "memory 0x10000000\n");
    good(VM "memory 262144K\n");
    assert_int_equal(config.vms[0].memory, 256ull << 20);
    static const char *const wrong[] = {"0",
                                        "1G1",
                                        "63M",
                                        "14M",
                                        "3074M",
                                        "4G",
                                        "65M",
                                        "64m",
                                        "-64M",
                                        "M",
                                        "64MB",
                                        "64 M",
                                        "1e9",
                                        "0x",
                                        "67108865",
                                        "18446744073709551615",
                                        "18446744073709551615G",
                                        "17179869184G",
                                        "99999999999999999999999999"};
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        char text[200];
        snprintf(text, sizeof(text), VM "memory %s\n", wrong[i]);
        bad(text, 4, "multiple of 2M");
        snprintf(text, sizeof(text), VM VM_B "link l\nends a b\nwindow %s\n", wrong[i]);
        bad(text, 9, "power of two");
    }
    good(VM VM_B "link l\nends a b\nwindow 64M\n");
    assert_int_equal(config.links[0].window, 64ull << 20);
    bad(VM VM_B "link l\nends a b\nwindow 3M\n", 9, "power of two");
    bad(VM VM_B "link l\nends a b\nwindow 32K\n", 9, "64K to 64M");
    bad(VM VM_B "link l\nends a b\nwindow 128M\n", 9, "64K to 64M");
}

static void test_queues(void **state)
{
    static const char *const wrong[] = {"0", "3", "6", "16", "-1", "2x", "1K", "4294967297"};

    (void)state;
    good(VM VM_B "link l\nends a b\n");
    assert_int_equal(config.links[0].queues, 1);
    good(VM VM_B "link l\nends a b\nqueues 8\nwindow 512K\n");
    assert_int_equal(config.links[0].queues, 8);
    good(VM VM_B "link l\nqueues 1\nends a b\nwindow 64K\n");
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        char text[200];
        snprintf(text, sizeof(text), VM VM_B "link l\nends a b\nqueues %s\n", wrong[i]);
        bad(text, 9, "a power of two from 1 to 8");
    }
    /* The block is looked at as a whole, wherever its lines stand. */
    bad(VM VM_B "link l\nends a b\nqueues 2\nwindow 64K\n", 7,
        "a window of 64K has no room for 2 queues");
    bad(VM VM_B "link l\nwindow 256K\nends a b\nqueues 8\nlink m\n", 7, "each takes 64K or more");
}

static void test_doorbells(void **state)
{
    static const char *const wrong[] = {"0", "10000001", "-1", "1K", "x", "4294967297"};

    (void)state;
    good(VM VM_B "link l\nends a b\n");
    assert_int_equal(config.links[0].doorbells, 100000);
    good(VM VM_B "link l\nends a b\ndoorbells 10000000\n");
    assert_int_equal(config.links[0].doorbells, 10000000);
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        char text[200];
        snprintf(text, sizeof(text), VM VM_B "link l\nends a b\ndoorbells %s\n", wrong[i]);
        bad(text, 9, "a number from 1 to 10000000");
    }
}

/* Each mistake, with the line that it is in and what the message must say. */
static void test_mistakes(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *words;
    } cases[] = {
        {"", 0, "no VM"},
        {"# nothing\n\n", 0, "no VM"},
        {"kernel /k\n", 1, "outside a block"},
        {"\nfoo\n", 2, "foo"},
        {VM "colour red\n", 4, "colour"},
        {VM "ends a b\n", 4, "nothing that a vm has"},
        {VM VM_B "link l\nkernel /k\n", 8, "nothing that a link has"},
        {VM "kernel /other\n", 4, "twice"},
        {VM "memory\n", 4, "lacks its value"},
        {VM "memory   # none\n", 4, "lacks its value"},
        {"vm\n", 1, "no name"},
        {"vm a b\n", 1, "no name"},
        {"vm a/b\n", 1, "no name"},
        {"vm -a\n", 1, "no name"},
        {"vm a2345678901234567890123456789012\n", 1, "31"},
        {"link\n", 1, "no name"},
        {VM VM, 4, "declared in line 1"},
        {VM VM_B "link l\nends a b\nlink l\n", 9, "declared in line 7"},
        {"vm a\npcpus 0\n", 1, "\"kernel\" is missing"},
        {"vm a\nkernel /k\nvm b\n", 1, "\"pcpus\" is missing"},
        {VM VM_B "\nlink l\nmode open\n", 8, "\"ends\" is missing"},
        {"vm a\nkernel k\n", 2, "'/'"},
        {"vm a\ninitrd C:\\x\n", 2, "'/'"},
        {VM "vcpus 0\n", 4, "1 to 8"},
        {VM "vcpus 9\n", 4, "1 to 8"},
        {VM "vcpus two\n", 4, "1 to 8"},
        {VM "vcpus 1 2\n", 4, "1 to 8"},
        {"vm a\nkernel /k\nvcpus 3\npcpus 0 1\n", 1, "pcpus has 2"},
        {"vm a\nkernel /k\npcpus 0 1\n", 1, "pcpus has 2"},
        {"vm a\npcpus 0 x\n", 2, "\"x\""},
        {"vm a\npcpus 0,1\n", 2, "\"0,1\""},
        {"vm a\npcpus -1\n", 2, "\"-1\""},
        {"vm a\npcpus 4294967296\n", 2, "4294967296"},
        {"vm a\npcpus 0 1 2 3 4 5 6 7 8\n", 2, "8"},
        {VM "on_reboot never\n", 4, "on_reboot \"never\": restart, stop or destroy"},
        {VM "on_reboot keep\n", 4, "restart, stop or destroy"},
        {VM "on_crash reboot\n", 4, "on_crash \"reboot\": \"restart\", with or without"},
        {VM "on_crash stop\n", 4, "keep or destroy"},
        {VM "on_crash keep 3\n", 4, "on_crash \"3\": \"restart\", with"},
        {VM "on_crash restart 0\n", 4, "on_crash restart \"0\": a number from 1 to 1000"},
        {VM "on_crash restart 1001\n", 4, "a number from 1 to 1000"},
        {VM "on_crash restart -1\n", 4, "a number from 1 to 1000"},
        {VM "on_crash restart 18446744073709551616\n", 4, "a number from 1 to 1000"},
        {VM "on_crash restart 3 3\n", 4, "a number from 1 to 1000"},
        {VM "autostart yes\n", 4, "autostart \"yes\": on or off"},
        {VM "exclusive 1\n", 4, "exclusive \"1\": on or off"},
        {VM "weight 0\n", 4, "weight \"0\": a number from 1 to 1000"},
        {VM "weight 1001\n", 4, "weight \"1001\": a number from 1 to 1000"},
        {VM "weight 1 2\n", 4, "a number from 1 to 1000"},
        {VM "weight 4294967297\n", 4, "a number from 1 to 1000"},
        {VM "weight\n", 4, "\"weight\" lacks its value"},
        {VM "weight 2\nweight 2\n", 5, "given twice"},
        {VM "after\n", 4, "\"after\" lacks its value"},
        {VM "after b\n", 4, "after: no vm \"b\" is declared"},
        {VM "after 0123456789012345678901234567890123456789\n", 4, "after: no vm \"0123"},
        {VM "after a a a a a a a a a\n", 4, "more than 8 VMs"},
        {VM "# itself\nafter a\n", 5, "vm a: it would start after itself"},
        {VM "after b\n" VM_B "after a\n", 4, "vm a: it would start after itself, for b does"},
        {VM VM_B "after c\nvm c\nkernel /k\npcpus 0\nafter a b\n", 7,
         "vm b: it would start after itself, for c does"},
        {VM "exclusive on\nvm b\nkernel /k\npcpus 0\n", 1,
         "vm a: its pcpus are exclusive, and vm b has pcpu 0, too"},
        {VM VM_B "vm c\nkernel /k\nvcpus 2\npcpus 2 1\nexclusive on\n", 7,
         "vm c: its pcpus are exclusive, and vm b has pcpu 1, too"},
        {VM "mwait 1\n", 4, "mwait \"1\": on or off"},
        {VM "mwait on\nmwait off\n", 5, "\"mwait\" is given twice"},
        {VM "rng yes\n", 4, "rng \"yes\": on or off"},
        {VM "hvc 2\n", 4, "hvc \"2\": on or off"},
        {VM "virtqueues both\n", 4, "virtqueues \"both\": split or packed"},
        {VM "disk a.img rw\n", 4, "\"a.img\" is no path"},
        {VM "disk /a\n", 4, "disk /a: ro, rw or \"overlay SIZE\""},
        {VM "disk /a rx\n", 4, "disk /a: ro, rw or \"overlay SIZE\""},
        {VM "disk /a rw 4M\n", 4, "disk /a: \"4M\" is one word too many"},
        {VM "disk /a overlay\n", 4, "overlay \"\": a multiple of 64K up to 64G"},
        {VM "disk /a overlay 1K\n", 4, "overlay \"1K\": a multiple of 64K"},
        {VM "disk /a overlay 100K\n", 4, "overlay \"100K\": a multiple of 64K"},
        {VM "disk /a overlay 65G\n", 4, "up to 64G"},
        {VM "disk /a overlay 1M b\n", 4, "\"b\" is one word too many"},
        {VM "disk /a ro\ndisk /b ro\ndisk /c ro\ndisk /d ro\ndisk /e ro\n", 8, "4 disks"},
        {VM "disk /a rw\ndisk /a ro\n", 1, "disk /a is rw, and vm a has the same file"},
        {VM "disk /a ro\n" VM_B "disk /a rw\n", 5, "disk /a is rw, and vm a has the same file"},
        {VM "disk /a rw\n" VM_B "disk /a overlay 1M\n", 1, "rw, and vm b has the same file"},
        {VM "disk /k rw\n", 1, "disk /k is rw, and vm a has the same file"},
        {VM VM_B "disk /i rw\nvm c\nkernel /x\ninitrd /i\npcpus 0\n", 4, "and vm c has"},
        {VM VM_B "link l\nends a\n", 8, "two different"},
        {VM VM_B "link l\nends a a\n", 8, "two different"},
        {VM VM_B "link l\nends a b a\n", 8, "two different"},
        {VM VM_B "link l\nends a c\n", 8, "\"c\""},
        {VM "link l\nends a b\n" VM_B, 5, "declared above"},
        {VM VM_B "link l\nends a b\nmode gate\n", 9, "open, gated or direct"},
        {VM VM_B "link l\nends a b\nmode directly\n", 9, "open, gated or direct"},
        {VM VM_B "link l\nends a b\nmode \xff\n", 9, "open, gated or direct"},
        {VM "cmdline a\x01"
            "b\n",
         4, "no text"},
        {VM "cmdline a\rb\n", 4, "no text"},
        {VM "cmdline a\x7f\n", 4, "no text"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        bad(cases[i].text, cases[i].line, cases[i].words);
    }
    assert_int_equal(parse_bytes("vm a\nkernel /\0k\n", 16), STATUS_INVALID);
    assert_int_equal(error.line, 2);
}

static void test_limits(void **state)
{
    char text[20000];
    size_t size = 0;

    (void)state;
    for (unsigned i = 0; i < CONFIG_MAX_VMS; i++) {
        size += (size_t)sprintf(text + size, "vm v%u\nkernel /k\npcpus 0\n", i);
    }
    for (unsigned i = 0; i < CONFIG_MAX_LINKS; i++) {
        size += (size_t)sprintf(text + size, "link l%u\nends v0 v%u\n", i, 1 + i % 7);
    }
    good(text);
    assert_int_equal(config.vm_count, CONFIG_MAX_VMS);
    assert_int_equal(config.link_count, CONFIG_MAX_LINKS);
    strcpy(text + size, "link more\n");
    bad(text, 3 * CONFIG_MAX_VMS + 2 * CONFIG_MAX_LINKS + 1, "more than 16");
    strcpy(text + size, "vm more\n");
    bad(text, 3 * CONFIG_MAX_VMS + 2 * CONFIG_MAX_LINKS + 1, "more than 8");
}

static void test_long_values(void **state)
{
    static const struct {
        const char *start;
        size_t fits; /* characters of the value */
        unsigned line;
    } cases[] = {
        {VM "cmdline ", CONFIG_LINE_SIZE - 1, 4},
        {VM "initrd /", CONFIG_PATH_SIZE - 2, 4},
    };
    char text[8000];

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t length = strlen(cases[i].start);
        memset(text, 'x', sizeof(text));
        memcpy(text, cases[i].start, length);
        assert_int_equal(parse_bytes(text, length + cases[i].fits), STATUS_OK);
        for (size_t more = 1; more < 300; more++) {
            assert_int_equal(parse_bytes(text, length + cases[i].fits + more), STATUS_INVALID);
            assert_int_equal(error.line, cases[i].line);
        }
        assert_int_equal(parse_bytes(text, sizeof(text)), STATUS_INVALID);
        assert_int_equal(error.line, cases[i].line);
    }
    /* A long comment is none of that; a long message is cut. */
    memset(text, 'x', sizeof(text));
    text[0] = '#';
    memcpy(text + 4000, "\n" VM, strlen(VM) + 2);
    good(text);
    memcpy(text, "vm ", 3);
    text[1500] = '\0';
    bad(text, 1, "\"xxx");
}

/* The configurations that the image is built with. */
static void test_shipped(void **state)
{
    glob_t files;

    (void)state;
    assert_int_equal(glob("guests/examples/*.conf", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        char text[8192];
        FILE *file = fopen(files.gl_pathv[i], "r");
        assert_non_null(file);
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        fclose(file);
        good(text);
    }
    globfree(&files);
}

static void check_result(status_t status)
{
    if (status != STATUS_OK) {
        assert_int_equal(status, STATUS_INVALID);
        assert_non_null(memchr(error.text, '\0', sizeof(error.text)));
        assert_true(error.text[0] != '\0');
        assert_true(error.line < 100000);
        return;
    }
    assert_in_range(config.vm_count, 1, CONFIG_MAX_VMS);
    assert_true(config.link_count <= CONFIG_MAX_LINKS);
    for (unsigned i = 0; i < config.vm_count; i++) {
        const struct config_vm *vm = &config.vms[i];
        assert_non_null(memchr(vm->name, '\0', sizeof(vm->name)));
        assert_non_null(memchr(vm->kernel, '\0', sizeof(vm->kernel)));
        assert_non_null(memchr(vm->initrd, '\0', sizeof(vm->initrd)));
        assert_non_null(memchr(vm->cmdline, '\0', sizeof(vm->cmdline)));
        assert_in_range(vm->memory, CONFIG_MEMORY_MIN, CONFIG_MEMORY_MAX);
        assert_int_equal(vm->memory % (2u << 20), 0);
        assert_in_range(vm->vcpus, 1, CONFIG_MAX_VCPUS);
        assert_int_equal(vm->kernel[0], '/');
    }
    for (unsigned i = 0; i < config.link_count; i++) {
        const struct config_link *link = &config.links[i];
        assert_true(link->ends[0] < config.vm_count && link->ends[1] < config.vm_count);
        assert_int_not_equal(link->ends[0], link->ends[1]);
        assert_in_range(link->window, CONFIG_WINDOW_MIN, CONFIG_WINDOW_MAX);
        assert_in_range(link->queues, 1, CONFIG_QUEUES_MAX);
        assert_in_range(link->doorbells, 1, CONFIG_DOORBELLS_MAX);
        assert_true(link->window / link->queues >= CONFIG_WINDOW_MIN);
        if (link->mode == CONFIG_LINK_DIRECT) {
            assert_in_range(link->pool, CONFIG_POOL_MIN, CONFIG_POOL_MAX);
            assert_int_equal(link->pool & (link->pool - 1), 0);
        } else {
            assert_in_range(link->mode, CONFIG_LINK_OPEN, CONFIG_LINK_GATED);
            assert_int_equal(link->pool, 0);
        }
    }
}

static const char whole[] =
    "vm a\nkernel /k\ninitrd /i\ncmdline x y\nmemory 128M\nvcpus 2\n"
    "pcpus 0 1\non_reboot stop\non_crash restart 3\nafter b\nweight 7\nexclusive on\nautostart "
    "off\n"
    "vm b\nkernel /k\n"
    "pcpus 2\nlink l\nends a b\nmode direct\nwindow 1M\nqueues 8\ndoorbells 9\npool 64K\n";

/* The text with some bytes changed, taken out or doubled. */
static void test_mutations(void **state)
{
    static const char often[] = "\n\n  \t#\r/0129GMKavm-\0\xff";
    struct random random = {0xc0ff};
    unsigned accepted = 0;

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        char text[2 * sizeof(whole)];
        size_t size = sizeof(whole) - 1;
        memcpy(text, whole, size);
        for (unsigned n = 1 + random_below(&random, 4); n > 0; n--) {
            size_t at = random_below(&random, (uint32_t)size);
            switch (random_below(&random, 3)) {
            case 0:
                text[at] = often[random_below(&random, sizeof(often))];
                break;
            case 1:
                memmove(text + at, text + at + 1, --size - at);
                break;
            default:
                memmove(text + at + 1, text + at, size++ - at);
                break;
            }
        }
        status_t status = parse_bytes(text, size);
        accepted += status == STATUS_OK;
        check_result(status);
    }
    assert_in_range(accepted, 1000, 90000);
}

/* Lines of a whole configuration in any order. */
static void test_shuffled_lines(void **state)
{
    static const char *const lines[] = {"vm a\n",       "vm b\n",
                                        "kernel /k\n",  "pcpus 0\n",
                                        "pcpus 0 1\n",  "vcpus 2\n",
                                        "link l\n",     "ends a b\n",
                                        "window 1M\n",  "mode open\n",
                                        "vm c\n",       "link m\n",
                                        "memory 64M\n", "kernel /k\npcpus 0\n",
                                        "queues 4\n"};
    struct random random = {0xabc};
    unsigned accepted = 0;

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        char text[400] = "vm z\n";
        for (unsigned n = 1 + random_below(&random, 12); n > 0; n--) {
            strcat(text, lines[random_below(&random, ARRAY_SIZE(lines))]);
        }
        status_t status = parse(text);
        accepted += status == STATUS_OK;
        check_result(status);
    }
    assert_true(accepted > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),       cmocka_unit_test(test_forms),
        cmocka_unit_test(test_life),        cmocka_unit_test(test_link_modes),
        cmocka_unit_test(test_pool),        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_queues),      cmocka_unit_test(test_doorbells),
        cmocka_unit_test(test_mistakes),    cmocka_unit_test(test_limits),
        cmocka_unit_test(test_long_values), cmocka_unit_test(test_shipped),
        cmocka_unit_test(test_mutations),   cmocka_unit_test(test_shuffled_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
