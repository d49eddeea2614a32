/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine/rtc.h"

#include "lib/string.h"

enum {
    RTC_SECONDS = 0,
    RTC_MINUTES = 2,
    RTC_HOURS = 4,
    RTC_WEEKDAY = 6,
    RTC_DAY = 7,
    RTC_MONTH = 8,
    RTC_YEAR = 9,
    RTC_A = 10,
    RTC_B = 11,
    RTC_C = 12,
    RTC_D = 13,
    RTC_CENTURY = 0x32
};

#define A_32KHZ    0x26u
#define B_SET      0x80u
#define B_BINARY   0x04u
#define B_24H      0x02u
#define D_VALID    0x80u
#define HOUR_PM    0x80u
#define INDEX_MASK 0x7fu
/* The year 9999 is 253402300799 seconds away from 1970. */
#define OFFSET_MAX 253402300799ll

struct date {
    unsigned second, minute, hour, weekday, day, month, year;
};

static bool is_leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned month_days(unsigned month, unsigned year)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return (unsigned)days[month - 1] + (month == 2 && is_leap(year) ? 1u : 0u);
}

static struct date to_date(uint64_t seconds)
{
    uint64_t days = seconds / 86400;
    struct date d = {
        .second = (unsigned)(seconds % 60),
        .minute = (unsigned)(seconds / 60 % 60),
        .hour = (unsigned)(seconds / 3600 % 24),
        .weekday = (unsigned)((days + 4) % 7) + 1,
        .month = 1,
        .year = 1970,
    };

    while (days >= (is_leap(d.year) ? 366u : 365u) && d.year < 9999) {
        days -= (is_leap(d.year) ? 366u : 365u);
        d.year++;
    }
    while (d.month < 12 && days >= month_days(d.month, d.year)) {
        days -= month_days(d.month, d.year);
        d.month++;
    }
    d.day = (unsigned)days + 1;
    return d;
}

static uint64_t to_seconds(const struct date *d)
{
    uint64_t days = 0;

    for (unsigned year = 1970; year < d->year; year++) {
        days += is_leap(year) ? 366u : 365u;
    }
    for (unsigned month = 1; month < d->month && month <= 12; month++) {
        days += month_days(month, d->year);
    }
    days += d->day > 0 ? d->day - 1 : 0;
    return days * 86400 + d->hour * 3600ull + d->minute * 60ull + d->second;
}

static uint64_t guest_seconds(const struct rtc *rtc)
{
    return (uint64_t)((int64_t)rtc->seconds_now(rtc->context) + rtc->offset);
}

static bool is_being_set(const struct rtc *rtc)
{
    return (rtc->ram[RTC_B] & B_SET) != 0;
}

static uint8_t encode(const struct rtc *rtc, unsigned value)
{
    if ((rtc->ram[RTC_B] & B_BINARY) != 0) {
        return (uint8_t)value;
    }
    return (uint8_t)((value / 10 % 10) << 4 | value % 10);
}

static unsigned decode(const struct rtc *rtc, uint8_t value)
{
    if ((rtc->ram[RTC_B] & B_BINARY) != 0) {
        return value;
    }
    return (unsigned)(value >> 4) * 10 + (value & 0xfu);
}

static uint8_t encode_hour(const struct rtc *rtc, unsigned hour)
{
    if ((rtc->ram[RTC_B] & B_24H) != 0) {
        return encode(rtc, hour);
    }
    uint8_t twelve = encode(rtc, hour % 12 == 0 ? 12 : hour % 12);
    return (uint8_t)(twelve | (hour >= 12 ? HOUR_PM : 0));
}

static unsigned decode_hour(const struct rtc *rtc, uint8_t value)
{
    if ((rtc->ram[RTC_B] & B_24H) != 0) {
        return decode(rtc, value) % 24;
    }
    return decode(rtc, value & ~HOUR_PM & 0xffu) % 12 + ((value & HOUR_PM) != 0 ? 12 : 0);
}

void rtc_init(struct rtc *rtc, uint64_t (*seconds_now)(void *context), void *context)
{
    memset(rtc, 0, sizeof(*rtc));
    rtc->seconds_now = seconds_now;
    rtc->context = context;
    rtc->ram[RTC_A] = A_32KHZ;
    rtc->ram[RTC_B] = B_24H;
}

/* Whether a register is part of the time. */
static bool is_time(uint8_t index)
{
    return index == RTC_CENTURY || (index <= RTC_YEAR && index != 1 && index != 3 && index != 5);
}

static uint8_t get_field(const struct rtc *rtc, const struct date *d, uint8_t index)
{
    switch (index) {
    case RTC_SECONDS:
        return encode(rtc, d->second);
    case RTC_MINUTES:
        return encode(rtc, d->minute);
    case RTC_HOURS:
        return encode_hour(rtc, d->hour);
    case RTC_WEEKDAY:
        return encode(rtc, d->weekday);
    case RTC_DAY:
        return encode(rtc, d->day);
    case RTC_MONTH:
        return encode(rtc, d->month);
    case RTC_YEAR:
        return encode(rtc, d->year % 100);
    default:
        return encode(rtc, d->year / 100);
    }
}

