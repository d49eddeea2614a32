/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One end's side of a link's window (abi/ring.h): for drivers of any guest, and for tests. All of
 * it is inline, needs no library and works in Linux, on bare metal and on a host.
 *
 * Everything in the peer's section is taken for hostile: each word is read once, the copy is
 * checked, and only the copy is used. What no honest peer writes is a fault (postern_ring_fault);
 * a faulty end neither sends nor receives until the peer comes with a new generation or this end
 * is opened again. Payloads are not copied here: the peer may change one at any time, so copy it
 * first and look at the copy.
 *
 * Packets go in batches: begin, next for each, end, and then publish (or release) once; or one by
 * one: reserve and commit, peek and consume.
 *
 * Locking: an end has a producer half (abi/ring_send.h) and a consumer half (abi/ring_receive.h,
 * and sync_needed). The two may run at the same time; each is for one thread at a time. open, close
 * and sync (abi/ring_end.h) exclude both, and no batch is open then.
 *
 * Functions say when a doorbell is due and leave it to the caller. It has to come after the stores
 * that it tells of; one that makes a VM exit does so by itself.
 */
#ifndef POSTERN_ABI_RING_OPS_H
#define POSTERN_ABI_RING_OPS_H

#include "abi/ring_receive.h"
#include "abi/ring_send.h"

#endif
