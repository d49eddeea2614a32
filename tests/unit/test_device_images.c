/* SPDX-License-Identifier: BSD-2-Clause */
/* What snapshots have of the devices of machine/: it goes over, and nothing else is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/bits.h"
#include "machine/guest_map.h"
#include "machine/ioapic.h"
#include "machine/pci.h"
#include "machine/rtc.h"
#include "machine/uart16550.h"

static unsigned calls;

static void count_irq(void *context, bool level)
{
    (void)context;
    (void)level;
    calls++;
}

static void count_byte(void *context, uint8_t byte)
{
    (void)context;
    (void)byte;
    calls++;
}

static const struct uart16550_ops uart_ops = {count_irq, count_byte};

static void uarts_go_over(void **state)
{
    struct uart16550 one, other;
    struct uart16550_image image, again;

    (void)state;
    uart16550_init(&one, &uart_ops, NULL);
    uart16550_write(&one, 1, 1); /* an interrupt for what is received */
    uart16550_write(&one, 4, 8);
    for (unsigned i = 0; i < 20; i++) {
        uart16550_receive(&one, (uint8_t)('a' + i));
        if (i < 4) {
            assert_int_equal(uart16550_read(&one, 0), 'a' + i);
        }
    }
    uart16550_save(&one, &image);
    assert_int_equal(image.count, 16);
    calls = 0;
    uart16550_init(&other, &uart_ops, NULL);
    assert_true(uart16550_load(&other, &image));
    assert_int_equal(calls, 0);
    uart16550_save(&other, &again);
    assert_memory_equal(&again, &image, sizeof(image));
    for (unsigned i = 4; i < 20; i++) {
        assert_int_equal(uart16550_read(&other, 0), 'a' + i);
    }
    assert_int_equal(calls, 1); /* the line falls with the last byte */
}

static void no_other_uarts_are_taken(void **state)
{
    struct uart16550 uart;
    struct uart16550_image image = {.count = UART16550_FIFO + 1};

    (void)state;
    uart16550_init(&uart, &uart_ops, NULL);
    assert_false(uart16550_load(&uart, &image));
    image = (struct uart16550_image){.ier = 0x10};
    assert_false(uart16550_load(&uart, &image));
    image = (struct uart16550_image){.mcr = 0x20};
    assert_false(uart16550_load(&uart, &image));
    image = (struct uart16550_image){.irq = 2};
    assert_false(uart16550_load(&uart, &image));
}

static uint64_t seconds_now(void *context)
{
    (void)context;
    return 1700000000;
}

static void clocks_go_over(void **state)
{
    struct rtc one, other;
    struct rtc_image image;

    (void)state;
    rtc_init(&one, seconds_now, NULL);
    rtc_init(&other, seconds_now, NULL);
    rtc_write(&one, 0, 9); /* the year */
    rtc_write(&one, 1, 0x42);
    rtc_write(&one, 0, 0x50); /* RAM */
    rtc_write(&one, 1, 0x99);
    rtc_save(&one, &image);
    assert_true(rtc_load(&other, &image));
    assert_int_equal(rtc_read(&other, 1), 0x99);
    rtc_write(&other, 0, 9);
    assert_int_equal(rtc_read(&other, 1), 0x42);
    image.index = RTC_RAM_SIZE;
    assert_false(rtc_load(&other, &image));
    image.index = 0;
    image.offset = INT64_MAX;
    assert_false(rtc_load(&other, &image));
    image.offset = INT64_MIN;
    assert_false(rtc_load(&other, &image));
}

static void count_message(void *context, uint32_t destination, bool logical, uint8_t vector,
                          uint8_t mode, bool level)
{
    (void)context;
    (void)destination;
    (void)logical;
    (void)vector;
    (void)mode;
    (void)level;
    calls++;
}

static const struct ioapic_ops ioapic_operations = {count_message};

static void ioapics_go_over(void **state)
{
    struct ioapic one, other;
    struct ioapic_image image, again;

    (void)state;
    ioapic_init(&one, &ioapic_operations, NULL);
    ioapic_init(&other, &ioapic_operations, NULL);
    ioapic_write(&one, 0, 4, 0x10 + 2 * 4);
    ioapic_write(&one, 0x10, 4, BIT32(15) | 0x44); /* level-triggered */
    ioapic_set_irq(&one, 4, true);
    ioapic_save(&one, &image);
    calls = 0;
    assert_true(ioapic_load(&other, &image));
    assert_int_equal(calls, 0);
    ioapic_save(&other, &again);
    assert_memory_equal(&again, &image, sizeof(image));
    ioapic_eoi(&other, 0x44); /* still asserted */
    assert_int_equal(calls, 1);
    image.select = 0x100;
    assert_false(ioapic_load(&other, &image));
    image.select = 0;
    image.lines = BIT32(24);
    assert_false(ioapic_load(&other, &image));
    image.lines = 0;
    image.redirection[3] = BIT(17);
    assert_false(ioapic_load(&other, &image));
    image.redirection[3] = 0;
    image.id = 1;
    assert_false(ioapic_load(&other, &image));
}

