/* SPDX-License-Identifier: BSD-2-Clause */
/* The parser of the configuration: lines of a keyword and its value, in blocks that "vm NAME",
 * "link NAME" and "network NAME" open. */
#include "core/config_parts.h"

#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"

#define MEMORY_DEFAULT  (256ull << 20)
#define MEMORY_MULTIPLE (2ull << 20)

status_t config_fail(struct parser *parser, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)format_string_v(parser->error->text, sizeof(parser->error->text), format, arguments);
    va_end(arguments);
    parser->error->line = parser->line;
    return STATUS_INVALID;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool config_parse_size(const char *text, uint64_t *value)
{
    char digits[24];
    size_t length = strlen(text);
    unsigned shift = 0;

    if (length == 0 || length >= sizeof(digits)) {
        return false;
    }
    (void)string_copy(digits, sizeof(digits), text);
    switch (digits[length - 1]) {
    case 'K':
        shift = 10;
        break;
    case 'M':
        shift = 20;
        break;
    case 'G':
        shift = 30;
        break;
    default:
        break;
    }
    if (shift != 0) {
        digits[length - 1] = '\0';
    }
    if (!string_to_u64(digits, value) || *value > (~0ull >> shift)) {
        return false;
    }
    *value <<= shift;
    return true;
}

char *config_next_word(char **text)
{
    char *word = *text;

    while (is_blank(*word)) {
        word++;
    }
    if (*word == '\0') {
        return NULL;
    }
    char *end = word;
    while (*end != '\0' && !is_blank(*end)) {
        end++;
    }
    *text = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

status_t config_parse_path(struct parser *parser, char *path, const char *value)
{
    if (value[0] != '/') {
        return config_fail(parser, "\"%s\" is no path on the boot volume: it must begin with '/'",
                           value);
    }
    if (!string_copy(path, CONFIG_PATH_SIZE, value)) {
        return config_fail(parser, "the path is longer than %u characters", CONFIG_PATH_SIZE - 1);
    }
    return STATUS_OK;
}

static status_t set_kernel(struct parser *parser, char *value)
{
    return config_parse_path(parser, parser->vm->kernel, value);
}

static status_t set_initrd(struct parser *parser, char *value)
{
    return config_parse_path(parser, parser->vm->initrd, value);
}

static status_t set_cmdline(struct parser *parser, char *value)
{
    if (!string_copy(parser->vm->cmdline, sizeof(parser->vm->cmdline), value)) {
        return config_fail(parser, "the command line is longer than %u characters",
                           CONFIG_LINE_SIZE - 1);
    }
    return STATUS_OK;
}

static status_t set_memory(struct parser *parser, char *value)
{
    uint64_t size = 0;

    if (!config_parse_size(value, &size) || size < CONFIG_MEMORY_MIN || size > CONFIG_MEMORY_MAX ||
        !is_aligned(size, MEMORY_MULTIPLE)) {
        return config_fail(parser, "memory \"%s\": a multiple of 2M from %lluM to %lluM is wanted",
                           value, CONFIG_MEMORY_MIN >> 20, CONFIG_MEMORY_MAX >> 20);
    }
    parser->vm->memory = size;
    return STATUS_OK;
}

static status_t set_vcpus(struct parser *parser, char *value)
{
    uint64_t count = 0;

    if (!string_to_u64(value, &count) || count == 0 || count > CONFIG_MAX_VCPUS) {
        return config_fail(parser, "vcpus \"%s\": a number from 1 to %u is wanted", value,
                           CONFIG_MAX_VCPUS);
    }
    parser->vm->vcpus = (uint32_t)count;
    return STATUS_OK;
}

static status_t set_pcpus(struct parser *parser, char *value)
{
    for (char *word = config_next_word(&value); word != NULL; word = config_next_word(&value)) {
        uint64_t number = 0;
        if (!string_to_u64(word, &number) || number > UINT32_MAX) {
            return config_fail(parser, "pcpus: \"%s\" is not a number", word);
        }
        if (parser->pcpu_count == CONFIG_MAX_VCPUS) {
            return config_fail(parser, "pcpus: more than %u numbers", CONFIG_MAX_VCPUS);
        }
        parser->vm->pcpus[parser->pcpu_count++] = (uint32_t)number;
    }
    return STATUS_OK;
}

uint32_t config_find_vm(const struct config *config, const char *name)
{
    uint32_t i = 0;

    while (i < config->vm_count && strcmp(config->vms[i].name, name) != 0) {
        i++;
    }
    return i;
}

status_t config_parse_switch(struct parser *parser, const char *name, const char *value, bool *on)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0) {
        return config_fail(parser, "%s \"%s\": on or off is wanted", name, value);
    }
    *on = strcmp(value, "on") == 0;
    return STATUS_OK;
}

