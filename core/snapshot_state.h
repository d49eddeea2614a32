/* SPDX-License-Identifier: BSD-2-Clause */
/* The records of a VM's state (core/snapshot_image.h): what each part of the core puts there and
 * takes. For snapshot.c. */
#ifndef POSTERN_CORE_SNAPSHOT_STATE_H
#define POSTERN_CORE_SNAPSHOT_STATE_H

#include "core/snapshot_image.h"
#include "core/vm.h"

#define SNAPSHOT_VM_VERSION 1u

/* What a VM must be to take the state of another. */
struct snapshot_shape {
    uint64_t memory; /* bytes */
    uint64_t tsc_hz;
    uint64_t xcr0_allowed, cr4_hidden;
    uint64_t cpuid; /* a hash of what it shows of the CPU */
    uint32_t vcpus;
    uint32_t functions; /* on its PCI bus */
    uint32_t xsave_size;
    uint32_t native;
    uint8_t rdtscp, invpcid, xsaves, mwait; /* 0 or 1 */
    uint32_t kernel;                        /* enum guest_kernel_kind; of the state, not the VM */
};

struct snapshot_vm {
    struct snapshot_shape shape;
    uint64_t tsc;          /* the guest's, when it was saved */
    uint64_t pci_address;  /* CONFIG_ADDRESS */
    uint64_t virtio_count; /* devices */
    char name[32];         /* for people */
};

_Static_assert(CONFIG_NAME_SIZE <= 32, "a VM's name");

/* Writes all records, but for what is in those of vCPUs: where that is to go is in vcpu->image and
 * vcpu->image_xsave. Under the VM's lock. */
status_t snapshot_state_save(struct vm *vm, struct snapshot_writer *writer) MUST_CHECK;

/* Whether the VM can take the records, which are valid ones; else `error` says why not. */
bool snapshot_state_fits(const struct vm *vm, const void *bytes, size_t size,
                         char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

/* Takes the records, which fit, but for what its vCPUs have to take themselves. The VM's devices
 * have been reset. Under its lock. STATUS_INVALID: a device refuses its own. */
status_t snapshot_state_load(struct vm *vm, const void *bytes, size_t size,
                             char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

#endif
