/* SPDX-License-Identifier: BSD-2-Clause */
/* The parser of when a VM runs, what follows its end, and its share of CPUs. */
#include "core/config_parts.h"

#include "lib/bits.h"
#include "lib/string.h"

/* A number from 1 to `max`. */
static bool parse_number(const char *text, uint32_t max, uint32_t *number)
{
    uint64_t value = 0;

    if (text == NULL || !string_to_u64(text, &value) || value == 0 || value > max) {
        return false;
    }
    *number = (uint32_t)value;
    return true;
}

status_t config_set_on_reboot(struct parser *parser, char *value)
{
    enum config_policy *policy = &parser->vm->on_reboot;

    if (strcmp(value, "restart") == 0) {
        *policy = CONFIG_RESTART;
    } else if (strcmp(value, "stop") == 0) {
        *policy = CONFIG_STOP;
    } else if (strcmp(value, "destroy") == 0) {
        *policy = CONFIG_DESTROY;
    } else {
        return config_fail(parser, "on_reboot \"%s\": restart, stop or destroy is wanted", value);
    }
    return STATUS_OK;
}

status_t config_set_on_crash(struct parser *parser, char *value)
{
    struct config_vm *vm = parser->vm;
    const char *policy = config_next_word(&value);
    const char *limit = config_next_word(&value);
    const char *more = config_next_word(&value);

    if (strcmp(policy, "restart") == 0) {
        vm->on_crash = CONFIG_RESTART;
        if (limit != NULL &&
            (more != NULL || !parse_number(limit, CONFIG_RESTARTS_MAX, &vm->restarts))) {
            return config_fail(parser, "on_crash restart \"%s\": a number from 1 to %u is wanted",
                               limit, CONFIG_RESTARTS_MAX);
        }
        return STATUS_OK;
    }
    if (limit != NULL || (strcmp(policy, "keep") != 0 && strcmp(policy, "destroy") != 0)) {
        return config_fail(
            parser,
            "on_crash \"%s\": \"restart\", with or without a number, keep or destroy is wanted",
            limit != NULL ? limit : policy);
    }
    vm->on_crash = strcmp(policy, "keep") == 0 ? CONFIG_STOP : CONFIG_DESTROY;
    return STATUS_OK;
}

status_t config_set_autostart(struct parser *parser, char *value)
{
    return config_parse_switch(parser, "autostart", value, &parser->vm->autostart);
}

status_t config_set_weight(struct parser *parser, char *value)
{
    if (!parse_number(value, CONFIG_WEIGHT_MAX, &parser->vm->weight)) {
        return config_fail(parser, "weight \"%s\": a number from 1 to %u is wanted", value,
                           CONFIG_WEIGHT_MAX);
    }
    return STATUS_OK;
}

status_t config_set_exclusive(struct parser *parser, char *value)
{
    return config_parse_switch(parser, "exclusive", value, &parser->vm->exclusive);
}

/* VMs may be declared below: their names are looked up at the end. */
status_t config_set_after(struct parser *parser, char *value)
{
    struct config_vm *vm = parser->vm;
    uint32_t count = 0;

    vm->after_line = parser->line;
    for (char *word = config_next_word(&value); word != NULL; word = config_next_word(&value)) {
        if (count == CONFIG_MAX_VMS) {
            return config_fail(parser, "after: more than %u VMs", CONFIG_MAX_VMS);
        }
        if (!string_copy(vm->after_names[count++], CONFIG_NAME_SIZE, word)) {
            return config_fail(parser, "after: no vm \"%s\" is declared", word);
        }
    }
    return STATUS_OK;
}

static status_t find_names(struct parser *parser, struct config_vm *vm)
{
    parser->line = vm->after_line;
    for (uint32_t i = 0; i < CONFIG_MAX_VMS && vm->after_names[i][0] != '\0'; i++) {
        uint32_t other = config_find_vm(parser->config, vm->after_names[i]);
        if (other == parser->config->vm_count) {
            return config_fail(parser, "after: no vm \"%s\" is declared", vm->after_names[i]);
        }
        vm->after |= BIT32(other);
    }
    return STATUS_OK;
}

/* All VMs that one waits for, directly or by way of others: a bit each. */
static uint32_t all_before(const struct config *config, uint32_t vm)
{
    uint32_t before = config->vms[vm].after;

    for (uint32_t round = 0; round < config->vm_count; round++) {
        for (uint32_t i = 0; i < config->vm_count; i++) {
            before |= (before & BIT32(i)) != 0 ? config->vms[i].after : 0;
        }
    }
    return before;
}

static status_t check_order(struct parser *parser)
{
    const struct config *config = parser->config;

    for (uint32_t i = 0; i < config->vm_count; i++) {
        const struct config_vm *vm = &config->vms[i];
        if ((all_before(config, i) & BIT32(i)) != 0) {
            parser->line = vm->after_line;
            return config_fail(parser, "vm %s: it would start after itself, for %s does", vm->name,
                               vm->after_names[0]);
        }
    }
    return STATUS_OK;
}

static bool share_pcpu(const struct config_vm *one, const struct config_vm *other, uint32_t *pcpu)
{
    for (uint32_t i = 0; i < one->vcpus; i++) {
        for (uint32_t k = 0; k < other->vcpus; k++) {
            if (one->pcpus[i] == other->pcpus[k]) {
                *pcpu = one->pcpus[i];
                return true;
            }
        }
    }
    return false;
}

static status_t check_exclusive(struct parser *parser, const struct config_vm *vm)
{
    uint32_t pcpu = 0;

    for (uint32_t i = 0; i < parser->config->vm_count && vm->exclusive; i++) {
        const struct config_vm *other = &parser->config->vms[i];
        if (other != vm && share_pcpu(vm, other, &pcpu)) {
            parser->line = vm->line;
            return config_fail(parser, "vm %s: its pcpus are exclusive, and vm %s has pcpu %u, too",
                               vm->name, other->name, pcpu);
        }
    }
    return STATUS_OK;
}

status_t config_check_life(struct parser *parser)
{
    struct config *config = parser->config;
    status_t status = STATUS_OK;

    for (uint32_t i = 0; i < config->vm_count && status == STATUS_OK; i++) {
        status = find_names(parser, &config->vms[i]);
        if (status == STATUS_OK) {
            status = check_exclusive(parser, &config->vms[i]);
        }
    }
    return status == STATUS_OK ? check_order(parser) : status;
}
