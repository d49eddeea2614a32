/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trace: what each pCPU did and when, as records that the hypervisor writes and hvctl reads
 * (MONITOR_STREAM_TRACE). docs/monitor-protocol.md describes it.
 */
#ifndef POSTERN_ABI_TRACE_H
#define POSTERN_ABI_TRACE_H

#include <stdint.h>

/* What a record is about; a bit of the mask of wanted events each. */
enum postern_trace_event {
    POSTERN_TRACE_EXIT, /* a VM exit, to the next entry. detail: its basic reason; argument: RIP */
    POSTERN_TRACE_RUN,  /* a vCPU gets the pCPU */
    POSTERN_TRACE_IDLE, /* the pCPU was in HLT, for `ticks` */
    POSTERN_TRACE_INJECT,   /* an event is injected at an entry. detail: its vector; argument: the
                             * VM-entry interruption information */
    POSTERN_TRACE_DOORBELL, /* a vCPU rings. detail: its port; argument: 1 if it rang too often */
    POSTERN_TRACE_VIEW,     /* the hypervisor changes a vCPU's view. detail: to which */
    POSTERN_TRACE_EVENTS
};

#define POSTERN_TRACE_NOBODY 0xffu /* as vm and vcpu: of the pCPU itself */

/* Little-endian, without gaps. */
struct postern_trace_record {
    uint64_t tsc;   /* when it began */
    uint32_t ticks; /* of the TSC, that it took; 0xffffffff: that many or more */
    uint8_t event;
    uint8_t vm;
    uint8_t vcpu;
    uint8_t detail;
    uint64_t argument;
};

#define POSTERN_TRACE_RECORD_SIZE 24u

_Static_assert(sizeof(struct postern_trace_record) == POSTERN_TRACE_RECORD_SIZE,
               "postern_trace_record");

#endif
