/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration's links, and one that comes at run time. */
#include "core/config_parts.h"
#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"

static status_t check_ends(struct parser *parser, unsigned count, const uint32_t *ends)
{
    if (count != 2 || ends[0] == ends[1]) {
        return config_fail(parser, "ends: the names of two different VMs are wanted");
    }
    return STATUS_OK;
}

static status_t set_ends(struct parser *parser, char *value)
{
    unsigned count = 0;

    for (char *word = config_next_word(&value); word != NULL; word = config_next_word(&value)) {
        uint32_t i = config_find_vm(parser->config, word);
        if (i == parser->config->vm_count) {
            return config_fail(parser, "ends: no vm \"%s\" is declared above", word);
        }
        if (count < 2) {
            parser->link->ends[count] = i;
        }
        count++;
    }
    return check_ends(parser, count, parser->link->ends);
}

const char *config_mode_name(enum config_link_mode mode)
{
    static const char *const names[] = {"open", "gated", "direct"};

    return names[mode];
}

status_t config_parse_mode(struct parser *parser, const char *value, enum config_link_mode last,
                           enum config_link_mode *mode)
{
    for (*mode = CONFIG_LINK_OPEN; *mode <= last; ++*mode) {
        if (strcmp(value, config_mode_name(*mode)) == 0) {
            return STATUS_OK;
        }
    }
    return config_fail(parser, "mode \"%s\": %s is wanted", value,
                       last == CONFIG_LINK_DIRECT ? "open, gated or direct" : "open or gated");
}

/* Of memory that is shared, from `min` to `max` bytes. */
static status_t parse_shared(struct parser *parser, const char *keyword, const char *value,
                             uint64_t min, uint64_t max, uint64_t *bytes)
{
    uint64_t size = 0;

    if (!config_parse_size(value, &size) || size < min || size > max || !is_power_of_two(size)) {
        return config_fail(parser, "%s \"%s\": a power of two from %lluK to %lluM is wanted",
                           keyword, value, (unsigned long long)(min >> 10),
                           (unsigned long long)(max >> 20));
    }
    *bytes = size;
    return STATUS_OK;
}

status_t config_parse_window(struct parser *parser, const char *value, uint64_t *window)
{
    return parse_shared(parser, "window", value, CONFIG_WINDOW_MIN, CONFIG_WINDOW_MAX, window);
}

static status_t set_mode(struct parser *parser, char *value)
{
    return config_parse_mode(parser, value, CONFIG_LINK_DIRECT, &parser->link->mode);
}

static status_t set_pool(struct parser *parser, char *value)
{
    return parse_shared(parser, "pool", value, CONFIG_POOL_MIN, CONFIG_POOL_MAX,
                        &parser->link->pool);
}

static status_t set_window(struct parser *parser, char *value)
{
    return config_parse_window(parser, value, &parser->link->window);
}

static status_t set_queues(struct parser *parser, char *value)
{
    uint64_t count = 0;

    if (!string_to_u64(value, &count) || count > CONFIG_QUEUES_MAX || !is_power_of_two(count)) {
        return config_fail(parser, "queues \"%s\": a power of two from 1 to %u is wanted", value,
                           CONFIG_QUEUES_MAX);
    }
    parser->link->queues = (uint32_t)count;
    return STATUS_OK;
}

status_t config_parse_doorbells(struct parser *parser, const char *value, uint32_t *doorbells)
{
    uint64_t count = 0;

    if (!string_to_u64(value, &count) || count == 0 || count > CONFIG_DOORBELLS_MAX) {
        return config_fail(parser, "doorbells \"%s\": a number from 1 to %u is wanted, in a second",
                           value, CONFIG_DOORBELLS_MAX);
    }
    *doorbells = (uint32_t)count;
    return STATUS_OK;
}

static status_t set_doorbells(struct parser *parser, char *value)
{
    return config_parse_doorbells(parser, value, &parser->link->doorbells);
}

static const struct config_keyword keywords[] = {
    {"ends", true, false, set_ends},
    {"mode", false, false, set_mode},
    {"window", false, false, set_window},
    {"queues", false, false, set_queues},
    {"doorbells", false, false, set_doorbells},
    {"pool", false, false, set_pool},
};

#define ENDS 0u /* of the keywords */

static status_t close_link(struct parser *parser)
{
    struct config_link *link = parser->link;

    if (link->window / link->queues < CONFIG_WINDOW_MIN) {
        return config_fail(parser,
                           "link %s: a window of %lluK has no room for %u queues: each takes %lluK "
                           "or more",
                           link->name, (unsigned long long)(link->window >> 10), link->queues,
                           CONFIG_WINDOW_MIN >> 10);
    }
    if (link->pool != 0 && link->mode != CONFIG_LINK_DIRECT) {
        return config_fail(parser, "link %s: \"pool\" is for mode direct, and its mode is %s",
                           link->name, config_mode_name(link->mode));
    }
    if (link->pool == 0 && link->mode == CONFIG_LINK_DIRECT) {
        link->pool = CONFIG_POOL_DEFAULT;
    }
    return STATUS_OK;
}

static void open_link(struct parser *parser, void *entry)
{
    parser->link = entry;
    *parser->link = (struct config_link){.mode = CONFIG_LINK_OPEN,
                                         .window = CONFIG_WINDOW_DEFAULT,
                                         .queues = 1,
                                         .doorbells = CONFIG_DOORBELLS_DEFAULT};
}

const struct config_block config_link_block = {
    .kind = "link",
    .plural = "links",
    .keywords = keywords,
    .keyword_count = ARRAY_SIZE(keywords),
    .table = offsetof(struct config, links),
    .counter = offsetof(struct config, link_count),
    .entry_size = sizeof(struct config_link),
    .line = offsetof(struct config_link, line),
    .max = CONFIG_MAX_LINKS,
    .open = open_link,
    .close = close_link,
};

/* Keywords, each with a value of one word. */
static status_t set_words(struct parser *parser, char *words)
{
    status_t status = STATUS_OK;

    for (char *name = config_next_word(&words); name != NULL && status == STATUS_OK;
         name = config_next_word(&words)) {
        char *value = config_next_word(&words);
        status = config_set_keyword(parser, name, value != NULL ? value : name + strlen(name));
    }
    return status;
}

status_t config_parse_link(const char *name, const uint32_t ends[2], const char *words,
                           struct config_link *link, struct config_error *error)
{
    char copy[CONFIG_LINK_WORDS_SIZE];
    /* What the words cannot say: the ends. */
    struct parser parser = {.error = error, .block = &config_link_block, .seen = BIT32(ENDS)};

    open_link(&parser, link);
    memcpy(link->ends, ends, sizeof(link->ends));
    status_t status = config_check_name(&parser, name);
    if (status == STATUS_OK) {
        (void)string_copy(link->name, sizeof(link->name), name);
        status = check_ends(&parser, 2, ends);
    }
    if (status == STATUS_OK && !string_copy(copy, sizeof(copy), words)) {
        status = config_fail(&parser, "link %s: its words are longer than %u characters", name,
                             CONFIG_LINK_WORDS_SIZE - 1);
    }
    if (status == STATUS_OK) {
        status = set_words(&parser, copy);
    }
    return status == STATUS_OK ? close_link(&parser) : status;
}
