/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor protocol: what hvctl and the hypervisor say to each other over a serial line.
 * docs/monitor-protocol.md describes it; this header is its numbers.
 *
 * A message is the payload of one frame (RFC 1662's framing with a 32-bit FCS, lib/hdlc.h). Only
 * the host asks; the hypervisor answers each request once and keeps nothing to repeat. A request
 * that gets no answer is sent again unchanged: every request may be carried out twice with the
 * effect of once. All numbers are little-endian and unaligned.
 *
 * Each message starts with the header:
 *    0  u8   type       MONITOR_HELLO ...; the answer has MONITOR_ANSWER set in it
 *    1  u8   status     in an answer: enum monitor_status; 0 in a request
 *    2  u16  sequence   the host's count of requests; the answer repeats it
 *    4  u32  session    a number that the host chose for this run; the answer repeats it
 * What follows it, per type, is below. An answer whose status is not MONITOR_OK has nothing more,
 * except that of MONITOR_HELLO.
 */
#ifndef POSTERN_ABI_MONITOR_H
#define POSTERN_ABI_MONITOR_H

#include <stdint.h>

#define MONITOR_VERSION     1
#define MONITOR_MAX_PAYLOAD 1024u /* bytes of a message, its header included */
#define MONITOR_HEADER_SIZE 8u
#define MONITOR_ANSWER      0x80u

/* Byte streams. Each has 64-bit offsets that count from its first byte ever; the hypervisor keeps
 * the newest part of each. */
#define MONITOR_STREAM_LOG     0u      /* the hypervisor's log */
#define MONITOR_STREAM_OUTPUT  1u      /* what the last command printed */
#define MONITOR_STREAM_CONSOLE 2u      /* + n: the console of VM n */
#define MONITOR_STREAM_MEMORY  0x4000u /* + n: the RAM of VM n; offsets are addresses; no name */
#define MONITOR_STREAM_TRACE   0x8000u /* + n: records of pCPU n (abi/trace.h); has no name */

/* Begins a session, or asks after the one that there is. Any session before it is over.
 *   request:  8 u16 version    the host's MONITOR_VERSION
 *   answer:   8 u16 version    the hypervisor's; status MONITOR_BAD_VERSION when they differ
 *            10 u16 payload    the largest message it takes and sends */
#define MONITOR_HELLO      1u
#define MONITOR_HELLO_SIZE 10u /* of the request */
#define MONITOR_HELLO_DONE 12u /* of the answer */

/* The streams' names, in order, from the one asked for on, as many as fit.
 *   request:  8 u16 first
 *   answer:   8 u16 streams    how many there are
 *            10 u16 count      names that follow
 *            12 ...            names, each with a final NUL: "log", "output", then the VMs' names
 */
#define MONITOR_STREAMS      2u
#define MONITOR_STREAMS_SIZE 10u
#define MONITOR_STREAMS_DONE 12u /* without the names */

/* Runs a command. Asked again with the same session and sequence, it only answers again.
 *   request:  8 ...            the command line, without NUL or newline
 *   answer:   8 u8  result     0: done; else the command failed, and its output says why
 *             9 u8  flags      MONITOR_EXEC_CUT: there was more output than could be kept
 *            10 u16 zero
 *            12 u32 size       bytes of output, to be read from MONITOR_STREAM_OUTPUT
 *            16 u64 offset     where they begin in that stream */
#define MONITOR_EXEC      3u
#define MONITOR_EXEC_DONE 24u
#define MONITOR_EXEC_CUT  0x01u

/* Reads a stream.
 *   request:  8 u16 stream
 *            10 u16 max        bytes at most; 0 asks for the offsets alone
 *            12 u64 offset
 *   answer:   8 u16 stream
 *            10 u16 size       of the bytes that follow
 *            12 u64 offset     of the first of them: more than was asked for if those are lost
 *            20 u64 end        of the stream, so far
 *            28 ...            bytes */
#define MONITOR_READ      4u
#define MONITOR_READ_SIZE 20u
#define MONITOR_READ_DONE 28u /* without the bytes */

/* Types into a console. Bytes below the input's offset were taken already and are passed over.
 *   request:  8 u16 stream
 *            10 u16 zero
 *            12 u64 offset     of the first byte, in the stream of all that was typed there
 *            20 ...            bytes; none asks for the offset alone
 *   answer:   8 u16 stream
 *            10 u16 zero
 *            12 u64 offset     up to which bytes are taken: the guest may be slow */
#define MONITOR_WRITE      5u
#define MONITOR_WRITE_SIZE 20u /* without the bytes */
#define MONITOR_WRITE_DONE 20u

/* Reads a piece of a VM (abi/snapshot.h), encoded by lib/word_runs.h.
 *   request:  8 u16 stream     the VM's console
 *            10 u8  section    POSTERN_SNAPSHOT_
 *            11 u8  flags
 *            12 u64 offset     bytes, a multiple of 8
 *   answer:   8 u16 stream
 *            10 u8  section
 *            11 u8  flags
 *            12 u64 offset
 *            20 u64 size       of the section
 *            28 u32 covered    bytes that the tokens tell; 0 only at the section's end
 *            32 ...            tokens */
#define MONITOR_FETCH      7u
#define MONITOR_FETCH_SIZE 20u
#define MONITOR_FETCH_DONE 32u /* without the tokens */

/* Writes a piece of a VM that is being restored. All that its tokens tell is taken, or the answer
 * is not MONITOR_OK.
 *   request:  8 u16 stream     the VM's console
 *            10 u8  section
 *            11 u8  zero
 *            12 u64 offset
 *            20 ...            tokens
 *   answer:   8 u16 stream
 *            10 u8  section
 *            11 u8  zero
 *            12 u64 offset     behind what is taken */
#define MONITOR_STORE      8u
#define MONITOR_STORE_SIZE 20u /* without the tokens */
#define MONITOR_STORE_DONE 20u

/* Ends the session: the line goes back to plain text. No body. */
#define MONITOR_BYE 6u

enum monitor_status {
    MONITOR_OK,
    MONITOR_BAD_VERSION, /* of MONITOR_HELLO: another version of this protocol */
    MONITOR_BAD_REQUEST, /* too short, or of an unknown type */
    MONITOR_NO_SESSION,  /* not the current one: the hypervisor restarted, or another host came */
    MONITOR_NO_STREAM,   /* there is none of that number, or it cannot be written */
    MONITOR_NOT_NOW,     /* of FETCH and STORE: the VM has no such thing now */
    MONITOR_NO_ROOM      /* of STORE: the disk's overlay has no block for some of it */
};

static inline void monitor_put16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)(value & 0xffu);
    bytes[1] = (uint8_t)(value >> 8);
}

static inline void monitor_put32(uint8_t *bytes, uint32_t value)
{
    monitor_put16(bytes, (uint16_t)(value & 0xffffu));
    monitor_put16(bytes + 2, (uint16_t)(value >> 16));
}

static inline void monitor_put64(uint8_t *bytes, uint64_t value)
{
    monitor_put32(bytes, (uint32_t)(value & 0xffffffffu));
    monitor_put32(bytes + 4, (uint32_t)(value >> 32));
}

static inline uint16_t monitor_get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | (unsigned)bytes[1] << 8);
}

static inline uint32_t monitor_get32(const uint8_t *bytes)
{
    return monitor_get16(bytes) | (uint32_t)monitor_get16(bytes + 2) << 16;
}

static inline uint64_t monitor_get64(const uint8_t *bytes)
{
    return monitor_get32(bytes) | (uint64_t)monitor_get32(bytes + 4) << 32;
}

#endif
