/* SPDX-License-Identifier: BSD-2-Clause */
/* The monitor as a person at a dumb terminal sees it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/monitor_host.h"
#include "tests/unit/random.h"

static struct host *start(void)
{
    struct host *h = host_new();

    host_run(h);
    host_forget_text(h);
    return h;
}

static void expect_text(struct host *h, const char *text)
{
    assert_string_equal(h->text, text);
    host_forget_text(h);
}

static void test_greeting(void **state)
{
    struct host *h = host_new();

    (void)state;
    fake_print_text(&h->core, MONITOR_STREAM_LOG, "I    0.1 up\nI    0.2 two VMs\n");
    host_run(h);
    expect_text(h, "\r\nThis is the monitor of Postern; 'help' lists its commands.\r\n"
                   "\rI    0.1 up\r\n\rI    0.2 two VMs\r\npostern> ");
    host_run(h);
    expect_text(h, ""); /* once */
    free(h);
}

static void test_command(void **state)
{
    struct host *h = start();

    (void)state;
    host_type(h, "list\r");
    expect_text(h, "list\r\nname   state    vcpus\r\nalpha  running      1\r\n"
                   "beta   off         12\r\npostern> ");
    host_type(h, "  list  \n"); /* blanks around it, and a newline as its end */
    assert_string_equal(h->core.last_line, "list");
    assert_int_equal(h->core.executions, 2);
    host_type(h, "list\r\n"); /* one end, not two */
    assert_int_equal(h->core.executions, 3);
    host_forget_text(h);
    host_type(h, "\r");
    expect_text(h, "\r\npostern> ");
    host_type(h, "stats beta\r");
    expect_text(h, "stats beta\r\nbeta is off\r\npostern> ");
    host_type(h, "bogus\r");
    expect_text(h, "bogus\r\nunknown command: bogus ('help' lists the commands)\r\npostern> ");
    free(h);
}

static void test_help_and_line(void **state)
{
    struct host *h = start();

    (void)state;
    host_type(h, "help\r");
    assert_non_null(strstr(h->text, "list        list the VMs\r\n"));
    assert_non_null(strstr(h->text, "console VM  join the console"));
    host_forget_text(h);
    host_type(h, "line\r");
    assert_non_null(strstr(h->text, "damaged frames        0\r\n"));
    assert_int_equal(h->core.executions, 1); /* `line` is the monitor's own */
    free(h);
}

static void test_editing(void **state)
{
    struct host *h = start();

    (void)state;
    host_type(h, "lisx\bt\x7ft\r"); /* either key rubs out */
    assert_string_equal(h->core.last_line, "list");
    host_forget_text(h);
    host_type(h, "a\b\b\b");
    expect_text(h, "a\b \b"); /* no further than the prompt */
    host_type(h, "wrong\x15list\r");
    assert_string_equal(h->core.last_line, "list");
    host_type(h, "wrong\x03help\r");
    assert_string_equal(h->core.last_line, "help");
    /* Arrow keys and the like type nothing; nor do control characters or bytes of 8 bits. */
    host_type(h, "\x1b[Al\x1bOPi\x1b[15~s\x1bxt\x01\t\xe4\r");
    assert_string_equal(h->core.last_line, "list");
    free(h);
}

static void test_long_line(void **state)
{
    struct host *h = start();
    char line[MONITOR_LINE_SIZE + 2];

    (void)state;
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    host_type(h, line);
    assert_string_equal(h->text + h->text_size - 2, "\a\a"); /* two too many */
    host_type(h, "\r");
    assert_int_equal(strlen(h->core.last_line), MONITOR_LINE_SIZE - 1);
    free(h);
}

static void test_too_much_output(void **state)
{
    struct host *h = start();

    (void)state;
    host_type(h, "flood\r");
    assert_non_null(strstr(h->text, "line 0 of a thousand lines\r\nline 1 of"));
    assert_non_null(strstr(h->text, "[the rest was too long]\r\npostern> "));
    assert_true(h->text_size > MONITOR_OUTPUT_SIZE);
    free(h);
}

/* A line of the log takes the prompt's place; what was typed is shown again below. */
static void test_log_above_prompt(void **state)
{
    struct host *h = start();

    (void)state;
    host_type(h, "li");
    host_forget_text(h);
    fake_print_text(&h->core, MONITOR_STREAM_LOG, "W up\n");
    host_run(h);
    expect_text(h, "\rW up       \r\npostern> li"); /* the prompt's rest is covered */
    host_type(h, "st\r");
    assert_string_equal(h->core.last_line, "list");
    host_forget_text(h);
    /* Half a line is shown as it comes; more of the log than is kept goes on at a line's start. */
    for (unsigned i = 0; i < FAKE_RING_SIZE / 8 + 1; i++) {
        fake_print_text(&h->core, MONITOR_STREAM_LOG, "I 34567\n");
    }
    fake_print_text(&h->core, MONITOR_STREAM_LOG, "E last\n");
    host_run(h);
    assert_int_equal(strncmp(h->text, "\rI 34567  ", 10), 0);
    assert_non_null(strstr(h->text, "\rE last\r\npostern> "));
    host_forget_text(h);
    host_type(h, "log\r"); /* all of it again */
    assert_true(h->text_size > FAKE_RING_SIZE);
    free(h);
}

