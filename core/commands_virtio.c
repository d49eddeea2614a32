/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/commands_parts.h"
#include "core/virtio.h"
#include "core/virtio_disk.h"

static void print_devices(struct vm *vm, const struct output *out)
{
    struct virtio_summary s;

    for (uint32_t i = 0; virtio_summarize(vm, i, &s); i++) {
        print(out, "%s\t%s\t%s\t%llu\t%llu\t%llu\t%llu\n", vm->config->name, s.name, s.state,
              (unsigned long long)s.notifications, (unsigned long long)s.chains,
              (unsigned long long)s.interrupts, (unsigned long long)s.failures);
    }
}

static void print_disks(struct vm *vm, const struct output *out)
{
    struct virtio_disk_summary s;

    for (uint32_t i = 0; i < vm->config->disk_count; i++) {
        const struct config_disk *disk = &vm->config->disks[i];
        virtio_summarize_disk(vm, i, &s);
        print(out, "%s\t%s\t%s\t%llu\t%llu\t%llu\t%llu\t%llu\n", vm->config->name,
              virtio_disk_name(disk), config_disk_mode_name(disk->mode),
              (unsigned long long)(vm_boot_file(disk->image)->size >> 10),
              (unsigned long long)(s.blocks * DISK_BLOCK >> 10),
              (unsigned long long)(s.used * DISK_BLOCK >> 10), (unsigned long long)s.errors,
              (unsigned long long)s.refused);
    }
}

/* Two tables: all devices, and what the disks have besides. */
status_t command_devices(const char *argument, const struct output *out)
{
    (void)argument;
    print(out, "vm\tdevice\tstate\tnotifications\tchains\tinterrupts\tfailures\n");
    for (uint32_t i = 0; i < vm_count(); i++) {
        print_devices(vm_get(i), out);
    }
    print(out, "\nvm\tdisk\tmode\tsize_kib\toverlay_kib\tused_kib\terrors\tno_room\n");
    for (uint32_t i = 0; i < vm_count(); i++) {
        print_disks(vm_get(i), out);
    }
    return STATUS_OK;
}
