/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Postern's NIC as a PCI function: one end of a link, or a member's place in a network. docs/abi.md
 * describes it.
 *
 * BAR 0 (8 KiB): registers of 32 bits, the MSI-X table and its pending bits.
 * BAR 2 (64-bit, prefetchable): the link's window, two sections of POSTERN_REG_SECTION_SIZE bytes:
 * first the section that this end owns and may write, then the peer's, which it may only read. What
 * a section holds is abi/ring.h's.
 * BAR 4 (64-bit, prefetchable): of a member, the network's forwarding database, abi/fdb.h; of an
 * end of a link in mode direct, the pages that the peer has given to its pool (abi/hypercall.h).
 *
 * A member's queues are the network's lanes: queue q of member m leads to member q, and is a ring
 * over slice q of both halves of its window. In the second half, that is slice m of member q's
 * section. One lane leads to the switch. The registers say which, and which there are.
 */
#ifndef POSTERN_ABI_PCI_H
#define POSTERN_ABI_PCI_H

/* Not assigned by the PCI-SIG: "PO". */
#define POSTERN_PCI_VENDOR         0x504fu
#define POSTERN_PCI_NIC            0x0001u /* an end of a link */
#define POSTERN_PCI_MEMBER         0x0002u /* a member's place in a network */

#define POSTERN_BAR_REGISTERS      0u
#define POSTERN_BAR_WINDOW         2u
#define POSTERN_BAR_FDB            4u /* of a member */
#define POSTERN_BAR_POOL           4u /* of an end of a link in mode direct */

#define POSTERN_BAR_REGISTERS_SIZE 0x2000u
#define POSTERN_MSIX_TABLE         0x1000u /* in BAR 0 */
#define POSTERN_MSIX_PENDING       0x1800u

/* A port has queues, as many as its link's configuration says: a power of two. Queue q is a ring of
 * its own (abi/ring.h) in slice q of both sections, which are divided into equal slices. */
#define POSTERN_QUEUES_MAX 8u

/* Registers: offsets in BAR 0. Read-only but for the doorbell, the mode and the link; others that
 * are written keep their value, and those that are not listed read 0. */
#define POSTERN_REG_MAGIC        0x00u /* POSTERN_NIC_MAGIC */
#define POSTERN_REG_ABI          0x04u /* POSTERN_NIC_ABI: a driver refuses one it does not know */
#define POSTERN_REG_PORT         0x08u /* the number to give to POSTERN_HC_DOORBELL */
#define POSTERN_REG_END          0x0cu /* which end of the link (0 or 1), or which member, it is */
#define POSTERN_REG_MODE         0x10u /* POSTERN_MODE_; written: see POSTERN_LINK_OTHER_MODE */
#define POSTERN_REG_SECTION_SIZE 0x14u /* bytes, a power of two */
#define POSTERN_REG_MAC_LOW      0x18u /* bytes 0 to 3 of the MAC address, byte 0 lowest */
#define POSTERN_REG_MAC_HIGH     0x1cu /* bytes 4 and 5 */
#define POSTERN_REG_LINK         0x20u /* POSTERN_LINK_ bits; POSTERN_VECTOR_LINK tells of changes */
#define POSTERN_REG_DOORBELL     0x28u /* a queue, written, is a POSTERN_HC_DOORBELL of it */
#define POSTERN_REG_QUEUES       0x2cu /* how many: Q below */
#define POSTERN_REG_LANES        0x30u /* of a member: bit q, it has lane q, be it the switch's */
#define POSTERN_REG_SWITCH       0x34u /* of a member: the lane to the switch; its own: itself */
#define POSTERN_REG_POOL_SIZE    0x38u /* bytes of each end's pool, a power of two; 0: has none */

#define POSTERN_NIC_MAGIC        0x4e525450u /* "PTRN" in memory */
#define POSTERN_NIC_ABI          1u

#define POSTERN_MODE_OPEN        0u /* the window is in both ends' default views */
#define POSTERN_MODE_GATED       1u /* BAR 2 is memory in the port's protected view only */
#define POSTERN_MODE_DIRECT      2u /* the same, and so is BAR 4: the peer's pool */

/* Of a link: bits 0 and 1. Of a member: bit q, what lane q leads to is running. */
#define POSTERN_LINK_PEER_RUNS 1u
/* Whoever manages the machine wants the link open that is gated, or the other way round. The port
 * keeps its mode, and so its window its place, until the driver has closed its rings and view and
 * writes POSTERN_REG_MODE, whatever the value. Then it reads the mode there, and opens them anew. A
 * VM that starts has the mode that is wanted. The ends follow each by itself. */
#define POSTERN_LINK_OTHER_MODE 2u
/* Of both: the VM was restored from a snapshot, which has nothing of the port but its registers and
 * who may enter its view. Its rings are closed, the view shows no pool until it is opened again,
 * and what this end gave to its peer's is gone. Stays until POSTERN_REG_LINK is written, whatever
 * the value: a driver does that, and then opens all of it anew. */
#define POSTERN_LINK_RESTORED 0x80000000u

/* MSI-X vectors, of a port with Q queues: Q + 1. */
#define POSTERN_VECTOR_QUEUE(q) (q) /* the peer has rung the doorbell of queue q */
#define POSTERN_VECTOR_LINK(Q)  (Q) /* POSTERN_REG_LINK has changed */

#endif
