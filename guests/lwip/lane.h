/* SPDX-License-Identifier: BSD-2-Clause */
/* A queue of the NIC's with what is known of it: a link's only one, or one of a network's. */
#ifndef POSTERN_GUESTS_LWIP_LANE_H
#define POSTERN_GUESTS_LWIP_LANE_H

#include "guests/lwip/port.h"

#define LANE_MTU 1500u

/* Of all lanes together. */
struct lane_counters {
    uint64_t doorbells, faults, gate_errors;
};

struct lane {
    struct port port;
    struct lane_counters *counters;
    uint64_t rx_packets, tx_packets;
    bool up;             /* both ends have met, and the other's VM runs */
    bool error_known;    /* that of the port: it was reported */
    bool unflushed;      /* there is what the peer does not see yet */
    bool out_of_room;    /* a packet has found none */
    uint32_t last_fault; /* that was counted, and whose */
    uint32_t last_fault_generation;
};

/* Opens this end anew; closes it. */
void lane_open(struct lane *lane);
void lane_close(struct lane *lane);

/* Rings if `bits` have POSTERN_GATE_DOORBELL. */
void lane_ring(struct lane *lane, int64_t bits);

/* Follows what became of the port and its peer; `link` as device_link(). Looks for packets, up to
 * `count`, and returns how many there are. */
uint32_t lane_poll(struct lane *lane, uint32_t link, struct postern_gate_packet *packets,
                   uint32_t count);

/* Shows the peer what was sent. */
void lane_flush(struct lane *lane);

/* Has a packet found no room, and is there enough now? Says so once. */
bool lane_goes_on(struct lane *lane);

/* Asks the peer to ring for room, if that is missing, and for packets. False: there is something to
 * do already. lane_settle() does the former only, after a flush. */
bool lane_settle(struct lane *lane);
bool lane_may_halt(struct lane *lane);

#endif
