/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device's side of a virtqueue (VIRTIO 1.2, "Virtqueues"), split or packed: pure logic over a
 * guest's memory. A device model takes a chain of buffers, reads and writes them, and gives the
 * chain back; it does not see which layout it is.
 *
 *     while ((result = virtq_pop(&queue, &chain)) == VIRTQ_CHAIN) {
 *         ... use chain.pieces ...
 *         virtq_push(&queue, &chain, bytes_written);
 *     }
 *     if (virtq_must_interrupt(&queue)) { ... }
 *
 * The driver is not trusted. Each word of the rings and of descriptors is read once, and what a
 * chain names is checked before anybody touches it. A driver that breaks the rules makes the queue
 * faulty: nothing more is taken from it, and queue->fault says why.
 *
 * One CPU at a time may call these for one queue; the guest's vCPUs may write the memory meanwhile.
 */
#ifndef POSTERN_VIRTIO_QUEUE_H
#define POSTERN_VIRTIO_QUEUE_H

#include "lib/status.h"

/* The most entries of a queue: a power of two. */
#define VIRTQ_SIZE_MAX 256u
/* The most buffers of a chain, for indirect ones too. A device tells its driver a limit of its own
 * where the class has a field for it. */
#define VIRTQ_PIECES_MAX 128u

/* Guest memory, as its owner gives it. */
struct virtq_memory {
    /* The address here of guest memory [gpa, gpa + size), NULL unless all of it is RAM; `size` is
     * not 0. It stays valid for as long as queues use it. `writable`: it may be written to before
     * the caller of this queue's functions lets another CPU in. */
    void *(*map)(void *context, uint64_t gpa, uint64_t size, bool writable);
    void *context;
    /* [bytes, bytes + size), which was mapped before, was written to. NULL: nobody wants to know.
     */
    void (*wrote)(void *context, const void *bytes, uint64_t size);
};

enum virtq_fault {
    VIRTQ_FAULT_NONE,
    VIRTQ_FAULT_SIZE,     /* the queue's size is none that its layout allows */
    VIRTQ_FAULT_RING,     /* a part of the ring is outside RAM, or not aligned */
    VIRTQ_FAULT_INDEX,    /* more entries are available than the queue has */
    VIRTQ_FAULT_HEAD,     /* the first descriptor is beyond the table */
    VIRTQ_FAULT_NEXT,     /* a next descriptor is beyond its table */
    VIRTQ_FAULT_LONG,     /* a chain of too many buffers, or one that loops */
    VIRTQ_FAULT_EMPTY,    /* a buffer of no bytes */
    VIRTQ_FAULT_LARGE,    /* a chain of 4 GiB and more */
    VIRTQ_FAULT_MEMORY,   /* a buffer outside RAM */
    VIRTQ_FAULT_ORDER,    /* a buffer to read behind one to write */
    VIRTQ_FAULT_INDIRECT, /* an indirect table that may not be there, or has no legal size */
    VIRTQ_FAULTS
};

/* In a few words, for messages; never NULL. */
const char *virtq_fault_name(enum virtq_fault fault);

/* A buffer, or a part of one. */
struct virtq_piece {
    uint8_t *bytes; /* the guest's: others may change them at any time */
    uint32_t size;  /* not 0 */
};

/* Buffers that the driver gave together: first those to read, then those to write. */
struct virtq_chain {
    uint16_t id;       /* by which the driver knows it */
    uint16_t slots;    /* entries of a packed ring that it takes */
    uint32_t readable; /* pieces[0 .. readable) are the driver's data ... */
    uint32_t count;    /* ... and pieces[readable .. count) are for the device's */
    uint32_t readable_size, writable_size; /* bytes */
    struct virtq_piece pieces[VIRTQ_PIECES_MAX];
};

