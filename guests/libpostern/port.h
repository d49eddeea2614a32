/* SPDX-License-Identifier: BSD-2-Clause */
/* A port from inside: its queues, and what they are reached by. */
#ifndef POSTERN_GUESTS_LIBPOSTERN_PORT_H
#define POSTERN_GUESTS_LIBPOSTERN_PORT_H

#include "abi/hypercall.h"
#include "abi/pci.h"
#include "guests/libpostern/postern_port.h"

/* How a port reaches its window and its peer. Tests have their own. */
struct postern_port_device {
    postern_gate_t gate; /* NULL: the window can be touched as it is */
    uint32_t view;
    void *own; /* the sections */
    const void *peer;
    uint64_t section_size; /* of all queues together */
    unsigned queues;
    void (*ring)(void *context, unsigned queue); /* the doorbell */
    uint32_t (*link)(void *context);             /* the register LINK; 0: nobody knows */
    /* LINK asks for it, and the rings are closed: takes up another mode, or the view anew, and sets
     * `gate` and `view` of the port's device. NULL, or false: that cannot be done. */
    bool (*follow)(void *context, struct postern_port_device *device);
    void *context;
};

/* What one direction has for itself, in cache lines of its own. */
struct postern_queue_half {
    uint32_t busy; /* a burst or a sync is in it */
    uint64_t packets;
    uint64_t bytes;
    uint64_t dropped;
    uint64_t crossings;
    uint64_t doorbells;
    uint64_t syncs;
    uint64_t errors;
} __attribute__((aligned(64)));

struct postern_queue {
    struct postern_ring ring;
    struct postern_queue_half rx;
    struct postern_queue_half tx;
    postern_gate_t gate; /* never NULL */
    uint32_t view;
    uint32_t index;
    struct postern_port *port;
    int64_t error;  /* of a crossing, POSTERN_ERR_: the ring has to be opened again */
    uint32_t delay; /* bursts until that is tried */
};

struct postern_port {
    struct postern_queue queues[POSTERN_QUEUES_MAX];
    struct postern_port_device device;
    struct postern_port_info info;
    unsigned used; /* queues */
    bool open;     /* they are, as far as they can be */
    uint32_t mtu;
};

/*
 * Sets the port up over the device and opens its rings. The caller has set `info.number`, `mac`,
 * and zeroed the rest. False: no queue's slice has that size, or the window cannot be reached.
 */
bool postern_port_attach(struct postern_port *port, const struct postern_port_device *device,
                         uint32_t mtu);

/* Closes its rings. */
void postern_port_detach(struct postern_port *port);

/*
 * Opens the rings anew if the link is to have another mode, or the VM was restored, which is a
 * system call to know. By one who has entered both halves of the queue `entered`, or, with NULL, of
 * none. False: there is nothing else to be done with the queue now; if somebody is in another one,
 * it is to be tried again.
 */
bool postern_port_follow(struct postern_port *port, const struct postern_queue *entered);

/* A counter has one writer; it may be read at any time. */
static inline void postern_queue_add(uint64_t *counter, uint64_t value)
{
    __atomic_store_n(counter, *counter + value, __ATOMIC_RELAXED);
}

/* Keeps another thread out of a half. False: one is in it. */
static inline bool postern_queue_enter(struct postern_queue_half *half)
{
    /* Partner: the release in postern_queue_leave. */
    return __atomic_exchange_n(&half->busy, 1, __ATOMIC_ACQUIRE) == 0;
}

static inline void postern_queue_leave(struct postern_queue_half *half)
{
    __atomic_store_n(&half->busy, 0, __ATOMIC_RELEASE);
}

static inline bool postern_queue_failed(const struct postern_queue *queue)
{
    return __builtin_expect(__atomic_load_n(&queue->error, __ATOMIC_RELAXED) != 0, 0);
}

/* A crossing by one who has entered the half. Errors but ARGUMENT are noted. */
static inline int64_t postern_queue_cross(struct postern_queue *queue,
                                          struct postern_queue_half *half, uint32_t function,
                                          void *arguments)
{
    int64_t result = queue->gate(queue->view, function, arguments);

    postern_queue_add(&half->crossings, 1);
    if (__builtin_expect(result < 0 && result != POSTERN_ERR_ARGUMENT, 0)) {
        postern_queue_add(&half->errors, 1);
        __atomic_store_n(&queue->error, result, __ATOMIC_RELAXED);
    }
    return result;
}

/* queue.c. The caller has entered the half, where there is one. */

/* Sets the queue up over its slices. False: it has no size of a section. */
bool postern_queue_init(struct postern_queue *queue, struct postern_port *port, unsigned index);
/* Nobody else is in a burst. */
bool postern_queue_open(struct postern_queue *queue, struct postern_queue_half *half);
void postern_queue_close(struct postern_queue *queue);
/* Does what a result asks for: rings, and follows the peer. */
void postern_queue_heed(struct postern_queue *queue, struct postern_queue_half *half,
                        int64_t result);
/* In place of a burst, after a crossing failed. */
void postern_queue_recover(struct postern_queue *queue, struct postern_queue_half *half);

#endif
