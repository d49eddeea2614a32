/* SPDX-License-Identifier: BSD-2-Clause */
#include "guests/lwip/lane.h"

#include "guests/lwip/console.h"

void lane_ring(struct lane *lane, int64_t bits)
{
    if ((bits & POSTERN_GATE_DOORBELL) != 0) {
        lane->counters->doorbells++;
        port_doorbell(&lane->port);
    }
}

void lane_open(struct lane *lane)
{
    port_open(&lane->port, LANE_MTU);
    lane->unflushed = false;
    lane->out_of_room = false;
    lane->error_known = false;
    lane_ring(lane, POSTERN_GATE_DOORBELL);
}

void lane_close(struct lane *lane)
{
    port_close(&lane->port);
    lane->up = false;
    lane_ring(lane, POSTERN_GATE_DOORBELL);
}

/* Says once for each generation of the peer that it broke the ring. */
static void report_fault(struct lane *lane)
{
    const struct postern_ring *r = &lane->port.ring;

    if (r->fault != POSTERN_FAULT_NONE && (lane->last_fault == POSTERN_FAULT_NONE ||
                                           lane->last_fault_generation != r->peer_generation)) {
        lane->counters->faults++;
        print("postern-lwip: queue %u: the peer broke the ring: fault %u\n", lane->port.queue,
              r->fault);
    }
    lane->last_fault = r->fault;
    lane->last_fault_generation = r->peer_generation;
}

/* Says once for each time that a crossing failed: the peer has revoked its section. */
static void report_error(struct lane *lane)
{
    if (lane->port.error != 0 && !lane->error_known) {
        lane->error_known = true;
        lane->counters->gate_errors++;
        print("postern-lwip: a crossing failed: %ld\n", lane->port.error);
    }
}

uint32_t lane_poll(struct lane *lane, uint32_t link, struct postern_gate_packet *packets,
                   uint32_t count)
{
    uint32_t found;

    /* A crossing that failed may have ended anywhere, so the ring is opened again. */
    if (lane->error_known && port_revived(&lane->port)) {
        lane_open(lane);
    }
    if ((port_look(&lane->port, packets, count, &found) & POSTERN_GATE_SYNC) != 0) {
        /* What was found is the old generation's. */
        found = 0;
        lane_ring(lane, port_sync(&lane->port));
        report_fault(lane);
    }
    report_error(lane);
    lane->up = port_works(&lane->port) && (link >> lane->port.queue & 1) != 0;
    return found;
}

void lane_flush(struct lane *lane)
{
    if (lane->unflushed) {
        lane->unflushed = false;
        lane_ring(lane, port_flush(&lane->port));
    }
}

/* Bytes of the ring at which it is worth while to send again. */
static uint64_t enough_room(const struct lane *lane)
{
    return lane->port.ring.data_size / 2;
}

bool lane_goes_on(struct lane *lane)
{
    if (!lane->out_of_room || !port_works(&lane->port) ||
        !port_has_room(&lane->port, enough_room(lane))) {
        return false;
    }
    lane->out_of_room = false;
    return true;
}

bool lane_settle(struct lane *lane)
{
    lane_flush(lane);
    return !lane->out_of_room || !port_works(&lane->port) ||
           port_wait_for_room(&lane->port, enough_room(lane));
}

bool lane_may_halt(struct lane *lane)
{
    /* What fails here is to be reported first. */
    return port_wait_for_packets(&lane->port) && (lane->port.error == 0 || lane->error_known);
}