/* What the transport knows of a queue when the driver enables it. */
struct virtq_setup {
    const struct virtq_memory *memory;
    uint32_t size;        /* entries */
    uint64_t descriptors; /* guest-physical: the descriptor table, or the packed ring */
    uint64_t driver;      /* the driver's area: available ring, or event suppression */
    uint64_t device;      /* the device's area: used ring, or event suppression */
    uint64_t features;    /* that were negotiated */
};

struct virtq {
    const struct virtq_memory *memory;
    enum virtq_fault fault;
    uint16_t size;
    bool packed, event_idx, indirect;
    uint8_t *descriptors, *driver, *device;
    /* Split: counts of 16 bits. Packed: slots, with the ring's wrap counter. */
    uint16_t next;     /* to pop */
    uint16_t used;     /* to push */
    uint16_t reported; /* `used` when the driver was last given the choice of an interrupt */
    bool next_wrap, used_wrap, reported_wrap;
};

enum virtq_result {
    VIRTQ_NONE,  /* no chain is available */
    VIRTQ_CHAIN, /* there is one */
    VIRTQ_FAULTY /* the driver broke the rules: queue->fault */
};

/* Begins with an empty queue. STATUS_INVALID: its size or its place is not allowed; the queue is
 * faulty. */
status_t virtq_init(struct virtq *queue, const struct virtq_setup *setup) MUST_CHECK;

/* Takes the next chain, which is to be pushed later. */
enum virtq_result virtq_pop(struct virtq *queue, struct virtq_chain *chain) MUST_CHECK;

/* Gives a chain back to the driver, with `written` bytes at the beginning of its writable part. */
void virtq_push(struct virtq *queue, const struct virtq_chain *chain, uint32_t written);

/* What is left to know of a chain that is to be given back. */
struct virtq_used {
    uint16_t id, slots; /* the chain's */
    uint32_t written;
};

/* Gives `count` chains back, 1 or more: the driver sees all of them or none. */
void virtq_push_all(struct virtq *queue, const struct virtq_used *used, unsigned count);

/* A place in the queue, to which virtq_rewind() goes back: what was popped since then, of which
 * nothing was given back, is available again. */
struct virtq_mark {
    uint16_t next;
    bool wrap;
};

static inline struct virtq_mark virtq_mark(const struct virtq *queue)
{
    return (struct virtq_mark){queue->next, queue->next_wrap};
}

static inline void virtq_rewind(struct virtq *queue, struct virtq_mark mark)
{
    queue->next = mark.next;
    queue->next_wrap = mark.wrap;
}

/* Whether the driver wants an interrupt for what was pushed since the last call: no more chains
 * than the queue has entries. */
bool virtq_must_interrupt(struct virtq *queue) MUST_CHECK;

/* Asks the driver to notify when it makes the next chain available. True if there is one already,
 * of which it may not tell: it is to be taken. To be called when virtq_pop() has found none. */
bool virtq_arm(struct virtq *queue) MUST_CHECK;

/* Asks the driver not to notify, of a queue whose chains are taken when there is a use for them. It
 * may all the same. */
void virtq_disarm(struct virtq *queue);

/* A walk over one side of a chain's bytes. */
struct virtq_cursor {
    const struct virtq_piece *piece;
    uint32_t left; /* pieces, `piece` included */
    uint32_t at;   /* byte in `piece` */
};

struct virtq_cursor virtq_readable(const struct virtq_chain *chain);
struct virtq_cursor virtq_writable(const struct virtq_chain *chain);

/* The next bytes that lie together, `limit` at most, in `*bytes`, and passes over them. Returns how
 * many; 0 at the end, or for a limit of 0. */
uint32_t virtq_take(struct virtq_cursor *cursor, uint32_t limit, uint8_t **bytes);

/* Copies the next `size` bytes out of a chain, or into it. Returns how many there were. */
uint32_t virtq_copy_from(struct virtq_cursor *cursor, void *to, uint32_t size);
uint32_t virtq_copy_to(struct virtq_cursor *cursor, const void *from, uint32_t size);

#endif
