/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/commands_parts.h"
#include "core/network.h"
#include "lib/bits.h"
#include "lib/string.h"

static const char no_networks[] = "the configuration has no networks\n";

static struct network *find_network(const char *name, const struct output *out)
{
    for (uint32_t i = 0; i < network_count(); i++) {
        if (strcmp(network_get(i)->config->name, name) == 0) {
            return network_get(i);
        }
    }
    if (network_count() == 0) {
        print(out, "%s", no_networks);
        return NULL;
    }
    print(out, "no network is named \"%s\"; the networks are:", name);
    for (uint32_t i = 0; i < network_count(); i++) {
        print(out, " %s", network_get(i)->config->name);
    }
    print(out, "\n");
    return NULL;
}

static const char *nic_name(const struct network *network, uint32_t member)
{
    if (network->nets[member] == NULL) {
        return "postern";
    }
    return network->unplugged[member] ? "unplugged" : "virtio";
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
    print(out, "%s\t%s\t%s\t%u\t%s\t%s\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\n", config->name,
          config_mode_name(config->mode),
          config->switched_by == CONFIG_BY_HYPERVISOR
              ? "hypervisor"
              : network->ports[config->switched_by].vm->config->name,
          member, port->vm->config->name, nic_name(network, member),
          (unsigned long long)counts.frames, (unsigned long long)counts.flooded,
          (unsigned long long)drops, (unsigned long long)full,
          (unsigned long long)atomic_load(&port->counts[POSTERN_PORT_DOORBELLS]),
          (unsigned long long)atomic_load(&port->doorbells_held));
}

status_t command_networks(const char *argument, const struct output *out)
{
    (void)argument;
    print(out,
          "name\tmode\tswitch\tport\tvm\tnic\tframes\tflooded\tdropped\tfull\tdoorbells\theld\n");
    for (uint32_t i = 0; i < network_count(); i++) {
        struct network *network = network_get(i);
        for (uint32_t member = 0; member < network->config->member_count; member++) {
            print_member(network, member, out);
        }
    }
    if (network_count() == 0) {
        print(out, "%s", no_networks);
    }
    return STATUS_OK;
}

/* Rules: the columns are network, rule, from, to and value. */

static void print_members(const struct network *network, uint32_t members, const struct output *out)
{
    uint32_t all = (uint32_t)BIT(network->config->member_count) - 1;
    const char *separator = "\t";

    if (members == 0 || members == all) {
        print(out, "\t%s", members == 0 ? "-" : "any");
        return;
    }
    for (uint32_t i = 0; i < network->config->member_count; i++) {
        if ((members & BIT32(i)) != 0) {
            print(out, "%s%s", separator, network->ports[i].vm->config->name);
            separator = ",";
        }
    }
}

static void print_rule(const struct network *network, const char *rule, uint32_t from, uint32_t to,
                       const struct output *out)
{
    print(out, "%s\t%s", network->config->name, rule);
    print_members(network, from, out);
    print_members(network, to, out);
}

static void print_drops(const struct network *network, const struct output *out)
{
    for (uint32_t i = 0; i < network->config->drop_count; i++) {
        const struct config_drop *drop = &network->config->drops[i];
        print_rule(network, "drop", drop->from, drop->to, out);
        print(out, drop->ethertype == 0 ? "\tany\n" : "\t0x%04x\n", drop->ethertype);
    }
}

static void print_rules(const struct network *network, const struct output *out)
{
    const struct config_network *config = network->config;
    uint32_t all = (uint32_t)BIT(config->member_count) - 1;

    print_rule(network, "macs", all, 0, out);
    print(out, "\t%s\n", config->fixed_macs ? "fixed" : "learned");
    print_rule(network, "floods", all, 0, out);
    print(out, config->floods == 0 ? "\tany\n" : "\t%llu/s\n", (unsigned long long)config->floods);
    for (uint32_t i = 0; i < config->member_count; i++) {
        if (config->limits[i] != 0) {
            print_rule(network, "limit", BIT32(i), 0, out);
            print(out, "\t%llu B/s\n", (unsigned long long)config->limits[i]);
        }
    }
    if (config->mirrored != 0) {
        print_rule(network, "mirror", config->mirrored, BIT32(config->mirror_to), out);
        print(out, "\t-\n");
    }
    for (uint32_t i = 0; i < config->vlan_count; i++) {
        print_rule(network, config->vlans[i].tagged ? "trunk" : "vlan",
                   BIT32(config->vlans[i].member), 0, out);
        print(out, "\t%u\n", config->vlans[i].vlan);
    }
    print_drops(network, out);
}

status_t command_rules(const char *argument, const struct output *out)
{
    (void)argument;
    print(out, "network\trule\tfrom\tto\tvalue\n");
    for (uint32_t i = 0; i < network_count(); i++) {
        if (network_get(i)->config->switched_by == CONFIG_BY_HYPERVISOR) {
            print_rules(network_get(i), out);
        }
    }
    if (network_count() == 0) {
        print(out, "%s", no_networks);
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

/* The member that NETWORK/VM names, whose NIC has a plug. */
static bool find_plug(const char *argument, struct network **network, uint32_t *member,
                      const struct output *out)
{
    char name[CONFIG_NAME_SIZE];
    const char *slash = strchr(argument, '/');
    size_t length = slash != NULL ? (size_t)(slash - argument) : strlen(argument);

    (void)string_copy(name, length < sizeof(name) ? length + 1 : sizeof(name), argument);
    *network = find_network(name, out);
    if (*network == NULL) {
        return false;
    }
    for (*member = 0; slash != NULL && *member < (*network)->config->member_count; ++*member) {
        if (strcmp((*network)->ports[*member].vm->config->name, slash + 1) == 0 &&
            (*network)->nets[*member] != NULL) {
            return true;
        }
    }
    print(out, "no member with a virtio NIC is named \"%s\" there\n",
          slash != NULL ? slash + 1 : "");
    return false;
}

static status_t set_plug(const char *argument, bool plugged, const struct output *out)
{
    struct network *network = NULL;
    uint32_t member = 0;

    if (!find_plug(argument, &network, &member, out)) {
        return STATUS_INVALID;
    }
    network_plug(network, member, plugged);
    return STATUS_OK;
}

status_t command_plug(const char *argument, const struct output *out)
{
    return set_plug(argument, true, out);
}

status_t command_unplug(const char *argument, const struct output *out)
{
    return set_plug(argument, false, out);
}
