/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An MC146818 real-time clock with its CMOS RAM, at ports 0x70 and 0x71. It tells the time and
 * takes a new one; it has no interrupts. The caller holds the VM's lock.
 */
#ifndef POSTERN_MACHINE_RTC_H
#define POSTERN_MACHINE_RTC_H

#include "lib/types.h"

#define RTC_RAM_SIZE 128u

struct rtc {
    uint64_t (*seconds_now)(void *context); /* since 1970, UTC */
    void *context;
    uint8_t index;
    int64_t offset; /* what the guest's time is ahead */
    /* The time's registers are here only while the guest sets them (register B's SET bit). */
    uint8_t ram[RTC_RAM_SIZE];
};

void rtc_init(struct rtc *rtc, uint64_t (*seconds_now)(void *context), void *context);

/* A byte access to port 0x70 + `reg`, `reg` 0 or 1. */
uint8_t rtc_read(struct rtc *rtc, unsigned reg);
void rtc_write(struct rtc *rtc, unsigned reg, uint8_t value);

#endif
