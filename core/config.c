/* SPDX-License-Identifier: BSD-2-Clause */
/* The parser of the configuration: lines of a keyword and its value, in blocks that "vm NAME" and
 * "link NAME" open. */
#include "core/config.h"

#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"

#define MEMORY_DEFAULT    (256ull << 20)
#define WINDOW_DEFAULT    (4ull << 20)
#define MEMORY_MULTIPLE   (2ull << 20)
#define DOORBELLS_DEFAULT 100000u

struct parser {
    struct config *config;
    struct config_error *error;
    uint32_t line;
    /* The open block: at most one of them. */
    struct config_vm *vm;
    struct config_link *link;
    uint32_t seen; /* of the open block: a bit per row of its table of keywords */
    uint32_t pcpu_count;
};

static status_t fail(struct parser *parser, const char *format, ...) PRINTF(2, 3);

static status_t fail(struct parser *parser, const char *format, ...)
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

/* A number with an optional K, M or G. */
static bool parse_size(const char *text, uint64_t *value)
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

/* Takes the next word of `*text` out, terminated; NULL at the end. */
static char *next_word(char **text)
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

static status_t set_path(struct parser *parser, char *path, const char *value)
{
    if (value[0] != '/') {
        return fail(parser, "\"%s\" is no path on the boot volume: it must begin with '/'", value);
    }
    if (!string_copy(path, CONFIG_PATH_SIZE, value)) {
        return fail(parser, "the path is longer than %u characters", CONFIG_PATH_SIZE - 1);
    }
    return STATUS_OK;
}

static status_t set_kernel(struct parser *parser, char *value)
{
    return set_path(parser, parser->vm->kernel, value);
}

static status_t set_initrd(struct parser *parser, char *value)
{
    return set_path(parser, parser->vm->initrd, value);
}

static status_t set_cmdline(struct parser *parser, char *value)
{
    if (!string_copy(parser->vm->cmdline, sizeof(parser->vm->cmdline), value)) {
        return fail(parser, "the command line is longer than %u characters", CONFIG_LINE_SIZE - 1);
    }
    return STATUS_OK;
}

static status_t set_memory(struct parser *parser, char *value)
{
    uint64_t size = 0;

    if (!parse_size(value, &size) || size < CONFIG_MEMORY_MIN || size > CONFIG_MEMORY_MAX ||
        !is_aligned(size, MEMORY_MULTIPLE)) {
        return fail(parser, "memory \"%s\": a multiple of 2M from %lluM to %lluM is wanted", value,
                    CONFIG_MEMORY_MIN >> 20, CONFIG_MEMORY_MAX >> 20);
    }
    parser->vm->memory = size;
    return STATUS_OK;
}

static status_t set_vcpus(struct parser *parser, char *value)
{
    uint64_t count = 0;

    if (!string_to_u64(value, &count) || count == 0 || count > CONFIG_MAX_VCPUS) {
        return fail(parser, "vcpus \"%s\": a number from 1 to %u is wanted", value,
                    CONFIG_MAX_VCPUS);
    }
    parser->vm->vcpus = (uint32_t)count;
    return STATUS_OK;
}

static status_t set_pcpus(struct parser *parser, char *value)
{
    for (char *word = next_word(&value); word != NULL; word = next_word(&value)) {
        uint64_t number = 0;
        if (!string_to_u64(word, &number) || number > UINT32_MAX) {
            return fail(parser, "pcpus: \"%s\" is not a number", word);
        }
        if (parser->pcpu_count == CONFIG_MAX_VCPUS) {
            return fail(parser, "pcpus: more than %u numbers", CONFIG_MAX_VCPUS);
        }
        parser->vm->pcpus[parser->pcpu_count++] = (uint32_t)number;
    }
    return STATUS_OK;
}

static status_t parse_policy(struct parser *parser, const char *value, enum config_policy *policy)
{
    if (strcmp(value, "stop") == 0) {
        *policy = CONFIG_STOP;
    } else if (strcmp(value, "restart") == 0) {
        *policy = CONFIG_RESTART;
    } else {
        return fail(parser, "\"%s\": stop or restart is wanted", value);
    }
    return STATUS_OK;
}

static status_t set_on_reboot(struct parser *parser, char *value)
{
    return parse_policy(parser, value, &parser->vm->on_reboot);
}

static status_t set_on_crash(struct parser *parser, char *value)
{
    return parse_policy(parser, value, &parser->vm->on_crash);
}

static status_t set_mwait(struct parser *parser, char *value)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0) {
        return fail(parser, "mwait \"%s\": on or off is wanted", value);
    }
    parser->vm->mwait = strcmp(value, "on") == 0;
    return STATUS_OK;
}

