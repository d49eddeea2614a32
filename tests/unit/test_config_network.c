/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration's networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/config.h"

#define VMS      "vm a\nkernel /k\npcpus 0\nvm b\nkernel /k\npcpus 0\nvm c\nkernel /k\npcpus 0\n"
#define VM_LINES 9u
#define NETWORK  VMS "network n\nmembers a b c\n"
#define IN       (VM_LINES + 3) /* the first line in NETWORK behind its members */

static struct config config;
static struct config_error error;

static status_t parse(const char *text)
{
    size_t size = strlen(text);
    char *copy = malloc(size);

    assert_non_null(copy);
    memcpy(copy, text, size);
    memset(&config, 0xee, sizeof(config));
    memset(&error, 0xee, sizeof(error));
    status_t status = config_parse(copy, size, &config, &error);
    free(copy);
    return status;
}

static const struct config_network *good(const char *text)
{
    if (parse(text) != STATUS_OK) {
        fail_msg("line %u: %s\nof:\n%s", error.line, error.text, text);
    }
    assert_int_equal(config.network_count, 1);
    return &config.networks[0];
}

static void bad(const char *text, unsigned line, const char *words)
{
    assert_int_equal(parse(text), STATUS_INVALID);
    assert_non_null(memchr(error.text, '\0', sizeof(error.text)));
    if (error.line != line || strstr(error.text, words) == NULL) {
        fail_msg("line %u: \"%s\", not line %u: \"%s\"\nof:\n%s", error.line, error.text, line,
                 words, text);
    }
}

static void test_defaults(void **state)
{
    const struct config_network *network = good(NETWORK);

    (void)state;
    assert_string_equal(network->name, "n");
    assert_int_equal(network->member_count, 3);
    assert_int_equal(network->members[2], 2);
    assert_int_equal(network->mode, CONFIG_LINK_OPEN);
    assert_int_equal(network->window, 4 << 20);
    assert_int_equal(network->switched_by, CONFIG_BY_HYPERVISOR);
    assert_false(network->fixed_macs);
    assert_int_equal(network->floods, 10000);
    assert_int_equal(network->doorbells, 100000);
    assert_int_equal(network->mirrored, 0);
    assert_int_equal(network->vlan_count + network->drop_count, 0);
    assert_int_equal(network->limits[0], 0);
    assert_int_equal(network->virtio, 0);
    assert_int_equal(network->mtu, 1500);
    assert_int_equal(network->line, VM_LINES + 1);
    assert_int_equal(config_network_lanes(network), 4);
}

static void test_rules(void **state)
{
    const struct config_network *network = good(NETWORK "mode gated\n"
                                                        "window 256K\n"
                                                        "macs fixed\n"
                                                        "floods 0\n"
                                                        "doorbells 5\n"
                                                        "limit a 10M\n"
                                                        "limit c 1\n"
                                                        "mirror a b to c\n"
                                                        "vlan a 4094\n"
                                                        "trunk b 1 0x10\n"
                                                        "trunk b 17\n"
                                                        "vlan b 18\n"
                                                        "drop a any\n"
                                                        "drop any b arp\n"
                                                        "drop c a 0x88cc\n"
                                                        "virtio c a\n"
                                                        "mtu 9000\n");

    (void)state;
    assert_int_equal(network->mode, CONFIG_LINK_GATED);
    assert_true(network->fixed_macs);
    assert_int_equal(network->floods, 0);
    assert_int_equal(network->doorbells, 5);
    assert_int_equal(network->limits[0], 10 << 20);
    assert_int_equal(network->limits[1], 0);
    assert_int_equal(network->limits[2], 1);
    assert_int_equal(network->mirrored, 3);
    assert_int_equal(network->mirror_to, 2);
    assert_int_equal(network->vlan_count, 5);
    assert_true(network->vlans[0].vlan == 4094 && !network->vlans[0].tagged);
    assert_true(network->vlans[2].vlan == 16 && network->vlans[2].tagged);
    assert_int_equal(network->vlans[3].member, 1);
    assert_int_equal(network->drop_count, 3);
    assert_true(network->drops[0].from == 1 && network->drops[0].to == 7);
    assert_int_equal(network->drops[0].ethertype, 0);
    assert_true(network->drops[1].from == 7 && network->drops[1].ethertype == 0x0806);
    assert_int_equal(network->drops[2].ethertype, 0x88cc);
    assert_int_equal(network->virtio, 5);
    assert_int_equal(network->mtu, 9000);
}

static void test_switch(void **state)
{
    (void)state;
    assert_int_equal(good(NETWORK "switch c\n")->switched_by, 2);
    assert_int_equal(good(NETWORK "switch hypervisor\n")->switched_by, CONFIG_BY_HYPERVISOR);
    bad(NETWORK "switch d\n", IN, "switch: \"d\" is no member");
    bad(NETWORK "switch c\nlimit a 1M\n", VM_LINES + 1, "\"limit\" is for a network of");
    bad(NETWORK "switch c\nvirtio a\n", VM_LINES + 1, "\"virtio\" is for a network of");
    bad(NETWORK "switch c\nmacs learned\n", VM_LINES + 1, "\"macs\" is for a network of");
}

