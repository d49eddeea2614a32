/* SPDX-License-Identifier: BSD-2-Clause */
/* The serial console, and the ends of this guest. */
#ifndef POSTERN_GUESTS_LWIP_CONSOLE_H
#define POSTERN_GUESTS_LWIP_CONSOLE_H

#include <stdint.h>

/* Prints, as text_add() formats; up to 255 characters. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* This guest cannot do its work: says why and ends the VM as a power-off does. */
__attribute__((noreturn)) void give_up(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* A bug: ends the VM by a triple fault, which the hypervisor takes for a crash and logs. */
__attribute__((noreturn)) void crash(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
