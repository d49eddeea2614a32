/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One direction of a link's ring (abi/ring_ops.h) for spin: a producer and a consumer that remember
 * each other's index, publish in batches, sleep, and wake each other with doorbells. Names are those
 * of ring_ops.h. A record takes one unit of the data area: lengths and pads are for the unit tests.
 *
 * Memory is weaker than x86's: a store waits in its CPU's buffer and leaves it at any time, before
 * or after stores to other words. A release leaves when all that is older has left; a full barrier
 * waits until the buffer is empty, and so does a doorbell, which is a VM exit. With -DTSO stores
 * leave in their order, which is x86's model. Loads are made in order; where an acquire or a release
 * holds one back, the mutant without it makes the load too early or too late.
 *
 * Properties, each checked apart:
 *   -DCHECK_EARLY      no record is read before it is published
 *   -DCHECK_LOST       no record is overwritten before it is released
 *   -DCHECK_INDICES    no index of an honest peer looks like a fault
 *   -DCHECK_DOORBELLS  an event that is set once makes at most one doorbell
 *   none of them       no wake-up is lost: spin finds no state in which an end sleeps for ever
 * -DNO_... and -DWRONG_... make the mutants; tests/model/check.py lists them.
 */

#ifndef UNITS
#define UNITS 2 /* of the data area */
#endif
/* More than UNITS, so that the ring goes round. */
#ifndef PACKETS
#ifdef CHECK_DOORBELLS
#define PACKETS 3 /* the counters multiply the states */
#else
#define PACKETS 5
#endif
#endif

/* The shared words, each written by one end. Record n, when it is written, holds n + 1. */
#define DATA     0
#define HEAD     (UNITS + 0)
#define TX_EVENT (UNITS + 1)
#define TAIL     (UNITS + 2)
#define RX_EVENT (UNITS + 3)
#define WORDS    (UNITS + 4)

#define PRODUCER 0
#define CONSUMER 1

/* Positions wrap at 256 as the ring's do at 2^64. No run comes there, but events lie below 0. */
#define POSITION(x) ((x) & 255)
#define NEVER       255
#define SLOT(at)    (DATA + (at) % UNITS)

byte memory[WORDS];
chan buffers[2] = [UNITS + 2] of {byte, byte, bit}; /* word, value, is it a release? */

bit bell[2];   /* rung for this end, which has not looked since */
byte rings[2]; /* how often that was */
byte armed[2]; /* how often this end has set its event */

#define load(word)                      memory[word]
#define store(end, word, value)         buffers[end]!word, POSITION(value), 0
#define store_release(end, word, value) buffers[end]!word, POSITION(value), 1
#define full_barrier(end)               empty(buffers[end])

#ifdef CHECK_DOORBELLS
#define count(what) what++
#else
#define count(what) skip
#endif

/* `passes` as in ring_ops.h, with its borrow. */
#ifdef WRONG_PASSES
#define passes(old, new, event) (POSITION(new - event) < POSITION(new - old))
#else
#ifdef WRONG_PASSES_TWICE
#define passes(old, new, event) (POSITION(new - event - 1) <= POSITION(new - old))
#else
#define passes(old, new, event) (POSITION(new - event - 1) < POSITION(new - old))
#endif
#endif

inline ring_doorbell(self, other)
{
    atomic {
        empty(buffers[self]);
        bell[other] = 1;
        count(rings[other]);
    }
#ifdef CHECK_DOORBELLS
    assert(rings[other] <= armed[other]);
#endif
}

inline wait_for_doorbell(self)
{
    atomic {
        bell[self] == 1;
        bell[self] = 0;
    }
}

/* What a CPU's stores do by themselves. */
#ifdef TSO
#define store_leaves(word) d_step { buffers[end]?eval(word), value, 0; memory[word] = value; value = 0 }
#else
#define store_leaves(word) d_step { buffers[end]??eval(word), value, 0; memory[word] = value; value = 0 }
#endif
#define release_leaves(word) d_step { buffers[end]?eval(word), value, 1; memory[word] = value; value = 0 }

proctype store_buffer(byte end)
{
    byte value;

end_idle:
    do
    :: store_leaves(DATA)
    :: store_leaves((DATA + 1))
#if UNITS > 2
    :: store_leaves((DATA + 2))
#endif
    :: store_leaves(HEAD)
    :: store_leaves(TAIL)
    :: store_leaves(TX_EVENT)
    :: store_leaves(RX_EVENT)
    :: release_leaves(HEAD)
    :: release_leaves(TAIL)
    od
}

/* Sets `free` to whether `bytes` units are free. */
inline room(bytes)
{
    free = UNITS - POSITION(head - peer_tail) >= bytes;
    if
    :: free
    :: else ->
#ifdef NO_TAIL_ACQUIRE
        /* The record that follows is written before the tail is read ... */
        memory[SLOT(head)] = head + 1;
#endif
        tail = load(TAIL); /* acquire */
#ifdef CHECK_INDICES
        assert(POSITION(tail - peer_tail) <= POSITION(published_head - peer_tail));
#endif
        peer_tail = tail;
        free = UNITS - POSITION(head - tail) >= bytes;
#ifdef NO_TAIL_ACQUIRE
        /* ... by a CPU that foresaw that there would be room. Where there was none it did not. */
        if
        :: free
        :: else -> goto end_not_foreseen
        fi
#endif
    fi
}

