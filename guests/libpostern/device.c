/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports of /dev/postern (abi/dev.h). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/pci.h"
#include "guests/libpostern/port.h"

struct device_port {
    struct postern_port port; /* first */
    struct postern_dev_port taken;
    int file;
    void *gate;
    uint64_t gate_size; /* as it is mapped */
    void *window;
};

static void ring(void *context, unsigned queue)
{
    const struct device_port *device = context;

    /* A peer whose VM does not run misses nothing: it looks when it opens. */
    (void)ioctl(device->file, POSTERN_DEV_DOORBELL, (unsigned long)queue);
}

static uint32_t get_link(void *context)
{
    const struct device_port *device = context;
    /* The kernel's result is a long, and has bit 31; libc's is an int, and -1 for an error. */
    int link = ioctl(device->file, POSTERN_DEV_LINK);

    return link != -1 ? (uint32_t)link : 0;
}

/* Maps the gate, if there is one that is not mapped yet. */
static int map_gate(struct device_port *device)
{
    const struct postern_dev_port *taken = &device->taken;

    if (taken->gate_size != 0 && device->gate == NULL) {
        device->gate = mmap(NULL, taken->gate_size, PROT_READ | PROT_EXEC, MAP_SHARED, device->file,
                            (off_t)POSTERN_DEV_GATE);
        if (device->gate == MAP_FAILED) {
            device->gate = NULL;
            return -errno;
        }
        device->gate_size = taken->gate_size;
    }
    return 0;
}

static int map(struct device_port *device)
{
    const struct postern_dev_port *taken = &device->taken;
    int error = map_gate(device);

    if (error != 0) {
        return error;
    }
    device->window = mmap(NULL, taken->window_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                          device->file, (off_t)POSTERN_DEV_WINDOW);
    if (device->window == MAP_FAILED) {
        device->window = NULL;
        return -errno;
    }
    return 0;
}

/* Where it fails the port has what it had, and its crossings fail. */
static bool follow(void *context, struct postern_port_device *reached)
{
    struct device_port *device = context;
    struct postern_dev_port taken = device->taken;

    if (ioctl(device->file, POSTERN_DEV_FOLLOW, &taken) < 0) {
        return errno != ENOTTY;
    }
    device->taken = taken;
    if (map_gate(device) == 0) {
        reached->gate = taken.gate_size != 0 ? (postern_gate_t)(uintptr_t)device->gate : NULL;
        reached->view = taken.view;
    }
    return true;
}

static int attach(struct device_port *device, uint32_t mtu)
{
    uint64_t section = device->taken.window_size / 2;
    const struct postern_port_device reached = {
        .gate = (postern_gate_t)(uintptr_t)device->gate,
        .view = device->taken.view,
        .own = device->window,
        .peer = (const uint8_t *)device->window + section,
        .section_size = section,
        .queues = device->taken.queues,
        .ring = ring,
        .link = get_link,
        .follow = follow,
        .context = device,
    };

    device->port.info.number = device->taken.port;
    memcpy(device->port.info.mac, device->taken.mac, sizeof(device->port.info.mac));
    return postern_port_attach(&device->port, &reached, mtu) ? 0 : -EIO;
}

static void give_back(struct device_port *device)
{
    if (device->window != NULL) {
        (void)munmap(device->window, device->taken.window_size);
    }
    if (device->gate != NULL) {
        (void)munmap(device->gate, device->gate_size);
    }
    if (device->file >= 0) {
        (void)close(device->file);
    }
    free(device);
}

static int take(struct device_port *device, uint32_t number)
{
    device->taken.port = number;
    device->file = open(POSTERN_DEV_PATH, O_RDWR | O_CLOEXEC);
    if (device->file < 0 || ioctl(device->file, POSTERN_DEV_TAKE, &device->taken) < 0) {
        return -errno;
    }
    return 0;
}

int postern_port_open(uint32_t number, uint32_t mtu, struct postern_port **port)
{
    struct device_port *device = aligned_alloc(64, sizeof(*device));
    int error;

    *port = NULL;
    if (device == NULL) {
        return -ENOMEM;
    }
    memset(device, 0, sizeof(*device));
    error = take(device, number);
    if (error == 0) {
        error = map(device);
    }
    if (error == 0) {
        error = attach(device, mtu);
    }
    if (error != 0) {
        give_back(device);
        return error;
    }
    *port = &device->port;
    return 0;
}

void postern_port_close(struct postern_port *port)
{
    if (port != NULL) {
        postern_port_detach(port);
        give_back((struct device_port *)(void *)port);
    }
}