static status_t set_mwait(struct parser *parser, char *value)
{
    return config_parse_switch(parser, "mwait", value, &parser->vm->mwait);
}

static const struct config_keyword vm_keywords[] = {
    {"kernel", true, false, set_kernel},
    {"initrd", false, false, set_initrd},
    {"cmdline", false, false, set_cmdline},
    {"memory", false, false, set_memory},
    {"vcpus", false, false, set_vcpus},
    {"pcpus", true, false, set_pcpus},
    {"weight", false, false, config_set_weight},
    {"exclusive", false, false, config_set_exclusive},
    {"autostart", false, false, config_set_autostart},
    {"after", false, false, config_set_after},
    {"on_reboot", false, false, config_set_on_reboot},
    {"on_crash", false, false, config_set_on_crash},
    {"mwait", false, false, set_mwait},
    {"rng", false, false, config_set_rng},
    {"hvc", false, false, config_set_hvc},
    {"virtqueues", false, false, config_set_virtqueues},
    {"disk", false, true, config_set_disk},
};

static status_t close_vm(struct parser *parser)
{
    struct config_vm *vm = parser->vm;

    if (parser->pcpu_count != 1 && parser->pcpu_count != vm->vcpus) {
        return config_fail(parser,
                           "vm %s: pcpus has %u numbers; one for each of its %u vcpus is wanted, "
                           "or one for all",
                           vm->name, parser->pcpu_count, vm->vcpus);
    }
    for (uint32_t i = 1; i < vm->vcpus && parser->pcpu_count == 1; i++) {
        vm->pcpus[i] = vm->pcpus[0];
    }
    return STATUS_OK;
}

/* Ends the open block, if there is one: what must be in it is. Mistakes are those of its first
 * line. */
static status_t close_block(struct parser *parser)
{
    const struct config_block *block = parser->block;
    uint32_t line = parser->line;

    if (block == NULL) {
        return STATUS_OK;
    }
    parser->line = parser->block_line;
    for (size_t i = 0; i < block->keyword_count; i++) {
        if (block->keywords[i].required && (parser->seen & BIT32(i)) == 0) {
            return config_fail(parser, "%s %s: \"%s\" is missing", block->kind, parser->name,
                               block->keywords[i].name);
        }
    }
    status_t status = block->close(parser);
    if (status == STATUS_OK) {
        parser->line = line;
    }
    parser->block = NULL;
    parser->seen = 0;
    parser->pcpu_count = 0;
    return status;
}

static bool is_name(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        bool good = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                    (*c >= '0' && *c <= '9') || *c == '-' || *c == '_' || *c == '.';
        if (!good) {
            return false;
        }
    }
    return text[0] != '\0' && text[0] != '-' && strlen(text) < CONFIG_NAME_SIZE;
}

status_t config_check_name(struct parser *parser, const char *name)
{
    if (!is_name(name)) {
        return config_fail(parser,
                           "\"%s\" is no name: 1 to %u letters, digits, '-', '_' and '.' are", name,
                           CONFIG_NAME_SIZE - 1);
    }
    return STATUS_OK;
}

static void open_vm(struct parser *parser, void *entry)
{
    parser->vm = entry;
    *parser->vm = (struct config_vm){.memory = MEMORY_DEFAULT,
                                     .vcpus = 1,
                                     .weight = CONFIG_WEIGHT_DEFAULT,
                                     .autostart = true,
                                     .on_reboot = CONFIG_RESTART,
                                     .on_crash = CONFIG_STOP,
                                     .restarts = CONFIG_RESTARTS_DEFAULT};
}

static const struct config_block vm_block = {
    .kind = "vm",
    .plural = "VMs",
    .keywords = vm_keywords,
    .keyword_count = ARRAY_SIZE(vm_keywords),
    .table = offsetof(struct config, vms),
    .counter = offsetof(struct config, vm_count),
    .entry_size = sizeof(struct config_vm),
    .line = offsetof(struct config_vm, line),
    .max = CONFIG_MAX_VMS,
    .open = open_vm,
    .close = close_vm,
};
static const struct config_block *const blocks[] = {&vm_block, &config_link_block,
                                                    &config_network_block};

