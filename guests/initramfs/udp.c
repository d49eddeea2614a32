/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams from socket to socket, a system call for each, and what they take in ticks of the
 * time-stamp counter, which is one clock for all guests of a machine.
 *
 *   udp receive PORT COUNT                     takes datagrams; when the last came
 *   udp send ADDRESS PORT COUNT SIZE           sends them, SIZE bytes each; when it began
 *   udp fetch ADDRESS PORT COUNT SIZE          asks an lwIP guest for them (guests/lwip/burst.h),
 *                                              and takes them
 *   udp answer PORT COUNT [US]                 sends datagrams back, one at a time
 *   udp ask ADDRESS PORT COUNT SIZE [US]       sends them and waits for each to come back; what
 *                                              all but the first few took
 *
 * With US a socket polls its device for so many microseconds before it waits for an interrupt.
 * Prints lines "udp: NAME VALUE". Exit code 1: not all came within some seconds, or an error.
 */
#include <stddef.h>
#include <stdint.h>

#include "program.h"

#define SYS_SOCKET     41
#define SYS_SENDTO     44
#define SYS_RECVFROM   45
#define SYS_BIND       49
#define SYS_SETSOCKOPT 54
#define AF_INET        2
#define SOCK_DGRAM     2
#define SOL_SOCKET     1
#define SO_RCVTIMEO    20
#define SO_RCVBUFFORCE 33
#define SO_BUSY_POLL   46

#define WAIT_SECONDS   10
#define BUFFER         (64 << 20) /* of the socket: a receiver may be slower than its sender */
#define DATAGRAM_MAX   65536u
#define WARM           16u

struct address {
    uint16_t family;
    uint16_t port; /* in network order, as the address */
    uint8_t bytes[4];
    uint8_t zero[8];
};

static uint8_t datagram[DATAGRAM_MAX];
static long socket;
static struct address peer = {.family = AF_INET};

static void print_value(const char *name, unsigned long long value)
{
    print("udp: ");
    print(name);
    print(" ");
    print_number(value);
    print("\n");
}

static void must(long result, const char *what)
{
    if (result < 0) {
        print_value(what, (unsigned long long)-result);
        leave(1);
    }
}

/* Reads a number, and what follows it if that is `separator`. */
static unsigned long number(const char **text, char separator)
{
    unsigned long value = 0;

    while (**text >= '0' && **text <= '9') {
        value = value * 10 + (unsigned long)(*(*text)++ - '0');
    }
    if (**text == separator && separator != '\0') {
        (*text)++;
    }
    return value;
}

static uint16_t network_order(unsigned long port)
{
    return (uint16_t)(port << 8 | (port >> 8 & 0xff));
}

static void set_option(int option, const void *value, long size)
{
    must(system_call6(SYS_SETSOCKOPT, socket, SOL_SOCKET, option, (long)value, size, 0),
         "setsockopt.error");
}

static void open_socket(unsigned long busy_us)
{
    const long timeout[2] = {WAIT_SECONDS, 0};
    const int buffer = BUFFER, busy = (int)busy_us;

    socket = system_call(SYS_SOCKET, AF_INET, (const void *)SOCK_DGRAM, 0);
    must(socket, "socket.error");
    set_option(SO_RCVTIMEO, timeout, sizeof(timeout));
    set_option(SO_RCVBUFFORCE, &buffer, sizeof(buffer));
    if (busy > 0) {
        set_option(SO_BUSY_POLL, &busy, sizeof(busy));
    }
}

static void bind_to(unsigned long port)
{
    const struct address own = {.family = AF_INET, .port = network_order(port)};

    must(system_call(SYS_BIND, socket, &own, sizeof(own)), "bind.error");
}

static void send(unsigned long size)
{
    must(system_call6(SYS_SENDTO, socket, (long)datagram, (long)size, 0, (long)&peer, sizeof(peer)),
         "send.error");
}

/* Its length; the peer is its sender. */
static unsigned long receive(void)
{
    uint32_t size = sizeof(peer);
    long length = system_call6(SYS_RECVFROM, socket, (long)datagram, sizeof(datagram), 0,
                               (long)&peer, (long)&size);

    must(length, "receive.error");
    return (unsigned long)length;
}

static void receive_all(unsigned long count)
{
    unsigned long long last;

    for (unsigned long i = 0; i < count; i++) {
        (void)receive();
    }
    last = __builtin_ia32_rdtsc();
    print_value("receive.last", last);
    print_value("receive.count", count);
}

static void send_all(unsigned long count, unsigned long size)
{
    unsigned long long start = __builtin_ia32_rdtsc();

    for (unsigned long i = 0; i < count; i++) {
        send(size);
    }
    print_value("send.start", start);
    print_value("send.count", count);
}

static void fetch(unsigned long count, unsigned long size)
{
    const uint32_t order[2] = {(uint32_t)count, (uint32_t)size};
    unsigned long long start;

    __builtin_memcpy(datagram, order, sizeof(order));
    start = __builtin_ia32_rdtsc();
    send(sizeof(order));
    receive_all(count);
    print_value("send.start", start);
}

static void answer(unsigned long count)
{
    for (unsigned long i = 0; i < count; i++) {
        send(receive());
    }
}

static void ask(unsigned long count, unsigned long size)
{
    unsigned long long start = 0;

    for (unsigned long i = 0; i < WARM + count; i++) {
        if (i == WARM) {
            start = __builtin_ia32_rdtsc();
        }
        send(size);
        (void)receive();
    }
    print_value("ask.ticks", __builtin_ia32_rdtsc() - start);
    print_value("ask.count", count);
}

/* With no peer: PORT COUNT [US]. */
static void serve(const char *what, const char **words, long rest)
{
    unsigned long port = number(&words[0], '\0'), count = number(&words[1], '\0');

    open_socket(rest > 2 ? number(&words[2], '\0') : 0);
    bind_to(port);
    if (equal(what, "receive")) {
        receive_all(count);
    } else {
        answer(count + WARM);
    }
}

/* ADDRESS PORT COUNT SIZE [US]. */
static void talk(const char *what, const char **words, long rest)
{
    unsigned long count, size;

    for (unsigned i = 0; i < sizeof(peer.bytes); i++) {
        peer.bytes[i] = (uint8_t)number(&words[0], '.');
    }
    peer.port = network_order(number(&words[1], '\0'));
    count = number(&words[2], '\0');
    size = number(&words[3], '\0');
    open_socket(rest > 4 ? number(&words[4], '\0') : 0);
    if (equal(what, "send")) {
        send_all(count, size);
    } else if (equal(what, "fetch")) {
        fetch(count, size);
    } else {
        ask(count, size);
    }
}

/* The kernel's stack at the start: the count of arguments, then they. */
__attribute__((noreturn, used)) static void start(const long *stack)
{
    const char **words = (const char **)(stack + 1);
    const char *what = stack[0] > 1 ? words[1] : "";
    long rest = stack[0] - 2;

    if (rest >= 2 && (equal(what, "receive") || equal(what, "answer"))) {
        serve(what, words + 2, rest);
    } else if (rest >= 4 && (equal(what, "send") || equal(what, "fetch") || equal(what, "ask"))) {
        talk(what, words + 2, rest);
    } else {
        print("udp: receive, send, fetch, answer or ask is wanted, with numbers\n");
        leave(2);
    }
    leave(0);
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");
