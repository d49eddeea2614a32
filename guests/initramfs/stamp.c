/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stamp send ADDRESS | receive: sends or receives a UDP packet and prints the time that the NIC
 * gives for it, in nanoseconds; "none" if it gives none. Without a C library.
 */
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

#include "program.h"

#define SYS_POLL       7
#define SYS_SOCKET     41
#define SYS_SENDTO     44
#define SYS_RECVMSG    47
#define SYS_BIND       49
#define SYS_SETSOCKOPT 54
#define STAMP_PORT     9319
#define STAMP_WAIT_MS  20000
#define STAMP_TOLD_MS  200
#define NANOSECONDS    1000000000ull

static char packet[64];
static union {
    char bytes[512];
    struct cmsghdr aligned;
} control;

static long check(long result, const char *what)
{
    if (result < 0) {
        print("stamp: ");
        print(what);
        print(" failed\n");
        leave(1);
    }
    return result;
}

/* In network order: an address of four bytes in decimal. */
static uint32_t address(const char *text)
{
    uint32_t bytes[4] = {0};
    unsigned i = 0;

    for (; *text != '\0' && i < 4; text++) {
        if (*text == '.') {
            i++;
        } else {
            bytes[i] = bytes[i] * 10 + (uint32_t)(*text - '0');
        }
    }
    return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | bytes[3] << 24;
}

static long open_socket(unsigned flags)
{
    long file = check(system_call(SYS_SOCKET, AF_INET, (const void *)SOCK_DGRAM, 0), "socket");

    flags |= SOF_TIMESTAMPING_RAW_HARDWARE;
    check(system_call6(SYS_SETSOCKOPT, file, SOL_SOCKET, SO_TIMESTAMPING, (long)&flags,
                       sizeof(flags), 0),
          "SO_TIMESTAMPING");
    return file;
}

/* The hardware's is the third of the three times. */
static uint64_t find_time(const struct msghdr *message)
{
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head != NULL;
         head = (struct cmsghdr *)(void *)((char *)head + CMSG_ALIGN(head->cmsg_len))) {
        if ((char *)head + sizeof(*head) > control.bytes + message->msg_controllen ||
            head->cmsg_len < sizeof(*head)) {
            break;
        }
        if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SO_TIMESTAMPING) {
            const struct timespec *times = (const void *)CMSG_DATA(head);

            return (uint64_t)times[2].tv_sec * NANOSECONDS + (uint64_t)times[2].tv_nsec;
        }
    }
    return 0;
}

/* Waits for a packet, or with MSG_ERRQUEUE for what is told of one that was sent. */
static void print_time(long file, int flags, int milliseconds)
{
    struct pollfd wait = {.fd = (int)file, .events = flags == 0 ? POLLIN : 0};
    struct iovec piece = {packet, sizeof(packet)};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control)};
    uint64_t time = 0;

    if (system_call(SYS_POLL, (long)&wait, (const void *)1, milliseconds) > 0) {
        check(system_call(SYS_RECVMSG, file, &message, flags), "recvmsg");
        time = find_time(&message);
    } else if (flags == 0) {
        check(-1, "to receive a packet");
    }
    if (time != 0) {
        print_number(time);
        print("\n");
    } else {
        print("none\n");
    }
}

static void send_one(const char *to)
{
    struct sockaddr_in peer = {
        .sin_family = AF_INET, .sin_port = htons(STAMP_PORT), .sin_addr.s_addr = address(to)};
    long file = open_socket(SOF_TIMESTAMPING_TX_HARDWARE | SOF_TIMESTAMPING_OPT_TSONLY);

    check(
        system_call6(SYS_SENDTO, file, (long)packet, sizeof(packet), 0, (long)&peer, sizeof(peer)),
        "sendto");
    print_time(file, MSG_ERRQUEUE, STAMP_TOLD_MS);
}

static void receive_one(void)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(STAMP_PORT)};
    long file = open_socket(SOF_TIMESTAMPING_RX_HARDWARE);

    check(system_call(SYS_BIND, file, &own, sizeof(own)), "bind");
    print_time(file, 0, STAMP_WAIT_MS);
}

__attribute__((used, noreturn)) static void begin(long *stack)
{
    char **arguments = (char **)(stack + 1);

    if (stack[0] == 3 && arguments[1][0] == 's') {
        send_one(arguments[2]);
    } else if (stack[0] == 2 && arguments[1][0] == 'r') {
        receive_one();
    } else {
        print("stamp send ADDRESS | receive\n");
        leave(1);
    }
    leave(0);
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall begin\n");