/* A new entry of the block's table, with that name and its defaults. */
static status_t add_entry(struct parser *parser, const struct config_block *block, const char *name)
{
    char *config = (char *)parser->config;
    uint32_t *count = (uint32_t *)(void *)(config + block->counter);
    char *entry = config + block->table;

    for (uint32_t i = 0; i < *count; i++, entry += block->entry_size) {
        if (strcmp(entry, name) == 0) {
            return config_fail(parser, "%s %s is declared in line %u already", block->kind, name,
                               *(const uint32_t *)(const void *)(entry + block->line));
        }
    }
    if (*count == block->max) {
        return config_fail(parser, "more than %u %s", block->max, block->plural);
    }
    ++*count;
    block->open(parser, entry);
    (void)string_copy(entry, CONFIG_NAME_SIZE, name);
    *(uint32_t *)(void *)(entry + block->line) = parser->line;
    parser->name = entry;
    return STATUS_OK;
}

status_t config_set_keyword(struct parser *parser, const char *name, char *value)
{
    const struct config_block *block = parser->block;

    if (block == NULL) {
        return config_fail(
            parser,
            "\"%s\" stands outside a block: begin with \"vm NAME\", \"link NAME\" or "
            "\"network NAME\"",
            name);
    }
    for (size_t i = 0; i < block->keyword_count; i++) {
        const struct config_keyword *keyword = &block->keywords[i];
        if (strcmp(keyword->name, name) != 0) {
            continue;
        }
        if ((parser->seen & BIT32(i)) != 0 && !keyword->repeats) {
            return config_fail(parser, "\"%s\" is given twice", name);
        }
        parser->seen |= BIT32(i);
        if (value[0] == '\0') {
            return config_fail(parser, "\"%s\" lacks its value", name);
        }
        return keyword->set(parser, value);
    }
    return config_fail(parser, "\"%s\" is nothing that a %s has", name, block->kind);
}

static status_t open_block(struct parser *parser, const struct config_block *block,
                           const char *name)
{
    status_t status = close_block(parser);

    if (status == STATUS_OK) {
        status = config_check_name(parser, name);
    }
    if (status == STATUS_OK) {
        status = add_entry(parser, block, name);
    }
    parser->block = block;
    parser->block_line = parser->line;
    return status;
}

/* A line without its comment and the blanks around it, never empty. */
static status_t parse_line(struct parser *parser, char *line)
{
    char *value = line;
    char *name = config_next_word(&value);

    while (is_blank(*value)) {
        value++;
    }
    for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
        if (strcmp(name, blocks[i]->kind) == 0) {
            return open_block(parser, blocks[i], value);
        }
    }
    return config_set_keyword(parser, name, value);
}

/* Copies the next line of `text` into `line`, without comment and blanks around. A '#' begins a
 * comment at the line's start or after a blank. Returns how many bytes were passed; 0 if the line
 * is too long or has a byte that is no text. */
static size_t take_line(const char *text, size_t size, char *line, size_t line_size)
{
    size_t length = 0;
    size_t at = 0;
    bool comment = false;

    for (; at < size && text[at] != '\n'; at++) {
        char c = text[at] == '\r' && at + 1 < size && text[at + 1] == '\n' ? ' ' : text[at];
        comment = comment || (c == '#' && (length == 0 || is_blank(line[length - 1])));
        if (comment || (length == 0 && is_blank(c))) {
            continue;
        }
        if (((unsigned char)c < ' ' && c != '\t') || c == 0x7f || length + 1 == line_size) {
            return 0;
        }
        line[length++] = c;
    }
    while (length > 0 && is_blank(line[length - 1])) {
        length--;
    }
    line[length] = '\0';
    return at < size ? at + 1 : at;
}

status_t config_parse(const char *text, size_t size, struct config *config,
                      struct config_error *error)
{
    static char line[CONFIG_LINE_SIZE + 64];
    struct parser parser = {.config = config, .error = error};
    status_t status = STATUS_OK;
    size_t at = 0;

    config->vm_count = 0;
    config->link_count = 0;
    config->network_count = 0;
    while (at < size && status == STATUS_OK) {
        parser.line++;
        size_t passed = take_line(text + at, size - at, line, sizeof(line));
        if (passed == 0) {
            return config_fail(&parser,
                               "the line has bytes that are no text, or more than %u of them",
                               (unsigned)sizeof(line) - 1);
        }
        at += passed;
        if (line[0] != '\0') {
            status = parse_line(&parser, line);
        }
    }
    if (status == STATUS_OK) {
        status = close_block(&parser);
    }
    if (status == STATUS_OK) {
        status = config_check_disks(&parser);
    }
    if (status == STATUS_OK) {
        status = config_check_life(&parser);
    }
    if (status == STATUS_OK && config->vm_count == 0) {
        parser.line = 0;
        status = config_fail(&parser, "no VM is declared");
    }
    return status;
}
