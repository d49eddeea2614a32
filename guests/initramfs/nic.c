/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nic INTERFACE [stats | channels [COUNT] | reset]: asks the driver what ethtool would. Statistics
 * that are not 0, a line each, as "NAME VALUE"; of channels, "USED of MAXIMUM". Without a C
 * library.
 */
#include <linux/ethtool.h>
#include <stddef.h>
#include <stdint.h>

#include "system_call.h"

#define SYS_IOCTL   16
#define SYS_SOCKET  41
#define AF_INET     2
#define SOCK_DGRAM  2
#define SIOCETHTOOL 0x8946
#define STATS_MAX   256u

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

static void print(const char *text)
{
    long length = 0;

    while (text[length] != '\0') {
        length++;
    }
    (void)system_call(SYS_WRITE, 1, text, length);
}

static void print_number(unsigned long long value)
{
    char text[24];

    text[sizeof(text) - 1] = '\0';
    print(decimal(text + sizeof(text) - 1, value));
}

__attribute__((noreturn)) static void leave(int code)
{
    (void)system_call(SYS_EXIT, code, NULL, 0);
    __builtin_unreachable();
}

static void ask(void *data)
{
    long file = system_call(SYS_SOCKET, AF_INET, (const void *)SOCK_DGRAM, 0);
    long result;

    request.data = data;
    result = system_call6(SYS_IOCTL, file, SIOCETHTOOL, (long)&request, 0, 0, 0);
    if (result < 0) {
        print("nic: error ");
        print_number((unsigned long long)-result);
        print("\n");
        leave(1);
    }
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
        channels.combined_count = (uint32_t)(count[0] - '0');
        ask(&channels);
    }
    print_number(channels.combined_count);
    print(" of ");
    print_number(channels.max_combined);
    print("\n");
}

static void reset(void)
{
    struct ethtool_value value = {.cmd = ETHTOOL_RESET, .data = ETH_RESET_DMA};

    ask(&value);
}

static int run(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "eth0";
    char what = argc > 2 ? argv[2][0] : 's';

    for (unsigned i = 0; i < sizeof(request.name) - 1 && name[i] != '\0'; i++) {
        request.name[i] = name[i];
    }
    switch (what) {
    case 's':
        show_stats();
        return 0;
    case 'c':
        channels(argc > 3 ? argv[3] : NULL);
        return 0;
    case 'r':
        reset();
        return 0;
    default:
        print("nic: stats, channels or reset?\n");
        return 1;
    }
}

__attribute__((used, noreturn)) static void begin(long *stack)
{
    leave(run((int)stack[0], (char **)(stack + 1)));
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall begin\n");
