/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration's parser: the input is the file. */
#include "tests/fuzz/fuzz.h"

#include "core/config.h"

static void check_text(const char *text, size_t size)
{
    FUZZ_CHECK(memchr(text, '\0', size) != NULL);
}

static void check_vm(const struct config_vm *vm)
{
    check_text(vm->name, sizeof(vm->name));
    check_text(vm->kernel, sizeof(vm->kernel));
    check_text(vm->initrd, sizeof(vm->initrd));
    check_text(vm->cmdline, sizeof(vm->cmdline));
    FUZZ_CHECK(vm->name[0] != '\0' && vm->kernel[0] != '\0');
    FUZZ_CHECK(vm->memory >= CONFIG_MEMORY_MIN && vm->memory <= CONFIG_MEMORY_MAX);
    FUZZ_CHECK(vm->memory % (2u << 20) == 0);
    FUZZ_CHECK(vm->vcpus >= 1 && vm->vcpus <= CONFIG_MAX_VCPUS);
    FUZZ_CHECK(vm->weight >= 1 && vm->weight <= CONFIG_WEIGHT_MAX);
    FUZZ_CHECK(vm->restarts >= 1 && vm->restarts <= CONFIG_RESTARTS_MAX);
    FUZZ_CHECK(vm->on_crash <= CONFIG_DESTROY && vm->on_reboot <= CONFIG_DESTROY);
}

/* Those that a VM starts after are VMs, and there is an order in which all can start. */
static void check_order(const struct config *config)
{
    uint32_t all = (1u << config->vm_count) - 1, started = 0;

    for (uint32_t round = 0; round < config->vm_count; round++) {
        for (uint32_t i = 0; i < config->vm_count; i++) {
            FUZZ_CHECK((config->vms[i].after & ~all) == 0);
            started |= (config->vms[i].after & ~started) == 0 ? 1u << i : 0;
        }
    }
    FUZZ_CHECK(started == all);
}

static void check_link(const struct config *config, const struct config_link *link)
{
    check_text(link->name, sizeof(link->name));
    FUZZ_CHECK(link->name[0] != '\0');
    FUZZ_CHECK(link->ends[0] < config->vm_count && link->ends[1] < config->vm_count);
    FUZZ_CHECK(link->ends[0] != link->ends[1]);
    FUZZ_CHECK(link->window >= CONFIG_WINDOW_MIN && link->window <= CONFIG_WINDOW_MAX);
    FUZZ_CHECK((link->window & (link->window - 1)) == 0);
    FUZZ_CHECK(link->queues >= 1 && link->queues <= CONFIG_QUEUES_MAX);
    FUZZ_CHECK((link->queues & (link->queues - 1)) == 0);
    FUZZ_CHECK(link->window / link->queues >= CONFIG_WINDOW_MIN);
    FUZZ_CHECK(link->doorbells >= 1 && link->doorbells <= CONFIG_DOORBELLS_MAX);
    FUZZ_CHECK(link->mode <= CONFIG_LINK_DIRECT);
    FUZZ_CHECK((link->pool != 0) == (link->mode == CONFIG_LINK_DIRECT));
    FUZZ_CHECK(link->pool == 0 || (link->pool >= CONFIG_POOL_MIN && link->pool <= CONFIG_POOL_MAX));
    FUZZ_CHECK((link->pool & (link->pool - 1)) == 0);
}

static void check_network(const struct config *config, const struct config_network *network)
{
    uint32_t members = network->member_count;

    check_text(network->name, sizeof(network->name));
    FUZZ_CHECK(network->name[0] != '\0');
    FUZZ_CHECK(members >= 2 && members <= CONFIG_MAX_MEMBERS);
    FUZZ_CHECK(network->mode <= CONFIG_LINK_GATED);
    for (uint32_t i = 0; i < members; i++) {
        FUZZ_CHECK(network->members[i] < config->vm_count);
        for (uint32_t other = 0; other < i; other++) {
            FUZZ_CHECK(network->members[other] != network->members[i]);
        }
    }
    FUZZ_CHECK(network->window / config_network_lanes(network) >= CONFIG_WINDOW_MIN);
    FUZZ_CHECK(network->window <= CONFIG_WINDOW_MAX &&
               (network->window & (network->window - 1)) == 0);
    FUZZ_CHECK(network->switched_by < members || network->switched_by == CONFIG_BY_HYPERVISOR);
    FUZZ_CHECK(network->mirrored >> members == 0);
    FUZZ_CHECK(network->mirrored == 0 || network->mirror_to < members);
    FUZZ_CHECK(network->vlan_count <= CONFIG_MAX_VLANS && network->drop_count <= CONFIG_MAX_DROPS);
    for (uint32_t i = 0; i < network->vlan_count; i++) {
        FUZZ_CHECK(network->vlans[i].member < members);
        FUZZ_CHECK(network->vlans[i].vlan - 1 < 4094);
    }
    for (uint32_t i = 0; i < network->drop_count; i++) {
        FUZZ_CHECK((network->drops[i].from | network->drops[i].to) >> members == 0);
        FUZZ_CHECK(network->drops[i].from != 0 && network->drops[i].to != 0);
    }
}

/* The text as the name of a link that comes at run time, up to a space, and its words. */
static void fuzz_one_link(const uint8_t *data, size_t size)
{
    static const struct config two = {.vm_count = 2};
    static const uint32_t ends[2] = {1, 0};
    struct config_error error = {0};
    struct config_link link;
    char *name = calloc(1, size + 1);

    FUZZ_CHECK(name != NULL);
    if (size > 0) {
        memcpy(name, data, size);
    }
    char *words = name + strcspn(name, " ");
    if (*words != '\0') {
        *words++ = '\0';
    }
    if (config_parse_link(name, ends, words, &link, &error) == STATUS_OK) {
        check_link(&two, &link);
    } else {
        check_text(error.text, sizeof(error.text));
        FUZZ_CHECK(error.text[0] != '\0' && error.line == 0);
    }
    free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config config;
    struct config_error error = {0};
    uint8_t *text = fuzz_copy(data, size);
    status_t status = config_parse((const char *)text, size, &config, &error);

    free(text);
    fuzz_one_link(data, size);
    if (status != STATUS_OK) {
        FUZZ_CHECK(status == STATUS_INVALID);
        check_text(error.text, sizeof(error.text));
        FUZZ_CHECK(error.text[0] != '\0' && error.line <= size + 1);
        return 0;
    }
    FUZZ_CHECK(config.vm_count <= CONFIG_MAX_VMS && config.link_count <= CONFIG_MAX_LINKS);
    for (uint32_t i = 0; i < config.vm_count; i++) {
        check_vm(&config.vms[i]);
    }
    check_order(&config);
    for (uint32_t i = 0; i < config.link_count; i++) {
        check_link(&config, &config.links[i]);
    }
    FUZZ_CHECK(config.network_count <= CONFIG_MAX_NETWORKS);
    for (uint32_t i = 0; i < config.network_count; i++) {
        check_network(&config, &config.networks[i]);
    }
    return 0;
}
