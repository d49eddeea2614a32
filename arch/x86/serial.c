/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/serial.h"

#include "arch/x86/cpu.h"

#define UART_DATA    0
#define UART_IER     1
#define UART_IIR_FCR 2
#define UART_LCR     3
#define UART_MCR     4
#define UART_LSR     5
#define UART_SCRATCH 7

#define IER_RECEIVE  0x01u
#define IER_TRANSMIT 0x02u
#define IIR_NONE     0x01u
#define FCR_ENABLE   0x87u /* on, both cleared; interrupts at eight bytes, or fewer that wait */
#define LCR_8N1      0x03u
#define LCR_DLAB     0x80u
#define MCR_ON       0x0bu /* DTR, RTS, OUT2: OUT2 lets interrupts out */
#define LSR_RECEIVED 0x01u
#define LSR_EMPTY    0x20u
#define FIFO_SIZE    16u
/* At 115200 baud a FIFO of 16 drains in 1.4 ms; each look takes about 1 us on silicon. */
#define POLLS 20000u

static uint16_t base;

bool serial_present(uint16_t port)
{
    outb(port + UART_SCRATCH, 0x5a);
    if (inb(port + UART_SCRATCH) != 0x5a) {
        return false;
    }
    outb(port + UART_SCRATCH, 0xa5);
    return inb(port + UART_SCRATCH) == 0xa5;
}

void serial_init(uint16_t port)
{
    base = port;
    if (port == 0) {
        return;
    }
    outb(port + UART_IER, 0);
    outb(port + UART_LCR, LCR_DLAB);
    outb(port + UART_DATA, 1); /* divisor 1: 115200 baud */
    outb(port + UART_IER, 0);
    outb(port + UART_LCR, LCR_8N1);
    outb(port + UART_IIR_FCR, FCR_ENABLE);
    outb(port + UART_MCR, MCR_ON);
}

size_t serial_transmit_room(void)
{
    return base != 0 && (inb(base + UART_LSR) & LSR_EMPTY) != 0 ? FIFO_SIZE : 0;
}

void serial_transmit(const char *bytes, size_t size)
{
    for (size_t i = 0; base != 0 && i < size; i++) {
        outb(base + UART_DATA, (uint8_t)bytes[i]);
    }
}

static void put(char byte)
{
    for (unsigned i = 0; i < POLLS; i++) {
        if ((inb(base + UART_LSR) & LSR_EMPTY) != 0) {
            outb(base + UART_DATA, (uint8_t)byte);
            return;
        }
        cpu_pause();
    }
}

void serial_write(const char *bytes, size_t size)
{
    for (size_t i = 0; base != 0 && i < size; i++) {
        if (bytes[i] == '\n') {
            put('\r');
        }
        put(bytes[i]);
    }
}

int serial_receive(void)
{
    if (base == 0 || (inb(base + UART_LSR) & LSR_RECEIVED) == 0) {
        return -1;
    }
    return inb(base + UART_DATA);
}

void serial_enable_interrupts(void)
{
    if (base != 0) {
        outb(base + UART_IER, IER_RECEIVE);
    }
}

void serial_want_transmit(bool wanted)
{
    if (base != 0) {
        outb(base + UART_IER, (uint8_t)(IER_RECEIVE | (wanted ? IER_TRANSMIT : 0)));
    }
}

bool serial_interrupt_pending(void)
{
    return base != 0 && (inb(base + UART_IIR_FCR) & IIR_NONE) == 0;
}
