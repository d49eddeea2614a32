/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nic INTERFACE [stats | channels [COUNT] | ring [PACKETS] | stamps on | stamps off | reset]: asks
 * the driver what ethtool and hwstamp_ctl would. Statistics that are not 0, a line each, as "NAME
 * VALUE"; of channels and the transmit ring, "USED of MAXIMUM". Without a C library.
 */
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "program.h"

#define SYS_IOCTL   16
#define SYS_SOCKET  41
#define AF_INET     2
#define SOCK_DGRAM  2
#define SIOCETHTOOL 0x8946
#define SIOCSTAMP   0x89b0 /* SIOCSHWTSTAMP */
#define STATS_MAX   512u

/* struct ifreq, of which the kernel copies all. */
struct request {
    char name[16];
    void *data;
    uint8_t reserved[16];
};

static struct {
    struct ethtool_gstrings head;
    char names[STATS_MAX][ETH_GSTRING_LEN];
} strings;
static struct {
    struct ethtool_stats head;
    uint64_t values[STATS_MAX];
} values;
static struct request request;

static void ask_by(long command, void *data)
{
    long file = system_call(SYS_SOCKET, AF_INET, (const void *)SOCK_DGRAM, 0);
    long result;

    request.data = data;
    result = system_call6(SYS_IOCTL, file, command, (long)&request, 0, 0, 0);
    if (result < 0) {
        print("nic: error ");
        print_number((unsigned long long)-result);
        print("\n");
        leave(1);
    }
}

static void ask(void *data)
{
    ask_by(SIOCETHTOOL, data);
}

static uint32_t number(const char *text)
{
    uint32_t value = 0;

    while (*text >= '0' && *text <= '9') {
        value = value * 10 + (uint32_t)(*text++ - '0');
    }
    return value;
}

static void print_part(uint32_t used, uint32_t maximum)
{
    print_number(used);
    print(" of ");
    print_number(maximum);
    print("\n");
}

static void show_stats(void)
{
    struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};

    ask(&info);
    if (info.n_stats > STATS_MAX) {
        print("nic: too many statistics\n");
        leave(1);
    }
    strings.head = (struct ethtool_gstrings){
        .cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_STATS, .len = info.n_stats};
    ask(&strings);
    values.head = (struct ethtool_stats){.cmd = ETHTOOL_GSTATS, .n_stats = info.n_stats};
    ask(&values);
    for (uint32_t i = 0; i < info.n_stats; i++) {
        if (values.values[i] != 0) {
            print(strings.names[i]);
            print(" ");
            print_number(values.values[i]);
            print("\n");
        }
    }
}

static void channels(const char *count)
{
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};

    ask(&channels);
    if (count != NULL) {
        channels.cmd = ETHTOOL_SCHANNELS;
        channels.combined_count = number(count);
        ask(&channels);
    }
    print_part(channels.combined_count, channels.max_combined);
}

static void ring(const char *packets)
{
    struct ethtool_ringparam ring = {.cmd = ETHTOOL_GRINGPARAM};

    ask(&ring);
    if (packets != NULL) {
        ring.cmd = ETHTOOL_SRINGPARAM;
        ring.tx_pending = number(packets);
        ask(&ring);
        ring.cmd = ETHTOOL_GRINGPARAM;
        ask(&ring);
    }
    print_part(ring.tx_pending, ring.tx_max_pending);
}

static void stamps(bool on)
{
    struct hwtstamp_config config = {
        .tx_type = on ? HWTSTAMP_TX_ON : HWTSTAMP_TX_OFF,
        .rx_filter = on ? HWTSTAMP_FILTER_ALL : HWTSTAMP_FILTER_NONE,
    };

    ask_by(SIOCSTAMP, &config);
}

static void reset(void)
{
    struct ethtool_value value = {.cmd = ETHTOOL_RESET, .data = ETH_RESET_DMA};

    ask(&value);
}

static int run(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "eth0";
    const char *what = argc > 2 ? argv[2] : "stats";
    const char *argument = argc > 3 ? argv[3] : NULL;

    for (unsigned i = 0; i < sizeof(request.name) - 1 && name[i] != '\0'; i++) {
        request.name[i] = name[i];
    }
    if (equal(what, "stats")) {
        show_stats();
    } else if (equal(what, "channels")) {
        channels(argument);
    } else if (equal(what, "ring")) {
        ring(argument);
    } else if (equal(what, "stamps")) {
        stamps(argument == NULL || equal(argument, "on"));
    } else if (equal(what, "reset")) {
        reset();
    } else {
        print("nic: stats, channels, ring, stamps or reset?\n");
        return 1;
    }
    return 0;
}

__attribute__((used, noreturn)) static void begin(long *stack)
{
    leave(run((int)stack[0], (char **)(stack + 1)));
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall begin\n");
