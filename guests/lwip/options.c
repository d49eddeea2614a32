/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/options.h"

#include <stddef.h>
#include <string.h>

#define DEFAULT_PREFIX 24u

static bool is_end(char byte)
{
    return byte == '\0' || byte == ' ';
}

/* What stands behind `key` if the word begins with it, else NULL. */
static const char *value_of(const char *word, const char *key)
{
    size_t length = strlen(key);

    return strncmp(word, key, length) == 0 ? word + length : NULL;
}

/* Reads a decimal number up to `limit`; returns what is behind it, or NULL. */
static const char *read_number(const char *text, uint32_t limit, uint32_t *number)
{
    const char *start = text;

    for (*number = 0; *text >= '0' && *text <= '9'; text++) {
        *number = *number * 10 + (uint32_t)(*text - '0');
        if (*number > limit) {
            return NULL;
        }
    }
    return text == start ? NULL : text;
}

static const char *read_address(const char *text, uint32_t *address)
{
    uint32_t byte;

    *address = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0 && *text++ != '.') {
            return NULL;
        }
        text = read_number(text, 255, &byte);
        if (text == NULL) {
            return NULL;
        }
        *address = *address << 8 | byte;
    }
    return text;
}

static bool read_ip(const char *text, struct options *options)
{
    uint32_t prefix = DEFAULT_PREFIX;

    text = read_address(text, &options->address);
    if (text != NULL && *text == '/') {
        text = read_number(text + 1, 32, &prefix);
    }
    if (text == NULL || !is_end(*text)) {
        return false;
    }
    options->mask = prefix == 0 ? 0 : ~0u << (32 - prefix);
    return true;
}

static bool read_hostname(const char *text, struct options *options)
{
    size_t length = 0;

    while (!is_end(text[length])) {
        if (length == HOSTNAME_SIZE - 1) {
            return false;
        }
        options->hostname[length] = text[length];
        length++;
    }
    options->hostname[length] = '\0';
    return length > 0;
}

static const char *const idle_names[IDLE_WAYS] = {
    [IDLE_HALT] = "halt", [IDLE_MWAIT] = "mwait", [IDLE_POLL] = "poll"};

const char *idle_name(enum idle idle)
{
    return idle_names[idle];
}

static bool read_idle(const char *text, struct options *options)
{
    for (unsigned i = 0; i < IDLE_WAYS; i++) {
        const char *rest = value_of(text, idle_names[i]);
        if (rest != NULL && is_end(*rest)) {
            options->idle = (enum idle)i;
            return true;
        }
    }
    return false;
}

static bool read_word(const char *word, struct options *options)
{
    const char *value;

    if ((value = value_of(word, "ip=")) != NULL) {
        return read_ip(value, options);
    }
    if ((value = value_of(word, "gw=")) != NULL) {
        value = read_address(value, &options->gateway);
        return value != NULL && is_end(*value);
    }
    if ((value = value_of(word, "idle=")) != NULL) {
        return read_idle(value, options);
    }
    if ((value = value_of(word, "hostname=")) != NULL) {
        return read_hostname(value, options);
    }
    if ((value = value_of(word, "dhcp")) != NULL && is_end(*value)) {
        options->dhcp = true;
    }
    return true;
}

const char *options_parse(const char *line, struct options *options)
{
    *options = (struct options){.hostname = "lwip"};
    while (*line != '\0') {
        if (!is_end(*line) && !read_word(line, options)) {
            return line;
        }
        while (!is_end(*line)) {
            line++;
        }
        line += *line == ' ' ? 1 : 0;
    }
    options->dhcp = options->dhcp || options->address == 0;
    return NULL;
}
