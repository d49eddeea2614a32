/* SPDX-License-Identifier: BSD-2-Clause */
/* What hvctl asks for between the pieces of a snapshot. */
#include "core/commands_parts.h"
#include "core/machine.h"
#include "core/snapshot.h"
#include "lib/string.h"

/* What hvctl goes by. `tracking` is 0, or tells one tracking of dirty pages from another. */
static void print_status(const struct vm *vm, const struct output *out)
{
    print(out, "vm\tstate\tmemory\tstate_size\ttracking\tharvests\tpaused\thz\n");
    print(out, "%s\t%s\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\n", vm->config->name, vm_state_name(vm),
          (unsigned long long)vm->ram_size, (unsigned long long)vm->snapshot.size,
          (unsigned long long)(vm->dirty.on ? vm->dirty.began : 0),
          (unsigned long long)vm->dirty.harvests, (unsigned long long)vm->paused_ticks,
          (unsigned long long)machine_get()->info->tsc_hz);
}

static status_t report(const struct vm *vm, status_t status, const char *error,
                       const struct output *out)
{
    if (status == STATUS_OK) {
        print_status(vm, out);
    } else {
        print(out, "%s\n", error);
    }
    return status;
}

static status_t refuse(const char *what, const char *wanted, const struct output *out)
{
    print(out, "\"%s\": %s is wanted behind the VM\n", what, wanted);
    return STATUS_INVALID;
}

status_t command_snapshot(const char *argument, const struct output *out)
{
    char error[SNAPSHOT_ERROR_SIZE] = "";
    struct vm *vm = command_take_vm(&argument, out);

    if (vm == NULL) {
        return STATUS_INVALID;
    }
    if (strcmp(argument, "save") == 0) {
        return report(vm, snapshot_save(vm, error), error, out);
    }
    if (argument[0] != '\0') {
        return refuse(argument, "save or nothing", out);
    }
    print_status(vm, out);
    return STATUS_OK;
}

static status_t drop(struct vm *vm, char error[SNAPSHOT_ERROR_SIZE])
{
    if (atomic_load(&vm->state) != VM_RESTORING) {
        (void)format_string(error, SNAPSHOT_ERROR_SIZE, "%s is not being restored",
                            vm->config->name);
        return STATUS_BUSY;
    }
    vm_end_restore(vm, false);
    return STATUS_OK;
}

status_t command_restore(const char *argument, const struct output *out)
{
    char error[SNAPSHOT_ERROR_SIZE] = "";
    struct vm *vm = command_take_vm(&argument, out);

    if (vm == NULL) {
        return STATUS_INVALID;
    }
    if (strcmp(argument, "begin") == 0) {
        return report(vm, snapshot_begin(vm, error), error, out);
    }
    if (strcmp(argument, "finish") == 0) {
        return report(vm, snapshot_restore(vm, error), error, out);
    }
    if (strcmp(argument, "drop") == 0) {
        return report(vm, drop(vm, error), error, out);
    }
    return refuse(argument, "begin, finish or drop", out);
}
