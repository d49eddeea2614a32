/* SPDX-License-Identifier: BSD-2-Clause */
#include "abi/ring.h"
#include "core/commands_parts.h"
#include "core/link.h"
#include "core/pool.h"
#include "lib/bits.h"
#include "lib/string.h"

static unsigned long long count_of(const struct port *port, unsigned number)
{
    return atomic_load_explicit(&port->counts[number], memory_order_relaxed);
}

static const char *mode_of(struct port *port)
{
    spin_lock(&port->vm->lock);
    uint32_t mode = port_mode(port);
    spin_unlock(&port->vm->lock);
    return config_mode_name((enum config_link_mode)mode);
}

/* How many bytes of records the end has put into its rings since it opened them: as it says itself,
 * in memory that is its own. */
static unsigned long long sent_by(const struct port *port)
{
    unsigned long long sum = 0;

    for (uint32_t queue = 0; queue < port->queues; queue++) {
        const struct postern_ring_header *header =
            (const void *)(port->own + queue * (port->section / port->queues));
        sum += __atomic_load_n(&header->head, __ATOMIC_RELAXED);
    }
    return sum;
}

static void print_link(struct link *link, const struct output *out)
{
    struct port *ports = link->ports;

    print(out, "%s\t%s\t%s\t%s\t%llu\t%u\t%llu\t%llu\t%llu\t%llu\t%llu\t%u\t%u\n",
          link->config.name, config_mode_name(atomic_load(&link->mode)), ports[0].vm->config->name,
          ports[1].vm->config->name, (unsigned long long)(link->config.window >> 10),
          link->config.queues, count_of(&ports[0], POSTERN_PORT_DOORBELLS),
          count_of(&ports[1], POSTERN_PORT_DOORBELLS),
          (unsigned long long)atomic_load(&ports[0].doorbells_held),
          (unsigned long long)atomic_load(&ports[1].doorbells_held),
          (unsigned long long)(link->config.pool >> 10), pool_given(&ports[0]),
          pool_given(&ports[1]));
}

static void print_end(struct port *port, const struct output *out)
{
    print(out, "%s\t%s\t%s\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\n", port->link->config.name,
          port->vm->config->name, mode_of(port), count_of(port, POSTERN_PORT_INTERRUPTS),
          count_of(port, POSTERN_PORT_RESUMED), count_of(port, POSTERN_PORT_ABORTED),
          count_of(port, POSTERN_PORT_SWITCHES), count_of(port, POSTERN_PORT_VIOLATIONS),
          count_of(port, POSTERN_PORT_DOORBELLS), sent_by(port));
}

/* Two tables: the links, and what exits have had to do for each of their ends. */
status_t command_links(const char *argument, const struct output *out)
{
    (void)argument;
    print(out, "name\tmode\tend0\tend1\twindow_kib\tqueues\tdoorbells0\tdoorbells1\t"
               "held0\theld1\tpool_kib\tgiven0\tgiven1\n");
    for (uint32_t i = 0; i < CONFIG_MAX_LINKS; i++) {
        if (link_at(i) != NULL) {
            print_link(link_at(i), out);
        }
    }
    print(out, "\nlink\tvm\tmode\tinterrupts\tresumed\taborted\tswitches\tviolations\t"
               "doorbells\tsent_bytes\n");
    for (uint32_t i = 0; i < 2 * CONFIG_MAX_LINKS; i++) {
        if (link_at(i / 2) != NULL) {
            print_end(&link_at(i / 2)->ports[i % 2], out);
        }
    }
    return STATUS_OK;
}

/* NULL, and says which there are. */
static struct link *find_link(const char *name, const struct output *out)
{
    struct link *link = link_find(name);
    const char *separator = "; the links are: ";

    if (link != NULL) {
        return link;
    }
    print(out, "no link is named \"%s\"", name);
    for (uint32_t i = 0; i < CONFIG_MAX_LINKS; i++) {
        if (link_at(i) != NULL) {
            print(out, "%s%s", separator, link_at(i)->config.name);
            separator = " ";
        }
    }
    print(out, "%s\n", separator[1] == '\0' ? "" : "; there are none");
    return NULL;
}

