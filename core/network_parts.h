/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two files of networks share. Nobody else includes this. */
#ifndef POSTERN_CORE_NETWORK_PARTS_H
#define POSTERN_CORE_NETWORK_PARTS_H

#include "core/network.h"

/* The address of a member's NIC. */
uint64_t network_mac(const struct network *network, uint32_t member);

/* Makes the hypervisor's switch, with the rules of the configuration, over `own` and the sections.
 */
status_t network_switch_create(struct network *network) MUST_CHECK;

/* A member's VM has started or ended. The caller holds no lock. */
void network_set_up(struct network *network, uint32_t member);

/* Switches frames that `member` has sent. STATUS_BUSY when there are more, or when another CPU does
 * so now: the member is to ring again. The caller holds no lock. */
status_t network_serve(struct network *network, uint32_t member) MUST_CHECK;

#endif