static void test_mistakes(void **state)
{
    static const struct {
        const char *line, *words;
    } cases[] = {
        {"members a b", "given twice"},
        {"ends a b", "nothing that a network has"},
        {"window 32K", "a power of two"},
        {"mode direct", "open or gated"},
        {"macs any", "learned or fixed"},
        {"floods many", "frames in a second"},
        {"doorbells 0", "from 1 to"},
        {"limit", "lacks its value"},
        {"limit a", "bytes in a second"},
        {"limit a 0", "bytes in a second"},
        {"limit a 101G", "bytes in a second"},
        {"limit d 1M", "no member"},
        {"limit a 1M b", "\"b\" is too much"},
        {"mirror to c", "members, \"to\""},
        {"mirror a b", "members, \"to\""},
        {"mirror a to", "mirror: nothing is no member"},
        {"mirror a to a", "its own mirror"},
        {"mirror a to b c", "too much"},
        {"vlan a", "VLANs from 1 to 4094"},
        {"vlan a 0", "VLANs from 1 to 4094"},
        {"vlan a 4095", "VLANs from 1 to 4094"},
        {"vlan a 1 2", "too much"},
        {"trunk a", "VLANs from 1 to 4094"},
        {"trunk a 1 1", "has VLAN 1 already"},
        {"trunk d 1", "no member"},
        {"drop a", "drop: nothing is no member"},
        {"drop a d", "drop: \"d\" is no member"},
        {"drop a b ipx", "ipv4, ipv6, arp"},
        {"drop a b 65536", "ipv4, ipv6, arp"},
        {"drop a b arp 7", "too much"},
        {"virtio a d", "virtio: \"d\" is no member"},
        {"mtu 67", "from 68 to 65535"},
        {"mtu 65536", "from 68 to 65535"},
        {"mtu 1500 a", "from 68 to 65535"},
    };
    char text[1000];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)snprintf(text, sizeof(text), NETWORK "%s\n", cases[i].line);
        bad(text, IN, cases[i].words);
    }
    bad(NETWORK "vlan a 1\nvlan a 2\n", IN + 1, "has VLAN 1 already");
    bad(VMS "network n\nvlan a 1\n", VM_LINES + 2, "no member that is declared above");
    bad(VMS "network n\nmembers a\n", VM_LINES + 2, "two VMs or more");
    bad(VMS "network n\nmembers a b a\n", VM_LINES + 2, "named twice");
    bad(VMS "network n\nmembers a x\n", VM_LINES + 2, "no vm \"x\"");
    bad(VMS "network n\nmode open\n", VM_LINES + 1, "\"members\" is missing");
    bad(NETWORK "window 128K\n", VM_LINES + 1, "no room for 4 lanes");
    bad(NETWORK "network n\n", VM_LINES + 3, "declared in line 10 already");
}

static void test_limits(void **state)
{
    char text[10000];
    size_t size = 0;

    (void)state;
    for (unsigned i = 0; i < CONFIG_MAX_VMS; i++) {
        size += (size_t)sprintf(text + size, "vm v%u\nkernel /k\npcpus 0\n", i);
    }
    for (unsigned i = 0; i < CONFIG_MAX_NETWORKS; i++) {
        size += (size_t)sprintf(text + size, "network n%u\nmembers v0 v1 v2 v3 v4 v5 v6 v7\n", i);
    }
    assert_int_equal(parse(text), STATUS_OK);
    assert_int_equal(config.network_count, CONFIG_MAX_NETWORKS);
    assert_int_equal(config_network_lanes(&config.networks[7]), 8);
    (void)sprintf(text + size, "network more\n");
    bad(text, 3 * CONFIG_MAX_VMS + 2 * CONFIG_MAX_NETWORKS + 1, "more than 8 networks");
    for (unsigned i = 0; i < CONFIG_MAX_DROPS; i++) {
        size += (size_t)sprintf(text + size, "drop v0 v1\n");
    }
    assert_int_equal(parse(text), STATUS_OK);
    for (unsigned i = 0; i < CONFIG_MAX_VLANS; i++) {
        size += (size_t)sprintf(text + size, "trunk v1 %u\n", i + 1);
    }
    assert_int_equal(parse(text), STATUS_OK);
    (void)sprintf(text + size, "drop v0 v1\n");
    bad(text,
        3 * CONFIG_MAX_VMS + 2 * CONFIG_MAX_NETWORKS + CONFIG_MAX_DROPS + CONFIG_MAX_VLANS + 1,
        "more than 16 rules");
    (void)sprintf(text + size, "trunk v2 1\n");
    bad(text,
        3 * CONFIG_MAX_VMS + 2 * CONFIG_MAX_NETWORKS + CONFIG_MAX_DROPS + CONFIG_MAX_VLANS + 1,
        "more than 64 VLANs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_rules),
        cmocka_unit_test(test_switch),   cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests_name("config_network", tests, NULL, NULL);
}