inline publish()
{
    if
    :: head != published_head ->
        old = published_head;
        published_head = head;
#ifdef NO_HEAD_RELEASE
        store(PRODUCER, HEAD, head);
#else
        store_release(PRODUCER, HEAD, head);
#endif
#ifndef NO_PUBLISH_BARRIER
        full_barrier(PRODUCER); /* partner: arm_rx */
#endif
        event = load(RX_EVENT);
        if
        :: passes(old, head, event) -> ring_doorbell(PRODUCER, CONSUMER)
        :: else
        fi
    :: else
    fi
}

/* Sets `sleeps`. */
inline arm_tx(bytes)
{
    count(armed[PRODUCER]);
#ifdef WRONG_TX_EVENT
    store(PRODUCER, TX_EVENT, head + bytes - UNITS);
#else
    store(PRODUCER, TX_EVENT, head + bytes - UNITS - 1);
#endif
#ifndef NO_ARM_TX_BARRIER
    full_barrier(PRODUCER); /* partner: release */
#endif
#ifndef NO_ARM_TX_LOOK
    room(bytes);
#endif
    sleeps = !free
}

proctype producer()
{
    byte head, published_head, peer_tail; /* struct postern_ring */
    byte tail, old, event, bytes;
    bool free, sleeps;

    do
    :: head == PACKETS -> publish(); break
    :: else ->
        room(1); /* reserve */
#ifdef NO_ROOM
        free = true;
#endif
        if
        :: free ->
            store(PRODUCER, SLOT(head), head + 1); /* the record, its payload, commit */
            head++;
            if
            :: publish()
            :: skip /* a batch */
            fi
        :: head != peer_tail ->
            /* The ring is full, or has more in it than the producer wants. */
#ifndef NO_PUBLISH_BEFORE_SLEEP
            publish();
#endif
            select (bytes : UNITS + 1 - POSITION(head - peer_tail) .. UNITS);
            arm_tx(bytes);
#ifndef CHECK_DOORBELLS
            if
            :: sleeps -> arm_tx(bytes) /* it was woken by something else */
            :: skip
            fi;
#endif
            bytes = 0;
            if
            :: sleeps -> wait_for_doorbell(PRODUCER)
            :: else
            fi
        fi
    od;
end_not_foreseen:
    head == PACKETS
}

inline copy_record(at)
{
    record = load(SLOT(at));
#ifdef CHECK_EARLY
    assert(record >= at + 1);
#endif
#ifdef CHECK_LOST
    assert(record <= at + 1);
#endif
    record = 0
}

inline release()
{
    if
    :: tail != published_tail ->
        old = published_tail;
        published_tail = tail;
        store_release(CONSUMER, TAIL, tail);
#ifndef NO_RELEASE_BARRIER
        full_barrier(CONSUMER); /* partner: arm_tx */
#endif
        event = load(TX_EVENT);
        if
        :: passes(old, tail, event) -> ring_doorbell(CONSUMER, PRODUCER)
        :: else
        fi
    :: else
    fi
}

/* Sets `sleeps`. */
inline arm_rx()
{
    count(armed[CONSUMER]);
    store(CONSUMER, RX_EVENT, tail);
#ifndef NO_ARM_RX_BARRIER
    full_barrier(CONSUMER); /* partner: publish */
#endif
#ifdef NO_ARM_RX_LOOK
    sleeps = true
#else
    sleeps = load(HEAD) == tail
#endif
}

proctype consumer()
{
    byte tail, published_tail, peer_head; /* struct postern_ring */
    byte record, old, event;
    bool sleeps;

    do
    :: tail == PACKETS -> release(); break
    :: else ->
        /* peek */
#ifdef NO_HEAD_ACQUIRE
        record = load(SLOT(tail));
#endif
        if
        :: peer_head == tail ->
            peer_head = load(HEAD); /* acquire */
#ifdef CHECK_INDICES
            assert(POSITION(peer_head - tail) <= UNITS);
#endif
        :: else
        fi;
        if
        :: peer_head != tail ->
#ifdef NO_HEAD_ACQUIRE
            assert(record >= tail + 1);
            record = 0;
#endif
#ifdef NO_TAIL_RELEASE
            /* The payload is read when the tail is out already. */
            tail++;
            release();
            copy_record(tail - 1);
#else
            copy_record(tail); /* the header, and whether it is still there: */
            copy_record(tail); /* the payload, at any time until it is released */
            tail++; /* consume */
            if
            :: release()
            :: skip /* a batch */
            fi
#endif
        :: else ->
            record = 0;
#ifndef NO_RELEASE_BEFORE_SLEEP
            release();
#endif
            arm_rx();
            if
            :: sleeps -> wait_for_doorbell(CONSUMER)
            :: else
            fi
        fi
    od
}

init
{
    atomic {
        /* As two ends that are up have left it: postern_ring_open and postern_ring_meet. */
        memory[TX_EVENT] = NEVER;
        armed[CONSUMER] = 1;
        run store_buffer(PRODUCER);
        run store_buffer(CONSUMER);
        run producer();
        run consumer();
    }
}
