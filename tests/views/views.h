/* SPDX-License-Identifier: BSD-2-Clause */
/* What claims on views share: the gate, the ports and their windows. */
#ifndef POSTERN_TESTS_VIEWS_VIEWS_H
#define POSTERN_TESTS_VIEWS_VIEWS_H

#include "abi/guest.h"
#include "tests/kit/kit.h"

#define SECTION_SIZE 0x10000ull
#define GATED_PORT   0u /* as tests/configs/views.conf declares the links */
#define OPEN_PORT    1u
#define QUEUES_PORT  2u /* open, with two queues in a window twice as large */
#define QUEUES       2u
#define DIRECT_PORT  3u
#define PORTS        4u
#define NOT_OPEN     3u  /* no view has this index: two ports have one */
#define POOL_SLOTS   32u /* of DIRECT_PORT */
#define POOL_SIZE    (POOL_SLOTS * SIZE_4K)
#define PEER_MARK    0x5045455200000000ull /* what the peer writes into its section, with a count */
#define PEER_OFFSET  0x2000ull             /* where, from the start of its section */

/* The gate's home, in the identity map. */
uint64_t gate_address(void);
uint32_t gate_page_count(void);

/* Crosses by the gate at its home. */
int64_t cross(uint32_t view, uint32_t function, void *arguments);

/* Opens the gated port's view for all vCPUs, with no #VE registered; returns its index. */
uint32_t open_view(void);

/* The same of the direct port, without the #VE. */
uint32_t direct_view(void);

/* The pages that its peer has given, in linear addresses. */
uint64_t pool_window(void);

/* The PCI address of a port. */
uint32_t nic_of(uint32_t port);

/* In the peer's section of QUEUES_PORT: for each queue, how many doorbell interrupts came on its
 * vector, and 1 more. Waits until the peer listens. */
const volatile uint64_t *peer_rings(void);

/* The window of a port in linear addresses: the own section, then the peer's. */
uint64_t window_of(uint32_t port);

/* One load or store through the gate; the crossing's result. */
int64_t gate_load(uint32_t view, uint64_t address, uint64_t *value);
int64_t gate_store(uint32_t view, uint64_t address, uint64_t value);
int64_t gate_copy(uint32_t view, uint64_t to, uint64_t from, uint64_t size);

/* VMFUNC by oneself: leaf in EAX, view in ECX. */
struct trap try_vmfunc(uint32_t leaf, uint64_t view);

/* Whether crossings are made without exits. */
bool views_are_native(void);

#endif
