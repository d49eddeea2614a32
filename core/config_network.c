/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration's networks. */
#include "core/config_parts.h"
#include "lib/bits.h"
#include "lib/format.h"
#include "lib/string.h"

#define FLOODS_DEFAULT 10000u
#define MTU_DEFAULT    1500u
#define VLAN_MAX       4094u

static status_t set_members(struct parser *parser, char *value)
{
    struct config_network *network = parser->network;

    for (char *word = config_next_word(&value); word != NULL; word = config_next_word(&value)) {
        uint32_t vm = config_find_vm(parser->config, word);
        if (vm == parser->config->vm_count) {
            return config_fail(parser, "members: no vm \"%s\" is declared above", word);
        }
        for (uint32_t i = 0; i < network->member_count; i++) {
            if (network->members[i] == vm) {
                return config_fail(parser, "members: vm \"%s\" is named twice", word);
            }
        }
        if (network->member_count == CONFIG_MAX_MEMBERS) {
            return config_fail(parser, "members: more than %u", CONFIG_MAX_MEMBERS);
        }
        network->members[network->member_count++] = vm;
    }
    if (network->member_count < 2) {
        return config_fail(parser, "members: the names of two VMs or more are wanted");
    }
    return STATUS_OK;
}

static status_t set_mode(struct parser *parser, char *value)
{
    return config_parse_mode(parser, value, CONFIG_LINK_GATED, &parser->network->mode);
}

static status_t set_window(struct parser *parser, char *value)
{
    return config_parse_window(parser, value, &parser->network->window);
}

static status_t set_doorbells(struct parser *parser, char *value)
{
    return config_parse_doorbells(parser, value, &parser->network->doorbells);
}

/* The member that `word`, which may be NULL, names. */
static status_t find_member(struct parser *parser, const char *keyword, const char *word,
                            uint32_t *member)
{
    const struct config_network *network = parser->network;

    for (*member = 0; word != NULL && *member < network->member_count; ++*member) {
        if (strcmp(parser->config->vms[network->members[*member]].name, word) == 0) {
            return STATUS_OK;
        }
    }
    return config_fail(parser, "%s: %s%s%s is no member that is declared above", keyword,
                       word != NULL ? "\"" : "", word != NULL ? word : "nothing",
                       word != NULL ? "\"" : "");
}

static status_t no_more(struct parser *parser, const char *keyword, char *value)
{
    const char *word = config_next_word(&value);

    return word == NULL ? STATUS_OK : config_fail(parser, "%s: \"%s\" is too much", keyword, word);
}

static status_t set_switch(struct parser *parser, char *value)
{
    if (strcmp(value, "hypervisor") == 0) {
        parser->network->switched_by = CONFIG_BY_HYPERVISOR;
        return STATUS_OK;
    }
    return find_member(parser, "switch", value, &parser->network->switched_by);
}

static status_t set_macs(struct parser *parser, char *value)
{
    if (strcmp(value, "learned") != 0 && strcmp(value, "fixed") != 0) {
        return config_fail(parser, "macs \"%s\": learned or fixed is wanted", value);
    }
    parser->network->fixed_macs = strcmp(value, "fixed") == 0;
    return STATUS_OK;
}

static status_t set_floods(struct parser *parser, char *value)
{
    uint64_t rate = 0;

    if (!config_parse_size(value, &rate) || rate > CONFIG_RATE_MAX) {
        return config_fail(parser, "floods \"%s\": frames in a second are wanted, or 0 for any",
                           value);
    }
    parser->network->floods = rate;
    return STATUS_OK;
}

static status_t set_limit(struct parser *parser, char *value)
{
    uint32_t member;
    uint64_t rate = 0;
    status_t status = find_member(parser, "limit", config_next_word(&value), &member);
    const char *word = config_next_word(&value);

    if (status != STATUS_OK) {
        return status;
    }
    if (word == NULL || !config_parse_size(word, &rate) || rate == 0 || rate > CONFIG_RATE_MAX) {
        return config_fail(parser, "limit: a member and its bytes in a second are wanted");
    }
    parser->network->limits[member] = rate;
    return no_more(parser, "limit", value);
}