static uint64_t moved_to;

static void bar_moved(struct pci_function *function, unsigned bar, uint64_t old, uint64_t now)
{
    (void)function;
    (void)bar;
    (void)old;
    moved_to = now;
}

static void count_interrupt(struct pci_function *function, unsigned vector,
                            const struct msi_message *message)
{
    (void)function;
    (void)vector;
    (void)message;
    calls++;
}

static const struct pci_function_ops function_ops = {.bar_moved = bar_moved,
                                                     .interrupt = count_interrupt};

struct board {
    struct pci_bus bus;
    struct pci_function function;
};

static void start_board(struct board *board)
{
    pci_init(&board->bus);
    pci_function_init(&board->function, &function_ops, NULL, 0x1234, 0x5678, 0x020000);
    pci_add_bar(&board->function, 0, 0x4000, GUEST_PCI_BASE, false, false);
    pci_add_bar(&board->function, 2, MIB(2), GUEST_PCI_HIGH_BASE, true, true);
    pci_add_msix(&board->function, 3, 0, 0x2000, 0x3000);
    assert_true(pci_attach(&board->bus, &board->function) == STATUS_OK);
    pci_reset(&board->bus);
}

static void config_write(struct board *board, unsigned offset, uint32_t value)
{
    assert_true(pci_io_write(&board->bus, 0xcf8, 4, BIT32(31) | 1u << 11 | offset));
    assert_true(pci_io_write(&board->bus, 0xcfc, 4, value));
}

static void functions_go_over(void **state)
{
    struct board one, other;
    struct pci_function_image image, again;
    struct msi_message message;

    (void)state;
    start_board(&one);
    start_board(&other);
    config_write(&one, 0x18, (uint32_t)(GUEST_PCI_HIGH_BASE + MIB(4)));
    config_write(&one, 0x04, 0x6);
    config_write(&one, 0x40, 0x80000000);
    pci_msix_write(&one.function, 16, 8, 0xfee01000);
    pci_msix_write(&one.function, 24, 8, 0x55);
    assert_false(pci_msix_fire(&one.function, 2, &message)); /* masked: it is pending */
    pci_function_save(&one.function, &image);
    assert_true(pci_function_fits(&other.function, &image));
    calls = 0;
    moved_to = 0;
    pci_function_load(&other.function, &image);
    assert_int_equal(moved_to, GUEST_PCI_HIGH_BASE + MIB(4));
    assert_int_equal(calls, 0);
    pci_function_save(&other.function, &again);
    assert_memory_equal(&again, &image, sizeof(image));
    assert_true(pci_msix_fire(&other.function, 1, &message) && message.data == 0x55);
    assert_int_equal(pci_msix_pending(&other.function), BIT(2));
}

static void no_other_functions_are_taken(void **state)
{
    struct board board;
    struct pci_function_image image, good;

    (void)state;
    start_board(&board);
    pci_function_save(&board.function, &good);
    image = good;
    image.identity++;
    assert_false(pci_function_fits(&board.function, &image));
    image = good;
    image.msix_vectors = PCI_MSIX_VECTORS + 1;
    assert_false(pci_function_fits(&board.function, &image));
    image = good;
    image.own_size = 255;
    assert_false(pci_function_fits(&board.function, &image));
    image = good;
    image.msix[2].pending = 2;
    assert_false(pci_function_fits(&board.function, &image));
    /* What a guest could not write has no effect: BARs stay in their windows, identities stay. */
    image = good;
    memset(image.bars, 0xff, sizeof(image.bars));
    image.command = 0xffff;
    image.msix_control = 0xffff;
    moved_to = 1;
    pci_function_load(&board.function, &image);
    assert_int_equal(board.function.bars[0].decoded, 0);
    assert_int_equal(board.function.bars[2].decoded, 0);
    struct pci_function_image again;
    pci_function_save(&board.function, &again);
    assert_true(again.identity == good.identity && again.command == 0x406 &&
                again.msix_control == 0xc002);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uarts_go_over),     cmocka_unit_test(no_other_uarts_are_taken),
        cmocka_unit_test(clocks_go_over),    cmocka_unit_test(ioapics_go_over),
        cmocka_unit_test(functions_go_over), cmocka_unit_test(no_other_functions_are_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
