/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/console.h"

#include "guests/lwip/cpu.h"
#include "guests/lwip/text.h"

#define UART_DATA        0x3f8u
#define UART_LINE_STATUS 0x3fdu
#define UART_EMPTY       0x20u
#define EXIT_PORT        0xf4u
#define EXIT_GAVE_UP     1u

static void put(char byte)
{
    while ((inb(UART_LINE_STATUS) & UART_EMPTY) == 0) {
        __asm__ volatile("pause");
    }
    outb(UART_DATA, (uint8_t)byte);
}

static void print_v(const char *format, va_list arguments)
{
    char bytes[256];
    struct text text;

    text_init(&text, bytes, sizeof(bytes));
    text_add_v(&text, format, arguments);
    for (size_t i = 0; i < text.length; i++) {
        if (bytes[i] == '\n') {
            put('\r');
        }
        put(bytes[i]);
    }
}

void print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_v(format, arguments);
    va_end(arguments);
}

void give_up(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_v(format, arguments);
    va_end(arguments);
    outb(EXIT_PORT, EXIT_GAVE_UP);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

void crash(const char *format, ...)
{
    static const struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } no_idt = {0, 0};
    va_list arguments;

    va_start(arguments, format);
    print_v(format, arguments);
    va_end(arguments);
    __asm__ volatile("lidt %0; int3" : : "m"(no_idt));
    __builtin_unreachable();
}