/* Where an end does not follow at once: it has to be told apart from one that has. */
static void print_followers(struct link *link, const struct output *out)
{
    for (uint32_t end = 0; end < 2; end++) {
        struct port *port = &link->ports[end];
        print(out, "%s\t%s\t%s\t%s\n", link->config.name, port->vm->config->name, mode_of(port),
              vm_state_name(port->vm));
    }
}

static void print_state(struct link *link, const struct output *out)
{
    print(out, "link\tvm\tmode\tstate\n");
    print_followers(link, out);
}

static unsigned count_words(const char *argument)
{
    char word[2];
    unsigned count = 0;

    while (command_word(&argument, word, sizeof(word))) {
        count++;
    }
    return count;
}

/* "NAME VM VM [KEY VALUE]..." */
static status_t add(const char *argument, const struct output *out)
{
    char name[CONFIG_NAME_SIZE + 1], error[LINK_ERROR_SIZE];
    struct config_link config;
    struct config_error mistake;
    uint32_t ends[2];

    (void)command_word(&argument, name, sizeof(name));
    for (uint32_t end = 0; end < 2; end++) {
        const struct vm *vm = command_take_vm(&argument, out);
        if (vm == NULL) {
            return STATUS_INVALID;
        }
        ends[end] = vm->id;
    }
    status_t status = config_parse_link(name, ends, argument, &config, &mistake);
    if (status != STATUS_OK) {
        print(out, "%s\n", mistake.text);
        return status;
    }
    status = link_add(&config, error);
    if (status != STATUS_OK) {
        print(out, "%s\n", error);
        return status;
    }
    print_state(link_find(config.name), out);
    return STATUS_OK;
}

/* "LINK --yes" */
static status_t del(const char *argument, const struct output *out)
{
    char name[CONFIG_NAME_SIZE + 1], error[LINK_ERROR_SIZE];

    (void)command_word(&argument, name, sizeof(name));
    struct link *link = find_link(name, out);
    if (link == NULL) {
        return STATUS_INVALID;
    }
    if (strcmp(argument, "--yes") != 0) {
        print(out, "its VMs lose their NICs: if you mean it: link del %s --yes\n", name);
        return STATUS_DENIED;
    }
    status_t status = link_delete(link, error);
    if (status != STATUS_OK) {
        print(out, "%s\n", error);
    }
    return status;
}

/* "LINK open|gated" */
static status_t change_mode(const char *argument, const struct output *out)
{
    char name[CONFIG_NAME_SIZE + 1], mode[8];
    enum config_link_mode wanted;

    (void)command_word(&argument, name, sizeof(name));
    (void)command_word(&argument, mode, sizeof(mode));
    struct link *link = find_link(name, out);
    if (link == NULL) {
        return STATUS_INVALID;
    }
    if (strcmp(mode, "open") == 0 && *argument == '\0') {
        wanted = CONFIG_LINK_OPEN;
    } else if (strcmp(mode, "gated") == 0 && *argument == '\0') {
        wanted = CONFIG_LINK_GATED;
    } else {
        print(out, "\"%s\": open or gated is wanted; a link comes with mode direct\n", mode);
        return STATUS_INVALID;
    }
    if (link_set_mode(link, wanted) != STATUS_OK) {
        print(out, "%s: it came with mode direct, and stays so\n", name);
        return STATUS_UNSUPPORTED;
    }
    print_state(link, out);
    return STATUS_OK;
}

status_t command_link(const char *argument, const struct output *out)
{
    static const struct {
        const char *name, *usage;
        status_t (*run)(const char *argument, const struct output *out);
        unsigned words; /* behind it, at least */
    } verbs[] = {
        {"add", "NAME VM VM [KEY VALUE]...", add, 3},
        {"del", "LINK --yes", del, 1},
        {"mode", "LINK open|gated", change_mode, 2},
    };
    char what[8];

    (void)command_word(&argument, what, sizeof(what));
    for (unsigned i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (strcmp(verbs[i].name, what) != 0) {
            continue;
        }
        if (count_words(argument) < verbs[i].words) {
            print(out, "usage: link %s %s\n", verbs[i].name, verbs[i].usage);
            return STATUS_INVALID;
        }
        return verbs[i].run(argument, out);
    }
    print(out, "\"%s\": add, del or mode is wanted\n", what);
    return STATUS_INVALID;
}
