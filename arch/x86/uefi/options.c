/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/uefi/options.h"

#include "lib/string.h"

static bool starts_with(const char *word, const char *prefix)
{
    return strncmp(word, prefix, strlen(prefix)) == 0;
}

/* A name is also a file's: nothing in it may lead elsewhere. */
static bool parse_config(const char *value, struct uefi_options *options)
{
    for (const char *c = value; *c != '\0'; c++) {
        bool allowed = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                       (*c >= '0' && *c <= '9') || *c == '-' || *c == '_';
        if (!allowed) {
            return false;
        }
    }
    return value[0] != '\0' && string_copy(options->config, sizeof(options->config), value);
}

static bool parse_append(const char *value, struct uefi_options *options)
{
    size_t used = strlen(options->append);
    size_t length = strlen(value);

    if (length == 0 || length + 2 > sizeof(options->append) - used) {
        return false;
    }
    options->append[used] = ' ';
    return string_copy(options->append + used + 1, sizeof(options->append) - used - 1, value);
}

static bool parse_word(const char *word, struct uefi_options *options)
{
    uint64_t number = 0;

    if (starts_with(word, "config=")) {
        return parse_config(word + 7, options);
    }
    if (starts_with(word, "append=")) {
        return parse_append(word + 7, options);
    }
    if (strcmp(word, "apicv=off") == 0 || strcmp(word, "apicv=on") == 0) {
        options->no_apicv = word[7] == 'f';
        return true;
    }
    if (strcmp(word, "test=off") == 0 || strcmp(word, "test=on") == 0) {
        options->tests = word[6] == 'n';
        return true;
    }
    if (strcmp(word, "fallback=off") == 0 || strcmp(word, "fallback=on") == 0) {
        options->fallback = word[10] == 'n';
        return true;
    }
    if (starts_with(word, "max_stay=") && string_to_u64(word + 9, &number) && number <= 1000) {
        options->max_stay_ms = (uint32_t)number;
        return true;
    }
    if (strcmp(word, "uart=none") == 0) {
        options->uart_port = 0;
        return true;
    }
    if (starts_with(word, "uart=") && string_to_u64(word + 5, &number) && number <= 0xfff8) {
        options->uart_port = (uint32_t)number;
        return true;
    }
    return false;
}

status_t options_parse(const char *text, struct uefi_options *options, char *unknown,
                       size_t unknown_size)
{
    char word[80];

    *options = (struct uefi_options){.config = "two", .uart_port = UINT32_MAX};
    while (*text != '\0') {
        size_t length = 0;
        while (*text == ' ') {
            text++;
        }
        while (text[length] != '\0' && text[length] != ' ') {
            length++;
        }
        if (length == 0) {
            break;
        }
        size_t kept = length < sizeof(word) - 1 ? length : sizeof(word) - 1;
        memcpy(word, text, kept);
        word[kept] = '\0';
        if (length != kept || !parse_word(word, options)) {
            (void)string_copy(unknown, unknown_size, word);
            return STATUS_INVALID;
        }
        text += length;
    }
    return STATUS_OK;
}