/* MEMBER... to MEMBER */
static status_t set_mirror(struct parser *parser, char *value)
{
    struct config_network *network = parser->network;
    const char *word = config_next_word(&value);

    for (; word != NULL && strcmp(word, "to") != 0; word = config_next_word(&value)) {
        uint32_t member;
        status_t status = find_member(parser, "mirror", word, &member);
        if (status != STATUS_OK) {
            return status;
        }
        network->mirrored |= BIT32(member);
    }
    if (word == NULL || network->mirrored == 0) {
        return config_fail(parser, "mirror: members, \"to\" and another member are wanted");
    }
    status_t status = find_member(parser, "mirror", config_next_word(&value), &network->mirror_to);
    if (status == STATUS_OK && (network->mirrored & BIT32(network->mirror_to)) != 0) {
        return config_fail(parser, "mirror: a member cannot be its own mirror");
    }
    return status == STATUS_OK ? no_more(parser, "mirror", value) : status;
}

static status_t set_virtio(struct parser *parser, char *value)
{
    for (char *word = config_next_word(&value); word != NULL; word = config_next_word(&value)) {
        uint32_t member;
        status_t status = find_member(parser, "virtio", word, &member);
        if (status != STATUS_OK) {
            return status;
        }
        parser->network->virtio |= BIT32(member);
    }
    return STATUS_OK;
}

static status_t set_mtu(struct parser *parser, char *value)
{
    uint64_t mtu = 0;

    if (!string_to_u64(value, &mtu) || mtu < CONFIG_MTU_MIN || mtu > CONFIG_MTU_MAX) {
        return config_fail(parser, "mtu \"%s\": a number from %u to %u is wanted", value,
                           CONFIG_MTU_MIN, CONFIG_MTU_MAX);
    }
    parser->network->mtu = (uint32_t)mtu;
    return STATUS_OK;
}

static status_t add_vlan(struct parser *parser, const char *keyword, uint32_t member,
                         const char *word, bool tagged)
{
    struct config_network *network = parser->network;
    uint64_t vlan = 0;

    if (word == NULL || !string_to_u64(word, &vlan) || vlan == 0 || vlan > VLAN_MAX) {
        return config_fail(parser, "%s: a member and VLANs from 1 to %u are wanted", keyword,
                           VLAN_MAX);
    }
    for (uint32_t i = 0; i < network->vlan_count; i++) {
        const struct config_vlan *other = &network->vlans[i];
        if (other->member == member && (other->vlan == vlan || (!tagged && !other->tagged))) {
            return config_fail(parser, "%s: the member has VLAN %u already", keyword, other->vlan);
        }
    }
    if (network->vlan_count == CONFIG_MAX_VLANS) {
        return config_fail(parser, "%s: more than %u VLANs of members", keyword, CONFIG_MAX_VLANS);
    }
    network->vlans[network->vlan_count++] =
        (struct config_vlan){.member = member, .vlan = (uint32_t)vlan, .tagged = tagged};
    return STATUS_OK;
}

static status_t set_vlan(struct parser *parser, char *value)
{
    uint32_t member;
    status_t status = find_member(parser, "vlan", config_next_word(&value), &member);

    if (status == STATUS_OK) {
        status = add_vlan(parser, "vlan", member, config_next_word(&value), false);
    }
    return status == STATUS_OK ? no_more(parser, "vlan", value) : status;
}

static status_t set_trunk(struct parser *parser, char *value)
{
    uint32_t member;
    status_t status = find_member(parser, "trunk", config_next_word(&value), &member);
    const char *word = config_next_word(&value);

    do {
        if (status == STATUS_OK) {
            status = add_vlan(parser, "trunk", member, word, true);
        }
        word = config_next_word(&value);
    } while (status == STATUS_OK && word != NULL);
    return status;
}

static status_t find_members(struct parser *parser, const char *word, uint32_t *members)
{
    uint32_t member;

    if (word != NULL && strcmp(word, "any") == 0) {
        *members = BIT32(parser->network->member_count) - 1;
        return STATUS_OK;
    }
    status_t status = find_member(parser, "drop", word, &member);
    if (status == STATUS_OK) {
        *members = BIT32(member);
    }
    return status;
}

