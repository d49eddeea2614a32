/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's serial line, a 16550 at an I/O port. Nothing here ever waits without a bound: a
 * port that is missing or stuck loses output, never the machine.
 */
#ifndef POSTERN_ARCH_X86_SERIAL_H
#define POSTERN_ARCH_X86_SERIAL_H

#include "lib/types.h"

/* Whether a 16550 answers at `port`. */
bool serial_present(uint16_t port);

/* Sets `port` to 115200 baud, 8N1, FIFOs on, no interrupts, and makes it the line; 0: no line. */
void serial_init(uint16_t port);

/* Writes, polled, "\n" as "\r\n". Also the log's sink while no monitor runs. */
void serial_write(const char *bytes, size_t size);

/* Interrupts on: VECTOR_UART comes for received bytes and, while wanted, for room to send. */
void serial_enable_interrupts(void);
void serial_want_transmit(bool wanted);

/* The next received byte, or -1. */
int serial_receive(void);
/* How many bytes can be sent at once now: 0, or what the FIFO takes. */
size_t serial_transmit_room(void);
/* Sends up to that many bytes. */
void serial_transmit(const char *bytes, size_t size);
/* Whether the UART asserts its interrupt. Asking clears the cause "room to send". */
bool serial_interrupt_pending(void);

#endif
