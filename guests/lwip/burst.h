/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_GUESTS_LWIP_BURST_H
#define POSTERN_GUESTS_LWIP_BURST_H

#include <stdbool.h>

/* UDP port 19: who sends two little-endian numbers of 32 bits gets as many datagrams as the first
 * says, each with as many bytes as the second says. One peer at a time; a new order ends the old
 * one. For measurements. */
void burst_start(void);

/* Sends some more. False: nothing is to be sent, or it has no room now. */
bool burst_poll(void);

#endif
