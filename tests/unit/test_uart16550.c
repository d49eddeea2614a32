/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "machine/uart16550.h"
#include "tests/unit/random.h"

enum { DATA, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCRATCH };

struct fixture {
    struct uart16550 uart;
    bool line;
    unsigned line_changes;
    char sent[64];
    size_t sent_size;
};

static void on_irq(void *context, bool level)
{
    struct fixture *f = context;

    assert_int_not_equal(f->line, level); /* told of changes only */
    f->line = level;
    f->line_changes++;
}

static void on_transmit(void *context, uint8_t byte)
{
    struct fixture *f = context;

    if (f->sent_size < sizeof(f->sent)) {
        f->sent[f->sent_size++] = (char)byte;
    }
}

static const struct uart16550_ops ops = {.set_irq = on_irq, .transmit = on_transmit};

static void start(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    uart16550_init(&f->uart, &ops, f);
}

static uint8_t rd(struct fixture *f, unsigned reg)
{
    return uart16550_read(&f->uart, reg);
}

static void wr(struct fixture *f, unsigned reg, uint8_t value)
{
    uart16550_write(&f->uart, reg, value);
}

static void test_transmits(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    assert_int_equal(rd(&f, LSR), 0x60); /* always room */
    for (const char *c = "hello"; *c != '\0'; c++) {
        wr(&f, DATA, (uint8_t)*c);
        assert_int_equal(rd(&f, LSR), 0x60);
    }
    assert_int_equal(f.sent_size, 5);
    assert_memory_equal(f.sent, "hello", 5);
    assert_int_equal(f.line_changes, 0);
}

static void test_receives(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    assert_int_equal(uart16550_rx_room(&f.uart), UART16550_FIFO);
    for (unsigned i = 0; i < UART16550_FIFO + 3; i++) {
        uart16550_receive(&f.uart, (uint8_t)('a' + i));
    }
    assert_int_equal(uart16550_rx_room(&f.uart), 0);
    assert_int_equal(rd(&f, LSR), 0x61);
    for (unsigned i = 0; i < UART16550_FIFO; i++) {
        assert_int_equal(rd(&f, DATA), 'a' + i);
    }
    assert_int_equal(rd(&f, LSR), 0x60);
    assert_int_equal(rd(&f, DATA), 0); /* nothing there */
    uart16550_receive(&f.uart, 'x');
    wr(&f, IIR_FCR, 0x03); /* enable, and clear what was received */
    assert_int_equal(rd(&f, LSR), 0x60);
    uart16550_receive(&f.uart, 'y');
    assert_int_equal(rd(&f, DATA), 'y');
}

static void test_divisor_latch(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    wr(&f, LCR, 0x83);
    wr(&f, DATA, 0x34);
    wr(&f, IER, 0x12);
    assert_int_equal(rd(&f, DATA), 0x34);
    assert_int_equal(rd(&f, IER), 0x12);
    assert_int_equal(f.sent_size, 0);
    wr(&f, LCR, 0x03);
    assert_int_equal(rd(&f, IER), 0);
    assert_int_equal(rd(&f, LCR), 0x03);
}

/* What Linux's 8250 driver looks for to call it a 16550A. */
static void test_probe(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    wr(&f, IER, 0xff);
    assert_int_equal(rd(&f, IER), 0x0f);
    wr(&f, IER, 0);
    wr(&f, SCRATCH, 0x5a);
    assert_int_equal(rd(&f, SCRATCH), 0x5a);
    assert_int_equal(rd(&f, IIR_FCR), 0x01);
    wr(&f, IIR_FCR, 0x01);
    assert_int_equal(rd(&f, IIR_FCR) & 0xc0, 0xc0); /* a working FIFO */
    wr(&f, MCR, 0x1a);                              /* loop, OUT2, RTS */
    assert_int_equal(rd(&f, MSR) & 0xf0, 0x90);     /* DCD, CTS */
    wr(&f, MCR, 0x15);                              /* loop, OUT1, DTR */
    assert_int_equal(rd(&f, MSR) & 0xf0, 0x60);     /* RI, DSR */
    wr(&f, MCR, 0xe0);
    assert_int_equal(rd(&f, MCR), 0);
    assert_int_equal(rd(&f, MSR) & 0xf0, 0xb0); /* somebody is there */
}

