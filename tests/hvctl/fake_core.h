/* SPDX-License-Identifier: BSD-2-Clause */
/* A core for the monitor with no hypervisor behind it: two VMs whose consoles echo, and a log. */
#ifndef POSTERN_TESTS_HVCTL_FAKE_CORE_H
#define POSTERN_TESTS_HVCTL_FAKE_CORE_H

#include "core/monitor.h"
#include "virtio/disk.h"

#define FAKE_VMS         2u
#define FAKE_RING_SIZE   8192u
#define FAKE_TYPED_MAX   65536u
#define FAKE_UART_ROOM   16u   /* bytes that a console takes at once */
#define FAKE_RECORDS     5000u /* of the trace: more than its ring keeps */
#define FAKE_MEMORY      65536u
#define FAKE_WORDS       4096u /* of memory */
#define FAKE_STATE_WORDS 256u
#define FAKE_LAST_STREAM (MONITOR_STREAM_CONSOLE + FAKE_VMS)

struct fake_stream {
    char ring[FAKE_RING_SIZE];
    uint64_t end;
};

#define FAKE_BLOCKS 24u
#define FAKE_POOL   10u

/* A VM with memory, a disk and state, and nothing that runs. While it is tracked each harvest finds
 * one page and one block that have changed. */
struct fake_vm {
    enum { FAKE_RUNNING, FAKE_PAUSED, FAKE_RESTORING, FAKE_ABSENT, FAKE_ENDING } state;
    uint64_t memory[FAKE_WORDS];
    uint64_t words[FAKE_STATE_WORDS]; /* of its state, while it is saved or stored */
    struct disk disk;
    uint8_t image[FAKE_BLOCKS * DISK_BLOCK], pool[FAKE_POOL * DISK_BLOCK];
    uint32_t map[FAKE_BLOCKS];
    uint64_t summed_up; /* bytes of the image, as if that took long */
    bool saved;
    unsigned ending; /* of beta: so often it is looked at until it has ended */
    bool late;       /* its state is not written yet, as if vCPUs had to */
    const char *name;
    bool refuses; /* the state that is brought next */
    bool hindered;
    bool churns; /* what it writes to takes the place of what it discards */
    uint64_t tracking, harvests;
};

struct fake_core {
    struct fake_stream streams[FAKE_LAST_STREAM]; /* by stream number; the output's is not used */
    char typed[FAKE_VMS][FAKE_TYPED_MAX];         /* all that was typed */
    size_t typed_size[FAKE_VMS];
    bool echo;
    bool plain;          /* 0xff is echoed as '?' */
    bool deaf;           /* consoles take nothing */
    unsigned executions; /* commands that ran */
    unsigned infos;      /* those that asked for the time */
    bool counts_costs;
    char last_line[MONITOR_LINE_SIZE];
    struct fake_vm vms[FAKE_VMS]; /* to be fetched and stored; fake_vm_of() */
    bool earlier;                 /* it knows no clones */
};

extern const struct monitor_ops fake_core_ops; /* their context is a struct fake_core */

/* What alpha has in its memory. */
uint8_t fake_memory_byte(uint64_t address);

void fake_print(struct fake_core *core, unsigned stream, const char *bytes, size_t size);
void fake_print_text(struct fake_core *core, unsigned stream, const char *text);

/* What VMs do (fake_vm.c): alpha, which runs at first, and beta, which is absent. A command that is
 * none of theirs returns false. */
struct fake_vm *fake_vm_of(struct fake_core *core, unsigned index);
bool fake_vm_execute(struct fake_core *core, const char *line, format_sink_t out, void *out_context,
                     status_t *status);
status_t fake_vm_fetch(void *context, unsigned vm, struct monitor_piece *piece, uint8_t *bytes,
                       size_t *size);
status_t fake_vm_store(void *context, unsigned vm, struct monitor_piece *piece,
                       const uint8_t *bytes, size_t size);

#endif
