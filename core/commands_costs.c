/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/commands_parts.h"
#include "core/costs.h"
#include "core/exits.h"
#include "lib/string.h"

static uint64_t count_all(const struct costs *costs, uint32_t reason)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < COSTS_CLASSES; i++) {
        sum += costs->counts[reason][i];
    }
    return sum;
}

static void print_vcpu(const struct vcpu *vcpu, const struct output *out)
{
    const struct costs *costs = costs_of(vcpu);

    for (uint32_t reason = 0; costs != NULL && reason < EXIT_REASON_COUNT; reason++) {
        uint64_t count = count_all(costs, reason);
        if (count == 0) {
            continue;
        }
        print(out, "%u\t%s\t%llu\t%llu", vcpu->id, exit_reason_name(reason),
              (unsigned long long)count, (unsigned long long)(costs->ticks[reason] / count));
        for (unsigned i = 0; i < COSTS_CLASSES; i++) {
            print(out, "\t%llu", (unsigned long long)costs->counts[reason][i]);
        }
        print(out, "\n");
    }
}

static status_t print_vm(const struct vm *vm, const struct output *out)
{
    print(out, "vcpu\texit\tcount\tmean_ticks");
    for (unsigned i = 0; i < COSTS_CLASSES - 1; i++) {
        print(out, "\t<%u", COSTS_FIRST << i);
    }
    print(out, "\tmore\n");
    for (uint32_t i = 0; i < vm->config->vcpus; i++) {
        print_vcpu(&vm->vcpus[i], out);
    }
    return STATUS_OK;
}

status_t command_costs(const char *argument, const struct output *out)
{
    if (strcmp(argument, "start") == 0) {
        status_t status = costs_start();
        if (status != STATUS_OK) {
            print(out, "no memory for the counts\n");
        }
        return status;
    }
    if (strcmp(argument, "stop") == 0) {
        costs_stop();
        return STATUS_OK;
    }
    struct vm *vm = command_find_vm(argument, out);
    return vm != NULL ? print_vm(vm, out) : STATUS_INVALID;
}