static void test_console(void **state)
{
    struct host *h = start();

    (void)state;
    fake_print_text(&h->core, MONITOR_STREAM_CONSOLE + 1, "beta login: ");
    host_type(h, "console beta\r");
    expect_text(h, "console beta\r\n[the console of beta; Ctrl-] leaves it]\r\nbeta login: ");
    h->core.echo = true;
    host_type(h, "ls \x03\x1b[A\x7f\r");
    assert_int_equal(h->core.typed_size[1], 9); /* every key is the guest's */
    assert_memory_equal(h->core.typed[1], "ls \x03\x1b[A\x7f\r", 9);
    expect_text(h, "ls \x03\x1b[A\x7f\r\nbeta# ");
    fake_print_text(&h->core, MONITOR_STREAM_LOG, "I not in between\n");
    host_run(h);
    expect_text(h, "");
    host_type(h, "\x1d");
    expect_text(h, "\r\n\rI not in between\r\npostern> ");
    host_type(h, "console gamma\r");
    expect_text(h, "console gamma\r\nthere is no VM named 'gamma'\r\npostern> ");
    assert_int_equal(h->core.executions, 0);
    free(h);
}

static void test_console_of_slow_guest(void **state)
{
    struct host *h = start();
    char keys[MONITOR_TYPED_SIZE + 1];

    (void)state;
    host_type(h, "console alpha\r");
    h->core.deaf = true;
    host_forget_text(h);
    memset(keys, 'k', sizeof(keys));
    host_send(h, keys, sizeof(keys));
    host_run(h);
    expect_text(h, "\a"); /* one more than is kept for it */
    h->core.deaf = false;
    host_run(h);
    assert_int_equal(h->core.typed_size[0], MONITOR_TYPED_SIZE);
    /* Leaving does not wait for a guest that never reads. */
    h->core.deaf = true;
    host_send(h, keys, 20);
    host_type(h, "\x1dlist\r");
    assert_string_equal(h->core.last_line, "list");
    assert_int_equal(h->core.typed_size[0], MONITOR_TYPED_SIZE);
    free(h);
}

static void test_console_loses_bytes(void **state)
{
    struct host *h = start();

    (void)state;
    fake_print_text(&h->core, MONITOR_STREAM_CONSOLE, "x");
    host_type(h, "console alpha\r");
    host_forget_text(h);
    for (unsigned i = 0; i < FAKE_RING_SIZE + 100; i++) {
        fake_print_text(&h->core, MONITOR_STREAM_CONSOLE, "y");
    }
    host_run(h);
    assert_int_equal(strncmp(h->text, "[100 bytes lost]yyy", 19), 0);
    assert_int_equal(h->text_size, 16 + FAKE_RING_SIZE);
    free(h);
}

/* A '~' is a frame's flag only before 0xff. */
static void test_tilde(void **state)
{
    struct host *h = start();

    (void)state;
    host_type(h, "a~b");
    expect_text(h, "a~b");
    host_type(h, "~");
    host_wait(h, 2 * MONITOR_SILENCE_US);
    expect_text(h, "~");
    /* A frame that breaks off does not swallow what is typed after it. */
    host_send(h, "~\xff\x03xyz", 6);
    host_wait(h, 2 * MONITOR_SILENCE_US);
    host_type(h, "\x15list\r");
    assert_string_equal(h->core.last_line, "list");
    free(h);
}

static void test_random_keys(void **state)
{
    static const char *const pieces[] = {"list",  "\r",    "\n",   "\b",    "console alpha\r",
                                         "\x1d",  "\x1b[", "~",    "log\r", "flood\r",
                                         "help ", "\x15",  "\xff", "x",     "console beta\r"};
    struct random random = {80};
    struct host *h = host_new();

    (void)state;
    h->core.echo = true;
    for (unsigned i = 0; i < 5000; i++) {
        const char *piece = pieces[random_below(&random, ARRAY_SIZE(pieces))];
        host_send(h, piece, strlen(piece));
        h->core.deaf = random_below(&random, 4) == 0;
        if (random_below(&random, 4) == 0) {
            host_wait(h, random_below(&random, 500000));
            host_forget_text(h);
        }
        if (random_below(&random, 10) == 0) {
            fake_print_text(&h->core, MONITOR_STREAM_LOG, "I some line of the log\n");
        }
    }
    h->core.deaf = false;
    host_wait(h, 2 * MONITOR_SILENCE_US);
    host_type(h, "\x1d");
    host_type(h, "\x15\x15list\r");
    assert_string_equal(h->core.last_line, "list");
    free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greeting),
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_help_and_line),
        cmocka_unit_test(test_editing),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_too_much_output),
        cmocka_unit_test(test_log_above_prompt),
        cmocka_unit_test(test_console),
        cmocka_unit_test(test_console_of_slow_guest),
        cmocka_unit_test(test_console_loses_bytes),
        cmocka_unit_test(test_tilde),
        cmocka_unit_test(test_random_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
