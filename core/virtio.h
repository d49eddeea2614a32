/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio devices of the VMs: each a PCI function over the models of virtio/. What a device does
 * for its guest it does in the exit of the vCPU that notifies it, with the VM's lock, a bounded
 * part at a time.
 */
#ifndef POSTERN_CORE_VIRTIO_H
#define POSTERN_CORE_VIRTIO_H

#include "core/vm.h"

/* Makes the devices of `config` and puts them on their VMs' PCI buses, behind all ports. */
status_t virtio_create_all(const struct config *config) MUST_CHECK;

/* Makes the overlays of the VM's disks, as a part of its memory; and forgets them, which the VM
 * then gives back. Under its lock, or while nobody else knows them. */
status_t virtio_create_overlays(struct vm *vm) MUST_CHECK;
void virtio_drop_overlays(struct vm *vm);

/* The state of the VM's devices after reset: it starts anew. Under its lock. */
void virtio_reset_all(struct vm *vm);

/* The VM has started or ended: tells the networks in which it has a virtio NIC. The caller holds no
 * lock. */
void virtio_state_changed(struct vm *vm);

/* To be called when configuration space was written to. False: the access is to be made again. The
 * caller holds no lock. */
bool virtio_settle(struct vm *vm) MUST_CHECK;

/* Streams of the monitor: the virtio consoles in the order of their VMs. The VM of the one with
 * number `index`; NULL for none. */
struct vm *virtio_console_vm(uint32_t index);
/* Of such a VM: the stream's name, what the guest has printed, and what is typed; as uart16550's,
 * virtio_console_type() returns how many bytes there was room for. */
const char *virtio_console_name(const struct vm *vm);
const struct console *virtio_console_output(const struct vm *vm);
size_t virtio_console_input(struct vm *vm, const char *bytes, size_t size);

/* The function of device `index` of a VM; NULL if it has none of that number. */
struct virtio_function;
struct virtio_function *virtio_function_of(const struct vm *vm, uint32_t index);

/* A disk of the VM's that was written to, by its number in the configuration; -1: none. */
int virtio_written_disk(const struct vm *vm);

/* Disk `index` of the VM's configuration; NULL if it has none of that number. What its overlay
 * holds is there while the VM is, and is read under its lock. */
struct disk;
struct disk *virtio_disk_of(const struct vm *vm, uint32_t index);

/* What `hvctl devices` shows of a device. */
struct virtio_summary {
    const char *name;
    const char *state;
    uint64_t notifications, chains, interrupts, failures;
};

/* Of device `index` of a VM; false if it has none of that number. */
bool virtio_summarize(struct vm *vm, uint32_t index, struct virtio_summary *summary) MUST_CHECK;

/* The same of a disk. */
struct virtio_disk_summary {
    uint64_t blocks, used; /* of the overlay, each DISK_BLOCK bytes */
    uint64_t errors;       /* requests that failed ... */
    uint64_t refused;      /* ... of them those for which the overlay had no room */
};

/* Of disk `index` of the VM's configuration. */
void virtio_summarize_disk(struct vm *vm, uint32_t index, struct virtio_disk_summary *summary);

#endif
