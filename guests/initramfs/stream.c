/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stream of random bytes with a checksum, both at a few instructions for eight bytes: BusyBox's
 * md5sum and /dev/urandom take a hundred times as many, which counts in an emulator.
 *
 *   stream BYTES SEED [FILE]  writes that many random bytes, fewer if there comes to be such a
 *                             file, and at last "CHECKSUM BYTES" to the standard error output
 *   stream                    reads to the end and prints "CHECKSUM BYTES"
 */
#include "system_call.h"

#define CHUNK 65536
#define WORDS (CHUNK / 8)

static unsigned long long buffer[WORDS];
static unsigned long long checksum;

static void add(unsigned long long word)
{
    checksum = (checksum ^ word) * 0x9e3779b97f4a7c15ull;
    checksum ^= checksum >> 32;
}

static long number(const char *text)
{
    long value = 0;

    while (*text >= '0' && *text <= '9') {
        value = value * 10 + (*text++ - '0');
    }
    return value;
}

static long write_all(long file, const char *bytes, long count)
{
    while (count > 0) {
        long written = system_call(SYS_WRITE, file, bytes, count);
        if (written <= 0) {
            return 1;
        }
        bytes += written;
        count -= written;
    }
    return 0;
}

static long print_result(long file, unsigned long long bytes)
{
    char text[64];
    char *end = text + sizeof(text);

    end[-1] = '\n';
    char *start = decimal(end - 1, bytes);
    *--start = ' ';
    start = decimal(start, checksum);
    return write_all(file, start, end - start);
}

/* `file`: NULL for none. */
static int is_there(const char *file)
{
    return file != 0 && system_call(SYS_ACCESS, (long)file, 0, 0) == 0;
}

static long send(long bytes, unsigned long long seed, const char *file)
{
    unsigned long long state = seed * 2 + 1; /* never 0, from which xorshift would not move */
    long left = bytes;

    for (; left > 0 && !is_there(file); left -= CHUNK) {
        long count = left < CHUNK ? left : CHUNK;
        for (long i = 0; i < WORDS; i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            buffer[i] = state;
        }
        for (long i = 0; i < count / 8; i++) {
            add(buffer[i]);
        }
        for (long i = count / 8 * 8; i < count; i++) {
            add(((unsigned char *)buffer)[i]);
        }
        if (write_all(1, (const char *)buffer, count) != 0) {
            return 1;
        }
    }
    return print_result(2, (unsigned long long)(left > 0 ? bytes - left : bytes));
}

static long receive(void)
{
    unsigned long long bytes = 0;
    long kept = 0; /* bytes at the buffer's start that are not a whole word yet */
    long count;

    while ((count = system_call(SYS_READ, 0, (char *)buffer + kept, CHUNK - kept)) > 0) {
        bytes += (unsigned long long)count;
        count += kept;
        for (long i = 0; i < count / 8; i++) {
            add(buffer[i]);
        }
        kept = count % 8;
        buffer[0] = buffer[count / 8 % WORDS]; /* of a full buffer nothing is left */
    }
    for (long i = 0; i < kept; i++) {
        add(((unsigned char *)buffer)[i]);
    }
    return count < 0 ? 1 : print_result(1, bytes);
}

/* The kernel's stack at the start: the count of arguments, then they. */
__attribute__((noreturn, used)) static void start(const long *stack)
{
    char *const *arguments = (char *const *)(stack + 1);
    long code = stack[0] == 1 ? receive() : 2;

    if (stack[0] == 3 || stack[0] == 4) { /* behind the last argument is NULL */
        code = send(number(arguments[1]), (unsigned long long)number(arguments[2]), arguments[3]);
    }
    (void)system_call(SYS_EXIT, code, 0, 0);
    __builtin_unreachable();
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");
