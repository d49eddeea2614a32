/* SPDX-License-Identifier: BSD-2-Clause */
/* What the configuration's parsers share: config.c has the file and VMs, config_devices.c the
 * VMs' devices, config_life.c when VMs run and on whose CPUs, config_link.c the links,
 * config_network.c the networks. Nobody else includes this. */
#ifndef POSTERN_CORE_CONFIG_PARTS_H
#define POSTERN_CORE_CONFIG_PARTS_H

#include "core/config.h"

#define CONFIG_WINDOW_DEFAULT    (4ull << 20)
#define CONFIG_POOL_DEFAULT      (1ull << 20)
#define CONFIG_DOORBELLS_DEFAULT 100000u
#define CONFIG_WEIGHT_DEFAULT    100u
#define CONFIG_RESTARTS_DEFAULT  10u

struct parser;

struct config_keyword {
    const char *name;
    bool required;
    bool repeats; /* may stand several times in a block */
    status_t (*set)(struct parser *parser, char *value);
};

/* A kind of block, and the table of struct config that its blocks go to. An entry of the table
 * begins with its name. */
struct config_block {
    const char *kind, *plural; /* the word that opens one, and what several are */
    const struct config_keyword *keywords;
    size_t keyword_count;
    size_t table, counter; /* offsets in struct config: the entries, and how many there are */
    size_t entry_size;
    size_t line; /* offset in an entry: the line where it is declared */
    uint32_t max;
    /* Gives a new entry its defaults, and the parser its address. */
    void (*open)(struct parser *parser, void *entry);
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

/* Copies a path on the boot volume to `path`, of CONFIG_PATH_SIZE bytes. */
status_t config_parse_path(struct parser *parser, char *path, const char *value);

/* "on" or "off", of the keyword of that name. */
status_t config_parse_switch(struct parser *parser, const char *name, const char *value, bool *on);

/* Whether it is a name that a block may have. */
status_t config_check_name(struct parser *parser, const char *name);

/* A keyword of the open block, and its value. */
status_t config_set_keyword(struct parser *parser, const char *name, char *value);

/* Keywords of a VM's devices. */
status_t config_set_rng(struct parser *parser, char *value);
status_t config_set_hvc(struct parser *parser, char *value);
status_t config_set_virtqueues(struct parser *parser, char *value);
status_t config_set_disk(struct parser *parser, char *value);
/* At the end of the file: whether each disk that may be written to is one VM's alone. */
status_t config_check_disks(struct parser *parser);

/* Keywords of a VM's life and of its share of CPUs. */
status_t config_set_on_reboot(struct parser *parser, char *value);
status_t config_set_on_crash(struct parser *parser, char *value);
status_t config_set_autostart(struct parser *parser, char *value);
status_t config_set_after(struct parser *parser, char *value);
status_t config_set_weight(struct parser *parser, char *value);
status_t config_set_exclusive(struct parser *parser, char *value);
/* At the end of the file: finds the VMs that others start after, of which none may wait for itself,
 * and whether exclusive pCPUs are. */
status_t config_check_life(struct parser *parser);

/* Values that links and networks have. A mode is one up to `last`. */
status_t config_parse_mode(struct parser *parser, const char *value, enum config_link_mode last,
                           enum config_link_mode *mode);
status_t config_parse_window(struct parser *parser, const char *value, uint64_t *window);
status_t config_parse_doorbells(struct parser *parser, const char *value, uint32_t *doorbells);

/* The VM that is declared as `name`; config->vm_count if there is none. */
uint32_t config_find_vm(const struct config *config, const char *name);

extern const struct config_block config_link_block, config_network_block;

_Static_assert(offsetof(struct config_vm, name) == 0 && offsetof(struct config_link, name) == 0 &&
                   offsetof(struct config_network, name) == 0,
               "entries begin with their names");

#endif