static status_t set_ends(struct parser *parser, char *value)
{
    unsigned count = 0;

    for (char *word = next_word(&value); word != NULL; word = next_word(&value)) {
        uint32_t i = 0;
        while (i < parser->config->vm_count && strcmp(parser->config->vms[i].name, word) != 0) {
            i++;
        }
        if (i == parser->config->vm_count) {
            return fail(parser, "ends: no vm \"%s\" is declared above", word);
        }
        if (count < 2) {
            parser->link->ends[count] = i;
        }
        count++;
    }
    if (count != 2 || parser->link->ends[0] == parser->link->ends[1]) {
        return fail(parser, "ends: the names of two different VMs are wanted");
    }
    return STATUS_OK;
}

static status_t set_mode(struct parser *parser, char *value)
{
    if (strcmp(value, "open") == 0) {
        parser->link->mode = CONFIG_LINK_OPEN;
    } else if (strcmp(value, "gated") == 0) {
        parser->link->mode = CONFIG_LINK_GATED;
    } else {
        return fail(parser, "mode \"%s\": open or gated is wanted", value);
    }
    return STATUS_OK;
}

static status_t set_window(struct parser *parser, char *value)
{
    uint64_t size = 0;

    if (!parse_size(value, &size) || size < CONFIG_WINDOW_MIN || size > CONFIG_WINDOW_MAX ||
        !is_power_of_two(size)) {
        return fail(parser, "window \"%s\": a power of two from %lluK to %lluM is wanted", value,
                    CONFIG_WINDOW_MIN >> 10, CONFIG_WINDOW_MAX >> 20);
    }
    parser->link->window = size;
    return STATUS_OK;
}

static status_t set_queues(struct parser *parser, char *value)
{
    uint64_t count = 0;

    if (!string_to_u64(value, &count) || count > CONFIG_QUEUES_MAX || !is_power_of_two(count)) {
        return fail(parser, "queues \"%s\": a power of two from 1 to %u is wanted", value,
                    CONFIG_QUEUES_MAX);
    }
    parser->link->queues = (uint32_t)count;
    return STATUS_OK;
}

static status_t set_doorbells(struct parser *parser, char *value)
{
    uint64_t count = 0;

    if (!string_to_u64(value, &count) || count == 0 || count > CONFIG_DOORBELLS_MAX) {
        return fail(parser, "doorbells \"%s\": a number from 1 to %u is wanted, in a second", value,
                    CONFIG_DOORBELLS_MAX);
    }
    parser->link->doorbells = (uint32_t)count;
    return STATUS_OK;
}

struct keyword {
    const char *name;
    bool required;
    status_t (*set)(struct parser *parser, char *value);
};

static const struct keyword vm_keywords[] = {
    {"kernel", true, set_kernel},        {"initrd", false, set_initrd},
    {"cmdline", false, set_cmdline},     {"memory", false, set_memory},
    {"vcpus", false, set_vcpus},         {"pcpus", true, set_pcpus},
    {"on_reboot", false, set_on_reboot}, {"on_crash", false, set_on_crash},
    {"mwait", false, set_mwait},
};

static const struct keyword link_keywords[] = {
    {"ends", true, set_ends},
    {"mode", false, set_mode},
    {"window", false, set_window},
    {"queues", false, set_queues},
    {"doorbells", false, set_doorbells},
};

static status_t check_required(struct parser *parser, const struct keyword *keywords, size_t count,
                               const char *kind, const char *name, uint32_t line)
{
    for (size_t i = 0; i < count; i++) {
        if (keywords[i].required && (parser->seen & BIT32(i)) == 0) {
            parser->line = line;
            return fail(parser, "%s %s: \"%s\" is missing", kind, name, keywords[i].name);
        }
    }
    return STATUS_OK;
}

