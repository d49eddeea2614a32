/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/commands_parts.h"
#include "core/machine.h"
#include "core/virtio_disk.h"
#include "lib/string.h"

#define CONSENT " --yes"

struct vm *command_take_vm(const char **argument, const struct output *out)
{
    char name[CONFIG_NAME_SIZE + 1]; /* one that is too long is no VM's */

    (void)command_word(argument, name, sizeof(name));
    return command_find_vm(name, out);
}

struct vm *command_find_vm(const char *name, const struct output *out)
{
    for (uint32_t i = 0; i < vm_count(); i++) {
        if (strcmp(vm_get(i)->config->name, name) == 0) {
            return vm_get(i);
        }
    }
    print(out, "no VM is named \"%s\"; the VMs are:", name);
    for (uint32_t i = 0; i < vm_count(); i++) {
        print(out, " %s", vm_get(i)->config->name);
    }
    print(out, "\n");
    return NULL;
}

/* Does what a verb is for, and says why it cannot be done. */
static status_t act(const char *name, const struct output *out, status_t (*action)(struct vm *vm))
{
    struct vm *vm = command_find_vm(name, out);
    char text[VIRTIO_DISK_TEXT_SIZE];

    if (vm == NULL) {
        return STATUS_INVALID;
    }
    status_t status = action(vm);
    if (status == STATUS_BUSY) {
        print(out, "%s is %s\n", name, vm_state_name(vm));
    } else if (status == STATUS_DENIED && !virtio_disks_are_whole(vm, text)) {
        print(out, "%s does not start: %s\n", name, text);
    } else if (status != STATUS_OK) {
        print(out, "%s: %s; the log says more\n", name, status_name(status));
    }
    return status;
}

/* The same of a verb that takes something away for good: only with "--yes" behind the name. */
static status_t act_if_meant(const char *verb, const char *argument, const char *loss,
                             const struct output *out, status_t (*action)(struct vm *vm))
{
    char name[CONFIG_NAME_SIZE];
    size_t length = strlen(argument);
    size_t consent = strlen(CONSENT);
    bool meant = length > consent && strcmp(argument + length - consent, CONSENT) == 0;

    length -= meant ? consent : 0;
    while (length > 0 && argument[length - 1] == ' ') {
        length--;
    }
    if (!meant || length >= sizeof(name)) {
        struct vm *vm = command_find_vm(argument, out);
        if (vm != NULL) {
            print(out, "%s: if you mean it: %s %s" CONSENT "\n", loss, verb, argument);
        }
        return STATUS_DENIED;
    }
    memcpy(name, argument, length);
    name[length] = '\0';
    return act(name, out, action);
}

status_t command_create(const char *argument, const struct output *out)
{
    return act(argument, out, vm_create);
}

status_t command_start(const char *argument, const struct output *out)
{
    return act(argument, out, vm_start);
}

status_t command_pause(const char *argument, const struct output *out)
{
    return act(argument, out, vm_pause);
}

status_t command_resume(const char *argument, const struct output *out)
{
    return act(argument, out, vm_resume);
}

status_t command_reset(const char *argument, const struct output *out)
{
    return act_if_meant("reset", argument,
                        "the guest is not asked, and loses what it has not saved", out, vm_reset);
}

status_t command_destroy(const char *argument, const struct output *out)
{
    return act_if_meant("destroy", argument, "its memory and its disks' overlays are lost", out,
                        vm_destroy);
}

static status_t shut_down(struct vm *vm)
{
    if (!vm_is_up(vm)) {
        return STATUS_BUSY;
    }
    vm_end(vm, CONFIG_STOP, false);
    return STATUS_OK;
}

status_t command_shutdown(const char *argument, const struct output *out)
{
    if (argument[0] == '\0' || strcmp(argument, "all") == 0) {
        machine_request_power_off();
        print(out, "the machine goes off\n");
        return STATUS_OK;
    }
    return act(argument, out, shut_down);
}
