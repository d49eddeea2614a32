/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a snapshot has of Postern's own NICs: what a driver has read of a port and goes by from then
 * on, to be compared, and where the guest has pages of the gate. Nothing of rings, views and pools:
 * a driver opens these anew. An image may come from anybody. Pure logic.
 */
#ifndef POSTERN_CORE_PORT_IMAGE_H
#define POSTERN_CORE_PORT_IMAGE_H

#include "core/snapshot_image.h"
#include "vmfunc/views.h"

#define PORT_IMAGE_VERSION  1u
#define GATES_IMAGE_VERSION 1u

/* A port, by its registers (abi/pci.h). */
struct port_image {
    uint64_t section; /* bytes */
    uint32_t device;  /* its number on the PCI bus */
    uint32_t kind;    /* POSTERN_PCI_ */
    uint32_t mode;    /* POSTERN_MODE_, as it was: another one may have been wanted */
    uint32_t end;
    uint32_t queues;
    uint32_t lanes, to_switch; /* of a member; else 0 */
    uint32_t pool;             /* bytes */
};

/* Pages of the gate that show in RAM. A crossing that was interrupted goes on in them. */
struct gates_image {
    uint64_t hash; /* of the gate */
    uint32_t gate_pages;
    uint32_t count; /* of placements, the first ones */
    struct {
        uint64_t gpa;
        uint32_t page, zero;
    } placements[VIEW_PLACEMENT_MAX];
};

/* Whether the driver of port `number` finds what it knows in `ours`, of the link or network `name`;
 * else `error` says what is another. */
bool port_image_fits(const struct port_image *theirs, const struct port_image *ours,
                     uint32_t number, const char *name, char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

/* Whether the image is of this gate, and each of its placements can be made in RAM of that size. */
bool gates_image_fits(const struct gates_image *image, uint64_t hash, uint32_t gate_pages,
                      uint64_t ram_size, char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

#endif
