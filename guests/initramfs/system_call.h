/* SPDX-License-Identifier: BSD-2-Clause */
/* System calls of Linux for programs without a C library, which are a few hundred bytes each. */
#ifndef POSTERN_GUESTS_INITRAMFS_SYSTEM_CALL_H
#define POSTERN_GUESTS_INITRAMFS_SYSTEM_CALL_H

#define SYS_READ   0
#define SYS_WRITE  1
#define SYS_ACCESS 21
#define SYS_EXIT   60

static inline long system_call(long number, long a, const void *b, long c)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

/* With any arguments. */
static inline long system_call6(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* Writes `number` in decimal before `end`; returns its first character. */
static inline char *decimal(char *end, unsigned long long number)
{
    do {
        *--end = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    return end;
}

#endif
