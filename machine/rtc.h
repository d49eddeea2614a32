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

/* What a snapshot has of it. The time itself goes on by the machine's clock. */
#define RTC_IMAGE_VERSION 1u

struct rtc_image {
    int64_t offset;
    uint8_t index;
    uint8_t zero[7];
    uint8_t ram[RTC_RAM_SIZE];
};

void rtc_save(const struct rtc *rtc, struct rtc_image *image);

/* False, and no change: no clock can be in such a state. */
bool rtc_load(struct rtc *rtc, const struct rtc_image *image) MUST_CHECK;

#endif