/* Ends the open block, if there is one: what must be in it is. */
static status_t close_block(struct parser *parser)
{
    struct config_vm *vm = parser->vm;
    struct config_link *link = parser->link;
    status_t status = STATUS_OK;

    if (vm != NULL) {
        status =
            check_required(parser, vm_keywords, ARRAY_SIZE(vm_keywords), "vm", vm->name, vm->line);
        if (status == STATUS_OK && parser->pcpu_count != 1 && parser->pcpu_count != vm->vcpus) {
            parser->line = vm->line;
            status = fail(parser,
                          "vm %s: pcpus has %u numbers; one for each of its %u vcpus is "
                          "wanted, or one for all",
                          vm->name, parser->pcpu_count, vm->vcpus);
        }
        for (uint32_t i = 1; i < vm->vcpus && parser->pcpu_count == 1; i++) {
            vm->pcpus[i] = vm->pcpus[0];
        }
    } else if (link != NULL) {
        status = check_required(parser, link_keywords, ARRAY_SIZE(link_keywords), "link",
                                link->name, link->line);
        if (status == STATUS_OK && link->window / link->queues < CONFIG_WINDOW_MIN) {
            parser->line = link->line;
            status = fail(parser,
                          "link %s: a window of %lluK has no room for %u queues: each takes %lluK "
                          "or more",
                          link->name, (unsigned long long)(link->window >> 10), link->queues,
                          CONFIG_WINDOW_MIN >> 10);
        }
    }
    parser->vm = NULL;
    parser->link = NULL;
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

static status_t check_name(struct parser *parser, const char *name)
{
    if (!is_name(name)) {
        return fail(parser, "\"%s\" is no name: 1 to %u letters, digits, '-', '_' and '.' are",
                    name, CONFIG_NAME_SIZE - 1);
    }
    return STATUS_OK;
}

static status_t open_vm(struct parser *parser, const char *name)
{
    struct config *config = parser->config;
    status_t status = check_name(parser, name);

    if (status != STATUS_OK) {
        return status;
    }
    for (uint32_t i = 0; i < config->vm_count; i++) {
        if (strcmp(config->vms[i].name, name) == 0) {
            return fail(parser, "vm %s is declared in line %u already", name, config->vms[i].line);
        }
    }
    if (config->vm_count == CONFIG_MAX_VMS) {
        return fail(parser, "more than %u VMs", CONFIG_MAX_VMS);
    }
    parser->vm = &config->vms[config->vm_count++];
    *parser->vm = (struct config_vm){.memory = MEMORY_DEFAULT,
                                     .vcpus = 1,
                                     .on_reboot = CONFIG_RESTART,
                                     .on_crash = CONFIG_STOP,
                                     .line = parser->line};
    (void)string_copy(parser->vm->name, sizeof(parser->vm->name), name);
    return STATUS_OK;
}

static status_t open_link(struct parser *parser, const char *name)
{
    struct config *config = parser->config;
    status_t status = check_name(parser, name);

    if (status != STATUS_OK) {
        return status;
    }
    for (uint32_t i = 0; i < config->link_count; i++) {
        if (strcmp(config->links[i].name, name) == 0) {
            return fail(parser, "link %s is declared in line %u already", name,
                        config->links[i].line);
        }
    }
    if (config->link_count == CONFIG_MAX_LINKS) {
        return fail(parser, "more than %u links", CONFIG_MAX_LINKS);
    }
    parser->link = &config->links[config->link_count++];
    *parser->link = (struct config_link){.mode = CONFIG_LINK_OPEN,
                                         .window = WINDOW_DEFAULT,
                                         .queues = 1,
                                         .doorbells = DOORBELLS_DEFAULT,
                                         .line = parser->line};
    (void)string_copy(parser->link->name, sizeof(parser->link->name), name);
    return STATUS_OK;
}

static status_t set_keyword(struct parser *parser, const char *name, char *value)
{
    const struct keyword *keywords = parser->vm != NULL ? vm_keywords : link_keywords;
    size_t count = parser->vm != NULL ? ARRAY_SIZE(vm_keywords) : ARRAY_SIZE(link_keywords);

    if (parser->vm == NULL && parser->link == NULL) {
        return fail(parser,
                    "\"%s\" stands outside a block: begin with \"vm NAME\" or \"link NAME\"", name);
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keywords[i].name, name) != 0) {
            continue;
        }
        if ((parser->seen & BIT32(i)) != 0) {
            return fail(parser, "\"%s\" is given twice", name);
        }
        parser->seen |= BIT32(i);
        if (value[0] == '\0') {
            return fail(parser, "\"%s\" lacks its value", name);
        }
        return keywords[i].set(parser, value);
    }
    return fail(parser, "\"%s\" is nothing that a %s has", name,
                parser->vm != NULL ? "vm" : "link");
}

/* A line without its comment and the blanks around it, never empty. */
static status_t parse_line(struct parser *parser, char *line)
{
    char *value = line;
    char *name = next_word(&value);

    while (is_blank(*value)) {
        value++;
    }
    bool vm = strcmp(name, "vm") == 0;
    if (!vm && strcmp(name, "link") != 0) {
        return set_keyword(parser, name, value);
    }
    status_t status = close_block(parser);
    if (status != STATUS_OK) {
        return status;
    }
    return vm ? open_vm(parser, value) : open_link(parser, value);
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
    while (at < size && status == STATUS_OK) {
        parser.line++;
        size_t passed = take_line(text + at, size - at, line, sizeof(line));
        if (passed == 0) {
            return fail(&parser, "the line has bytes that are no text, or more than %u of them",
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
    if (status == STATUS_OK && config->vm_count == 0) {
        parser.line = 0;
        status = fail(&parser, "no VM is declared");
    }
    return status;
}
