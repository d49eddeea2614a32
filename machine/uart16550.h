/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A 16550A serial port, as a guest's console. Bytes are sent the moment they are written, so the
 * transmitter is always empty. The caller holds the VM's lock.
 */
#ifndef POSTERN_MACHINE_UART16550_H
#define POSTERN_MACHINE_UART16550_H

#include "lib/types.h"

#define UART16550_FIFO 16u

struct uart16550_ops {
    void (*set_irq)(void *context, bool level);
    void (*transmit)(void *context, uint8_t byte);
};

struct uart16550 {
    const struct uart16550_ops *ops;
    void *context;
    uint8_t ier, fcr, lcr, mcr, scratch, dll, dlm;
    bool thre_pending; /* "transmitter empty" has not been reported yet */
    bool irq;
    uint8_t fifo[UART16550_FIFO];
    unsigned first, count;
};

/* The state after reset, the interrupt line low. */
void uart16550_init(struct uart16550 *uart, const struct uart16550_ops *ops, void *context);

/* A byte access to register 0 to 7. */
uint8_t uart16550_read(struct uart16550 *uart, unsigned reg);
void uart16550_write(struct uart16550 *uart, unsigned reg, uint8_t value);

/* How many received bytes there is room for. */
size_t uart16550_rx_room(const struct uart16550 *uart);
/* A byte arrives from the line; dropped when there is no room. */
void uart16550_receive(struct uart16550 *uart, uint8_t byte);

/* What a snapshot has of it. */
#define UART16550_IMAGE_VERSION 1u

struct uart16550_image {
    uint8_t ier, fcr, lcr, mcr, scratch, dll, dlm;
    uint8_t thre_pending, irq; /* 0 or 1 */
    uint8_t count;             /* bytes in `fifo`, the oldest first */
    uint8_t fifo[UART16550_FIFO];
};

void uart16550_save(const struct uart16550 *uart, struct uart16550_image *image);

/* Takes the state over, and tells nobody of its interrupt line, which the I/O APIC's image has.
 * False, and no change: no UART can be in such a state. */
bool uart16550_load(struct uart16550 *uart, const struct uart16550_image *image) MUST_CHECK;

#endif