static bool parse_ethertype(const char *word, uint32_t *ethertype)
{
    static const struct {
        const char *name;
        uint32_t ethertype;
    } types[] = {{"ipv4", 0x0800}, {"arp", 0x0806}, {"ipv6", 0x86dd}};
    uint64_t number = 0;

    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (strcmp(types[i].name, word) == 0) {
            *ethertype = types[i].ethertype;
            return true;
        }
    }
    if (!string_to_u64(word, &number) || number == 0 || number > UINT16_MAX) {
        return false;
    }
    *ethertype = (uint32_t)number;
    return true;
}

/* FROM TO [TYPE] */
static status_t set_drop(struct parser *parser, char *value)
{
    struct config_network *network = parser->network;
    struct config_drop drop = {0};
    status_t status = find_members(parser, config_next_word(&value), &drop.from);

    if (status == STATUS_OK) {
        status = find_members(parser, config_next_word(&value), &drop.to);
    }
    if (status != STATUS_OK) {
        return status;
    }
    const char *type = config_next_word(&value);
    if (type != NULL && !parse_ethertype(type, &drop.ethertype)) {
        return config_fail(parser,
                           "drop: type \"%s\": ipv4, ipv6, arp or a number from 1 to 65535 is "
                           "wanted",
                           type);
    }
    if (network->drop_count == CONFIG_MAX_DROPS) {
        return config_fail(parser, "drop: more than %u rules", CONFIG_MAX_DROPS);
    }
    network->drops[network->drop_count++] = drop;
    return no_more(parser, "drop", value);
}

static const struct config_keyword keywords[] = {
    {"members", true, false, set_members}, {"mode", false, false, set_mode},
    {"window", false, false, set_window},  {"doorbells", false, false, set_doorbells},
    {"switch", false, false, set_switch},  {"macs", false, false, set_macs},
    {"floods", false, false, set_floods},  {"limit", false, true, set_limit},
    {"mirror", false, false, set_mirror},  {"vlan", false, true, set_vlan},
    {"trunk", false, true, set_trunk},     {"drop", false, true, set_drop},
    {"virtio", false, false, set_virtio},  {"mtu", false, false, set_mtu},
};

#define FIRST_RULE 5u /* of the keywords: those for the hypervisor's switch alone */

static void open_network(struct parser *parser, void *entry)
{
    parser->network = entry;
    *parser->network = (struct config_network){
        .mode = CONFIG_LINK_OPEN,
        .window = CONFIG_WINDOW_DEFAULT,
        .doorbells = CONFIG_DOORBELLS_DEFAULT,
        .switched_by = CONFIG_BY_HYPERVISOR,
        .mtu = MTU_DEFAULT,
        .floods = FLOODS_DEFAULT,
        .mirror_to = CONFIG_MAX_MEMBERS,
    };
}

static status_t close_network(struct parser *parser)
{
    const struct config_network *network = parser->network;
    uint32_t lanes = config_network_lanes(network);

    if (network->window / lanes < CONFIG_WINDOW_MIN) {
        return config_fail(parser,
                           "network %s: a window of %lluK has no room for %u lanes: each takes "
                           "%lluK or more",
                           network->name, (unsigned long long)(network->window >> 10), lanes,
                           CONFIG_WINDOW_MIN >> 10);
    }
    if (network->switched_by == CONFIG_BY_HYPERVISOR) {
        return STATUS_OK;
    }
    for (size_t i = FIRST_RULE; i < ARRAY_SIZE(keywords); i++) {
        if ((parser->seen & BIT32(i)) != 0) {
            return config_fail(parser, "network %s: \"%s\" is for a network of the hypervisor's",
                               network->name, keywords[i].name);
        }
    }
    return STATUS_OK;
}

const struct config_block config_network_block = {
    .kind = "network",
    .plural = "networks",
    .keywords = keywords,
    .keyword_count = ARRAY_SIZE(keywords),
    .table = offsetof(struct config, networks),
    .counter = offsetof(struct config, network_count),
    .entry_size = sizeof(struct config_network),
    .line = offsetof(struct config_network, line),
    .max = CONFIG_MAX_NETWORKS,
    .open = open_network,
    .close = close_network,
};
