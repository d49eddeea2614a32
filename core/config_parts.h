/* SPDX-License-Identifier: BSD-2-Clause */
/* What the configuration's parsers share: config.c has the file, VMs and links, config_network.c
 * the networks. Nobody else includes this. */
#ifndef POSTERN_CORE_CONFIG_PARTS_H
#define POSTERN_CORE_CONFIG_PARTS_H

#include "core/config.h"

#define CONFIG_WINDOW_DEFAULT    (4ull << 20)
#define CONFIG_DOORBELLS_DEFAULT 100000u

struct parser;

struct config_keyword {
    const char *name;
    bool required;
    bool repeats; /* may stand several times in a block */
    status_t (*set)(struct parser *parser, char *value);
};

/* A kind of block. */
struct config_block {
    const char *kind; /* the word that opens one */
    const struct config_keyword *keywords;
    size_t keyword_count;
    /* Opens one with a name that is well-formed. */
    status_t (*open)(struct parser *parser, const char *name);
    /* Checks it when it ends, with all that is required in it. */
    status_t (*close)(struct parser *parser);
};

struct parser {
    struct config *config;
    struct config_error *error;
    uint32_t line;
    /* The open block, NULL outside; its name and line, and the one of these that it is. */
    const struct config_block *block;
    const char *name;
    uint32_t block_line;
    struct config_vm *vm;
    struct config_link *link;
    struct config_network *network;
    uint32_t seen; /* of the open block: a bit per row of its table of keywords */
    uint32_t pcpu_count;
};

/* Notes what is wrong, with the parser's line. Returns STATUS_INVALID. */
status_t config_fail(struct parser *parser, const char *format, ...) PRINTF(2, 3);

/* Takes the next word of `*text` out, terminated; NULL at the end. */
char *config_next_word(char **text);

/* A number with an optional K, M or G. */
bool config_parse_size(const char *text, uint64_t *value);

/* Values that links and networks have. */
status_t config_parse_mode(struct parser *parser, const char *value, enum config_link_mode *mode);
status_t config_parse_window(struct parser *parser, const char *value, uint64_t *window);
status_t config_parse_doorbells(struct parser *parser, const char *value, uint32_t *doorbells);

/* The VM that is declared as `name`; config->vm_count if there is none. */
uint32_t config_find_vm(const struct config *config, const char *name);

extern const struct config_block config_network_block;

#endif
