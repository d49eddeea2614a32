/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sequence count of a network's forwarding database (abi/fdb_ops.h) for spin: a switch that
 * changes two words, and a reader that looks at both. Names are those of fdb_ops.h.
 *
 * Memory is that of ring.pml: a store waits in its CPU's buffer and leaves it at any time, before or
 * after stores to other words; a release leaves when all that is older has left, and with -DTSO all
 * leave in their order. A write barrier waits until the buffer is empty: the switch reads nothing of
 * others, so that is the same. Loads are made in order; where an acquire or a read barrier holds one
 * back, the mutant without it makes the load too early.
 *
 * Property, -DCHECK_MOMENT: what the reader takes for an answer is of one state of the database, and
 * of the one that the sequence names. State n has n in both words and the sequence 2 n.
 */

#ifndef CHANGES
#define CHANGES 3
#endif

#define SEQUENCE 0
#define SOURCE   1
#define TARGET   2
#define WORDS    3

byte memory[WORDS];
chan buffer = [4] of {byte, byte, bit}; /* word, value, is it a release? */

#define load(word)                 memory[word]
#define store(word, value)         buffer!word, value, 0
#define store_release(word, value) buffer!word, value, 1

#ifdef TSO
#define store_leaves(word) d_step { buffer?eval(word), value, 0; memory[word] = value; value = 0 }
#else
#define store_leaves(word) d_step { buffer??eval(word), value, 0; memory[word] = value; value = 0 }
#endif
#define release_leaves(word) d_step { buffer?eval(word), value, 1; memory[word] = value; value = 0 }

active proctype store_buffer()
{
    byte value;

end_idle:
    do
    :: store_leaves(SEQUENCE)
    :: store_leaves(SOURCE)
    :: store_leaves(TARGET)
    :: release_leaves(SEQUENCE)
    od
}

inline begin()
{
    empty(buffer); /* stores to one word keep their order, and the release is the last one */
    store(SEQUENCE, 2 * state - 1);
#ifndef NO_WRITE_BARRIER
    empty(buffer) /* partner: read_end */
#endif
}

inline end()
{
#ifdef NO_END_RELEASE
    store(SEQUENCE, 2 * state)
#else
    store_release(SEQUENCE, 2 * state) /* partner: read_begin */
#endif
}

active proctype switch()
{
    byte state = 1;

    do
    :: state > CHANGES -> break
    :: else ->
        begin();
        store(SOURCE, state);
        store(TARGET, state);
        end();
        state++
    od
}

active proctype reader()
{
    byte sequence, again, source, target;
    bool is_even, is_same;

    do
    :: memory[SEQUENCE] == 2 * CHANGES -> break
    :: true ->
#ifdef NO_READ_ACQUIRE
        source = load(SOURCE); /* before its time */
        sequence = load(SEQUENCE);
#else
        sequence = load(SEQUENCE); /* acquire; partner: end */
        source = load(SOURCE);
#endif
#ifdef NO_READ_BARRIER
        again = load(SEQUENCE); /* before its time */
        target = load(TARGET);
#else
        target = load(TARGET);
        again = load(SEQUENCE); /* behind a read barrier; partner: begin */
#endif
        is_even = sequence % 2 == 0;
        is_same = again == sequence;
#ifdef NO_ODD_CHECK
        is_even = true;
#endif
#ifdef NO_READ_AGAIN
        is_same = true;
#endif
#ifdef CHECK_MOMENT
        assert(!(is_even && is_same) || (source == target && 2 * source == sequence));
#endif
    od
}