static void set_field(const struct rtc *rtc, struct date *d, uint8_t index, uint8_t byte)
{
    unsigned value = decode(rtc, byte);

    switch (index) {
    case RTC_SECONDS:
        d->second = value % 60;
        break;
    case RTC_MINUTES:
        d->minute = value % 60;
        break;
    case RTC_HOURS:
        d->hour = decode_hour(rtc, byte);
        break;
    case RTC_WEEKDAY:
        break; /* it follows from the date */
    case RTC_DAY:
        d->day = value;
        break;
    case RTC_MONTH:
        d->month = value >= 1 && value <= 12 ? value : 1;
        break;
    case RTC_YEAR:
        d->year = d->year / 100 * 100 + value % 100;
        break;
    default:
        d->year = value % 100 * 100 + d->year % 100;
        break;
    }
}

static void set_guest_time(struct rtc *rtc, const struct date *d)
{
    rtc->offset = (int64_t)(to_seconds(d) - rtc->seconds_now(rtc->context));
}

/* While a guest sets the time, its registers are plain memory: between the writes they may name a
 * day that does not exist, such as 31 February on the way from 31 January to 15 February. */
static const uint8_t time_registers[] = {RTC_SECONDS, RTC_MINUTES, RTC_HOURS, RTC_WEEKDAY,
                                         RTC_DAY,     RTC_MONTH,   RTC_YEAR,  RTC_CENTURY};

static void begin_setting(struct rtc *rtc)
{
    struct date d = to_date(guest_seconds(rtc));

    for (unsigned i = 0; i < ARRAY_SIZE(time_registers); i++) {
        rtc->ram[time_registers[i]] = get_field(rtc, &d, time_registers[i]);
    }
}

static void end_setting(struct rtc *rtc)
{
    struct date d = {.year = 1970};

    for (unsigned i = 0; i < ARRAY_SIZE(time_registers); i++) {
        set_field(rtc, &d, time_registers[i], rtc->ram[time_registers[i]]);
    }
    set_guest_time(rtc, &d);
}

static void write_time(struct rtc *rtc, uint8_t byte)
{
    struct date d = to_date(guest_seconds(rtc));

    if (is_being_set(rtc)) {
        rtc->ram[rtc->index] = byte;
    } else if (rtc->index != RTC_WEEKDAY) {
        set_field(rtc, &d, rtc->index, byte);
        set_guest_time(rtc, &d);
    }
}

static void write_b(struct rtc *rtc, uint8_t value)
{
    bool was_set = is_being_set(rtc);

    if (was_set && (value & B_SET) == 0) {
        end_setting(rtc);
    }
    rtc->ram[RTC_B] = value;
    if (!was_set && is_being_set(rtc)) {
        begin_setting(rtc);
    }
}

uint8_t rtc_read(struct rtc *rtc, unsigned reg)
{
    if (reg == 0) {
        return 0xff; /* the index is write-only */
    }
    if (is_time(rtc->index) && !is_being_set(rtc)) {
        struct date d = to_date(guest_seconds(rtc));
        return get_field(rtc, &d, rtc->index);
    }
    switch (rtc->index) {
    case RTC_C:
        return 0;
    case RTC_D:
        return D_VALID;
    default:
        return rtc->ram[rtc->index];
    }
}

void rtc_write(struct rtc *rtc, unsigned reg, uint8_t value)
{
    if (reg == 0) {
        rtc->index = value & INDEX_MASK; /* bit 7 masks NMIs on a real PC */
    } else if (is_time(rtc->index)) {
        write_time(rtc, value);
    } else if (rtc->index == RTC_B) {
        write_b(rtc, value);
    } else if (rtc->index != RTC_C && rtc->index != RTC_D) {
        /* Bit 7 of A, "update in progress", never shows. */
        rtc->ram[rtc->index] = rtc->index == RTC_A ? value & 0x7fu : value;
    }
}

void rtc_save(const struct rtc *rtc, struct rtc_image *image)
{
    *image = (struct rtc_image){.offset = rtc->offset, .index = rtc->index};
    memcpy(image->ram, rtc->ram, sizeof(image->ram));
}

bool rtc_load(struct rtc *rtc, const struct rtc_image *image)
{
    /* A date beyond what four digits tell is none. */
    if (image->index >= RTC_RAM_SIZE || image->offset > OFFSET_MAX || image->offset < -OFFSET_MAX) {
        return false;
    }
    rtc->offset = image->offset;
    rtc->index = image->index;
    memcpy(rtc->ram, image->ram, sizeof(rtc->ram));
    return true;
}
