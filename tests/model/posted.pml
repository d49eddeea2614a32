/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The buffers that a receiver posts and a sender fills (abi/ring_pool.h) for spin: names are those
 * of ring_pool.h. A record fills one buffer and takes one unit of the data area, which is never full:
 * that is ring.pml's. The receiver owns BUFFERS buffers, writes into each before it posts it as who
 * owns a page may, and posts it again when a record has filled it and its bytes are read.
 *
 * Memory is that of ring.pml: a store waits in its CPU's buffer and leaves it at any time, before or
 * after stores to other words; a release leaves when all that is older has left, and with -DTSO all
 * leave in their order. Loads are made in order; where an acquire holds one back, the mutant without
 * it makes the load too early.
 *
 * Properties, each checked apart:
 *   -DCHECK_ENTRY    no entry is read before it is there, or when it is another's already
 *   -DCHECK_FILLED   what the receiver reads is what the record's sender wrote
 *   -DCHECK_OWNED    no buffer is written by the sender while the receiver has it
 */

#define BUFFERS 2 /* and entries: POSTERN_POSTED_MAX of them */
#define PACKETS 4

/* The shared words. An entry holds a buffer's number + 1; a buffer n + 1 for packet n, or OWN. */
#define ENTRY   0
#define POSTED  (BUFFERS + 0)
#define HEAD    (BUFFERS + 1)
#define BUFFER  (BUFFERS + 2)
#define WORDS   (BUFFERS + 2 + BUFFERS)
#define OWN     99

#define SENDER   0
#define RECEIVER 1

byte memory[WORDS];
chan buffers[2] = [8] of {byte, byte, bit}; /* word, value, is it a release? */

#define load(word)                      memory[word]
#define store(end, word, value)         buffers[end]!word, value, 0
#define store_release(end, word, value) buffers[end]!word, value, 1

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
    :: store_leaves(ENTRY)
    :: store_leaves((ENTRY + 1))
    :: store_leaves(POSTED)
    :: store_leaves(HEAD)
    :: store_leaves(BUFFER)
    :: store_leaves((BUFFER + 1))
    :: release_leaves(POSTED)
    :: release_leaves(HEAD)
    od
}

/* What the receiver has posted as number n: for the checks only. */
byte posted_as[PACKETS + BUFFERS + 1];

proctype sender()
{
    byte peer_filled, peer_posted; /* struct postern_ring */
    byte entry;

    do
    :: peer_filled == PACKETS -> break
    :: else ->
        /* find_posted */
#ifdef NO_POSTED_ACQUIRE
        entry = load(ENTRY + peer_filled % BUFFERS); /* before its time */
#endif
        if
        :: peer_posted == peer_filled -> peer_posted = load(POSTED) /* acquire */
        :: else
        fi;
        if
        :: peer_posted != peer_filled ->
#ifndef NO_POSTED_ACQUIRE
            entry = load(ENTRY + peer_filled % BUFFERS);
#endif
#ifdef CHECK_ENTRY
            assert(entry == posted_as[peer_filled] + 1);
#endif
            if
            :: entry == 0 -> goto end_no_buffer /* it would write outside */
            :: else
            fi;
            store(SENDER, BUFFER + entry - 1, peer_filled + 1);
            peer_filled++; /* use_posted, and the record */
#ifdef NO_HEAD_RELEASE
            store(SENDER, HEAD, peer_filled)
#else
            store_release(SENDER, HEAD, peer_filled)
#endif
        :: else /* nothing is posted; look again */
        fi;
        entry = 0
    od;
end_no_buffer:
    skip
}

inline post(buffer)
{
#ifdef CHECK_OWNED
    store(RECEIVER, BUFFER + buffer, OWN); /* its owner's bytes, until now */
#endif
    posted_as[posted] = buffer;
    store(RECEIVER, ENTRY + posted % BUFFERS, buffer + 1);
    posted++;
#ifdef NO_POSTED_RELEASE
    store(RECEIVER, POSTED, posted)
#else
    store_release(RECEIVER, POSTED, posted)
#endif
}

proctype receiver()
{
    byte posted, filled, peer_head; /* struct postern_ring */
    byte bytes, buffer;

    post(0);
    post(1);
    do
    :: filled == PACKETS -> break
    :: else ->
        buffer = posted_as[filled];
#ifdef NO_HEAD_ACQUIRE
        bytes = load(BUFFER + buffer); /* before its time */
#endif
        if
        :: peer_head == filled -> peer_head = load(HEAD) /* acquire */
        :: else
        fi;
        if
        :: peer_head != filled ->
#ifdef NO_READ_BEFORE_POST
            filled++;
            post(buffer);
            filled--;
#endif
#ifndef NO_HEAD_ACQUIRE
            bytes = load(BUFFER + buffer);
#endif
#ifdef CHECK_FILLED
            assert(bytes == filled + 1);
#endif
#ifdef CHECK_OWNED
            assert(bytes == filled + 1);
#endif
            filled++;
#ifndef NO_READ_BEFORE_POST
            if
            :: posted < PACKETS + BUFFERS -> post(buffer)
            :: else
            fi
#endif
        :: else
        fi;
        bytes = 0;
        buffer = 0
    od
}

init
{
    atomic {
        run store_buffer(SENDER);
        run store_buffer(RECEIVER);
        run sender();
        run receiver();
    }
}
