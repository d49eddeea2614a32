/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/commands_parts.h"
#include "core/network.h"
#include "lib/string.h"

static struct network *find_network(const char *name, const struct output *out)
{
    for (uint32_t i = 0; i < network_count(); i++) {
        if (strcmp(network_get(i)->config->name, name) == 0) {
            return network_get(i);
        }
    }
    print(out, "no network is named \"%s\"; the networks are:", name);
    for (uint32_t i = 0; i < network_count(); i++) {
        print(out, " %s", network_get(i)->config->name);
    }
    print(out, "\n");
    return NULL;
}

static void print_member(struct network *network, uint32_t member, const struct output *out)
{
    const struct config_network *config = network->config;
    const struct port *port = &network->ports[member];
    uint64_t drops = 0;

    spin_lock(&network->lock);
    const struct switch_port counts = network->state.ports[member];
    uint64_t full = network->full[member];
    spin_unlock(&network->lock);
    for (uint32_t i = 0; i < SWITCH_DROPS; i++) {
        drops += counts.drops[i];
    }
    print(out, "%s\t%s\t%s\t%u\t%s\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\n", config->name,
          config->mode == CONFIG_LINK_GATED ? "gated" : "open",
          config->switched_by == CONFIG_BY_HYPERVISOR
              ? "hypervisor"
              : network->ports[config->switched_by].vm->config->name,
          member, port->vm->config->name, (unsigned long long)counts.frames,
          (unsigned long long)counts.flooded, (unsigned long long)drops, (unsigned long long)full,
          (unsigned long long)atomic_load(&port->counts[POSTERN_PORT_DOORBELLS]),
          (unsigned long long)atomic_load(&port->doorbells_held));
}

status_t command_networks(const char *argument, const struct output *out)
{
    (void)argument;
    print(out, "name\tmode\tswitch\tport\tvm\tframes\tflooded\tdropped\tfull\tdoorbells\theld\n");
    for (uint32_t i = 0; i < network_count(); i++) {
        struct network *network = network_get(i);
        for (uint32_t member = 0; member < network->config->member_count; member++) {
            print_member(network, member, out);
        }
    }
    return STATUS_OK;
}

/* `entry` as abi/fdb.h has it. The switch may be a guest, and have written any. */
static void print_entry(const struct network *network, uint64_t entry, const char *kind,
                        const struct output *out)
{
    uint32_t port = (uint32_t)(entry >> POSTERN_FDB_PORT_SHIFT) - 1;
    const char *name =
        port < network->config->member_count ? network->ports[port].vm->config->name : "nobody";

    for (unsigned i = 0; i < 6; i++) {
        print(out, "%s%02x", i == 0 ? "" : ":", (unsigned)(entry >> 8 * i) & 0xff);
    }
    print(out, "\t%u\t%u\t%s\t%s\n",
          (unsigned)(entry >> POSTERN_FDB_VLAN_SHIFT) & (POSTERN_FDB_VLANS - 1), port, name, kind);
}

static void print_set(struct network *network, uint32_t set, const struct output *out)
{
    struct fdb_slot slots[POSTERN_FDB_WAYS];

    spin_lock(&network->lock);
    memcpy(slots, network->state.fdb.slots[set], sizeof(slots));
    spin_unlock(&network->lock);
    for (unsigned way = 0; way < POSTERN_FDB_WAYS; way++) {
        if (slots[way].entry != 0) {
            print_entry(network, slots[way].entry,
                        slots[way].fixed  ? "fixed"
                        : slots[way].held ? "held"
                                          : "learned",
                        out);
        }
    }
}

static void print_foreign_set(const struct network *network, uint32_t set, const struct output *out)
{
    for (unsigned way = 0; way < POSTERN_FDB_WAYS; way++) {
        uint64_t entry = POSTERN_LOAD(&network->fdb->entries[set][way]);
        if (entry >> POSTERN_FDB_PORT_SHIFT != 0) {
            print_entry(network, entry, "foreign", out);
        }
    }
}

status_t command_fdb(const char *argument, const struct output *out)
{
    struct network *network = find_network(argument, out);

    if (network == NULL) {
        return STATUS_INVALID;
    }
    print(out, "mac\tvlan\tport\tvm\tkind\n");
    for (uint32_t set = 0; set < POSTERN_FDB_SETS; set++) {
        if (network->config->switched_by == CONFIG_BY_HYPERVISOR) {
            print_set(network, set, out);
        } else {
            print_foreign_set(network, set, out);
        }
    }
    return STATUS_OK;
}
