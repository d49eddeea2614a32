/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a snapshot has of a VM's views: which port each one is of, the vCPUs that may enter it, and
 * who is registered for #VE. What a view shows is not in it: that is what the port shows where the
 * VM is restored. An image may come from anybody. Pure logic.
 */
#ifndef POSTERN_CORE_VIEW_IMAGE_H
#define POSTERN_CORE_VIEW_IMAGE_H

#include "core/snapshot_image.h"

#define VE_IMAGE_VERSION   1u
#define VIEW_IMAGE_VERSION 1u

/* Of a vCPU that is registered: its number is the record's index. */
struct ve_image {
    uint64_t gpa; /* of the information area */
};

/* Of a protected view: its number is the record's index, from 1 on without a gap. */
struct view_image {
    uint32_t port;
    uint32_t vcpus; /* a bit for each one that has it in its EPTP list */
};

/* What images are judged by. */
struct view_image_limits {
    uint64_t ram_size;
    uint32_t vcpus;
    uint32_t ports;      /* at most 32 */
    uint32_t with_views; /* a bit for each port that can have a view */
};

/* Whether the records of a valid row are of a VM with these limits, and all that they tell is what
 * a guest could have made by hypercalls; else `error` says what is wrong. */
bool view_images_fit(const void *bytes, size_t size, const struct view_image_limits *limits,
                     char error[SNAPSHOT_ERROR_SIZE]) MUST_CHECK;

/* The record of vCPU `vcpu`, of view `view`, in a row that fits; NULL: there is none. */
const struct ve_image *ve_image_find(const void *bytes, size_t size, uint32_t vcpu);
const struct view_image *view_image_find(const void *bytes, size_t size, uint32_t view);

/* Room for one; NULL: there is none. */
struct ve_image *ve_image_add(struct snapshot_writer *writer, uint32_t vcpu);
struct view_image *view_image_add(struct snapshot_writer *writer, uint32_t view);

#endif