static void test_loopback(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    wr(&f, MCR, 0x10);
    wr(&f, DATA, 'q');
    assert_int_equal(f.sent_size, 0);
    assert_int_equal(rd(&f, DATA), 'q');
    for (unsigned i = 0; i < 100; i++) {
        wr(&f, DATA, (uint8_t)i); /* no more than the FIFO has room for */
    }
    assert_int_equal(uart16550_rx_room(&f.uart), 0);
}

static void test_receive_interrupt(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    wr(&f, IER, 0x01);
    uart16550_receive(&f.uart, 'a');
    assert_false(f.line); /* OUT2 is the gate */
    wr(&f, MCR, 0x08);
    assert_true(f.line);
    assert_int_equal(rd(&f, IIR_FCR) & 0x0f, 0x04);
    assert_true(f.line); /* reading the cause does not end it */
    uart16550_receive(&f.uart, 'b');
    (void)rd(&f, DATA);
    assert_true(f.line);
    (void)rd(&f, DATA);
    assert_false(f.line);
    assert_int_equal(rd(&f, IIR_FCR) & 0x0f, 0x01);
    uart16550_receive(&f.uart, 'c');
    wr(&f, IER, 0);
    assert_false(f.line);
}

static void test_transmit_interrupt(void **state)
{
    struct fixture f;

    (void)state;
    start(&f);
    wr(&f, MCR, 0x08);
    wr(&f, IER, 0x02); /* the transmitter is empty: reported at once */
    assert_true(f.line);
    assert_int_equal(rd(&f, IIR_FCR) & 0x0f, 0x02);
    assert_false(f.line); /* reading the cause ends it */
    wr(&f, DATA, 'a');
    assert_true(f.line);
    /* Received data goes first. */
    wr(&f, IER, 0x03);
    uart16550_receive(&f.uart, 'b');
    assert_int_equal(rd(&f, IIR_FCR) & 0x0f, 0x04);
    (void)rd(&f, DATA);
    assert_int_equal(rd(&f, IIR_FCR) & 0x0f, 0x02);
    assert_false(f.line);
    wr(&f, IER, 0x01); /* off and on again: reported again */
    wr(&f, IER, 0x03);
    assert_true(f.line);
}

static void test_random_accesses(void **state)
{
    struct random random = {16550};
    struct fixture f;

    (void)state;
    start(&f);
    for (unsigned i = 0; i < 300000; i++) {
        unsigned reg = random_below(&random, 8);
        uint8_t value = (uint8_t)random_next(&random);
        switch (random_below(&random, 3)) {
        case 0:
            (void)rd(&f, reg);
            break;
        case 1:
            wr(&f, reg, value);
            break;
        default:
            uart16550_receive(&f.uart, value);
            break;
        }
        /* The line is up exactly if there is a cause and the gate is open. */
        bool received = uart16550_rx_room(&f.uart) < UART16550_FIFO && (f.uart.ier & 1) != 0;
        bool empty = f.uart.thre_pending && (f.uart.ier & 2) != 0;
        assert_int_equal(f.line, (received || empty) && (f.uart.mcr & 8) != 0);
        assert_true(uart16550_rx_room(&f.uart) <= UART16550_FIFO);
    }
    assert_true(f.line_changes > 1000);
    /* Registers that do not exist. */
    wr(&f, 8, 0xff);
    assert_int_equal(rd(&f, 8), 0xff);
    assert_int_equal(rd(&f, UINT32_MAX), 0xff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transmits),          cmocka_unit_test(test_receives),
        cmocka_unit_test(test_divisor_latch),      cmocka_unit_test(test_probe),
        cmocka_unit_test(test_loopback),           cmocka_unit_test(test_receive_interrupt),
        cmocka_unit_test(test_transmit_interrupt), cmocka_unit_test(test_random_accesses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
