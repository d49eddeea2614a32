/* SPDX-License-Identifier: BSD-2-Clause */
/* One link by itself, as it comes at run time: what a block can have, and what it cannot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/config.h"
#include "lib/bits.h"
#include "tests/unit/random.h"

static const uint32_t ends[2] = {3, 1};
static struct config_link link;
static struct config_error error;

static status_t parse(const char *name, const char *words)
{
    memset(&link, 0xa5, sizeof(link));
    memset(&error, 0xa5, sizeof(error));
    return config_parse_link(name, ends, words, &link, &error);
}

static void good(const char *words)
{
    if (parse("wire", words) != STATUS_OK) {
        fail_msg("%s\nof: %s", error.text, words);
    }
}

static void bad(const char *name, const char *words, const char *why)
{
    assert_int_equal(parse(name, words), STATUS_INVALID);
    assert_non_null(memchr(error.text, '\0', sizeof(error.text)));
    assert_int_equal(error.line, 0);
    if (strstr(error.text, why) == NULL) {
        fail_msg("\"%s\", not \"%s\"\nof: %s", error.text, why, words);
    }
}

/* What the words leave out is as in a block that leaves it out. */
static void test_defaults(void **state)
{
    static const char text[] = "vm a\nkernel /k\npcpus 0\nvm b\nkernel /k\npcpus 0\n"
                               "link wire\nends b a\n";
    static struct config config;
    const struct config_link *block = &config.links[0];

    (void)state;
    assert_int_equal(config_parse(text, sizeof(text) - 1, &config, &error), STATUS_OK);
    good("");
    assert_string_equal(link.name, "wire");
    assert_true(link.ends[0] == 3 && link.ends[1] == 1);
    assert_true(link.mode == block->mode && link.window == block->window);
    assert_true(link.queues == block->queues && link.doorbells == block->doorbells);
    assert_true(link.pool == block->pool && link.line == 0);
}

static void test_words(void **state)
{
    (void)state;
    good("mode gated window 64K");
    assert_true(link.mode == CONFIG_LINK_GATED && link.window == 64 << 10 && link.pool == 0);
    good("  queues 8\twindow   0x100000 doorbells 10000000 ");
    assert_true(link.queues == 8 && link.window == 1 << 20 && link.doorbells == 10000000);
    good("mode direct");
    assert_true(link.mode == CONFIG_LINK_DIRECT && link.pool == 1 << 20);
    good("pool 64M window 64M mode direct");
    assert_true(link.pool == 64 << 20 && link.window == 64 << 20);
}

static void test_mistakes(void **state)
{
    static const uint32_t same[2] = {2, 2};
    char words[2 * CONFIG_LINK_WORDS_SIZE];

    (void)state;
    bad("wire", "mode", "\"mode\" lacks its value");
    bad("wire", "mode open window", "\"window\" lacks its value");
    bad("wire", "mode closed", "mode \"closed\": open, gated or direct is wanted");
    bad("wire", "window 3M", "window \"3M\": a power of two from 64K to 64M is wanted");
    bad("wire", "window 32K", "a power of two from 64K");
    bad("wire", "window 128M", "to 64M is wanted");
    bad("wire", "window -1", "window \"-1\"");
    bad("wire", "queues 3", "queues \"3\": a power of two from 1 to 8 is wanted");
    bad("wire", "queues 0", "queues \"0\"");
    bad("wire", "queues 16", "queues \"16\"");
    bad("wire", "doorbells 0", "doorbells \"0\"");
    bad("wire", "doorbells 10000001", "a number from 1 to 10000000 is wanted");
    bad("wire", "pool 1M", "\"pool\" is for mode direct, and its mode is open");
    bad("wire", "mode direct pool 1", "pool \"1\"");
    bad("wire", "window 64K queues 2", "a window of 64K has no room for 2 queues");
    bad("wire", "mode open mode open", "\"mode\" is given twice");
    bad("wire", "ends a b", "\"ends\" is given twice");
    bad("wire", "kernel /k", "\"kernel\" is nothing that a link has");
    bad("wire", "vm x", "\"vm\" is nothing that a link has");
    bad("wire", "link x", "\"link\" is nothing that a link has");
    bad("wire", "# mode open", "\"#\" is nothing that a link has");
    bad("wire", "mode \xff\x01", "mode \"\xff\x01\"");
    bad("", "", "\"\" is no name");
    bad("-x", "", "\"-x\" is no name");
    bad("a b", "", "is no name");
    bad("w\xc3\xa4re", "", "is no name");
    bad("a234567890123456789012345678901x", "", "1 to 31 letters");
    assert_int_equal(config_parse_link("wire", same, "", &link, &error), STATUS_INVALID);
    assert_non_null(strstr(error.text, "two different VMs"));
    memset(words, ' ', sizeof(words));
    words[sizeof(words) - 1] = '\0';
    bad("wire", words, "longer than 255 characters");
    words[CONFIG_LINK_WORDS_SIZE - 1] = '\0';
    good(words);
    memset(words, 'x', CONFIG_LINK_WORDS_SIZE - 1);
    bad("wire", words, "\"xxxxxxxx");
}

/* Whatever comes, a link is one that a block could have, or there is a reason. */
static void test_random_words(void **state)
{
    static const char *const pieces[] = {
        "mode", "open", "gated", "direct", "window", "64K", "4M", "64M", "queues", "1",
        "8",    "pool", "ends",  "0",      "\t",     "",    "#",  "-1",  "~",      "doorbells"};
    struct random random = {42};
    unsigned links = 0;

    (void)state;
    for (unsigned round = 0; round < 200000; round++) {
        char words[CONFIG_LINK_WORDS_SIZE + 16] = "";
        for (unsigned i = random_below(&random, 9); i > 0; i--) {
            strcat(strcat(words, pieces[random_below(&random, ARRAY_SIZE(pieces))]), " ");
        }
        if (parse("wire", words) != STATUS_OK) {
            assert_true(memchr(error.text, '\0', sizeof(error.text)) != NULL &&
                        error.text[0] != '\0');
            continue;
        }
        links++;
        assert_true(link.mode <= CONFIG_LINK_DIRECT);
        assert_true(is_power_of_two(link.window) && is_power_of_two(link.queues));
        assert_true(link.window >= CONFIG_WINDOW_MIN && link.window <= CONFIG_WINDOW_MAX);
        assert_true(link.window / link.queues >= CONFIG_WINDOW_MIN);
        assert_true((link.pool != 0) == (link.mode == CONFIG_LINK_DIRECT));
        assert_in_range(link.doorbells, 1, CONFIG_DOORBELLS_MAX);
    }
    assert_true(links > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_random_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
