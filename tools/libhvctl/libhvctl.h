/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libhvctl: the hypervisor's monitor for programs of the host (docs/monitor-protocol.md), over the
 * same lines as hvctl. hvctl.py is its binding for Python.
 *
 * One thread at a time may use a session, and one session a line. A call waits until its answer is
 * there or the session's timeout is over; what the line loses is asked for again meanwhile. Each
 * function that can fail returns a negative HVCTL_ERR_, and hvctl_error() says more.
 */
#ifndef POSTERN_TOOLS_LIBHVCTL_LIBHVCTL_H
#define POSTERN_TOOLS_LIBHVCTL_LIBHVCTL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HVCTL_ERR_LINE    (-1) /* the line is gone, cannot be opened, or nobody answers */
#define HVCTL_ERR_FAILED  (-2) /* the hypervisor carried the command out, and it failed */
#define HVCTL_ERR_STREAM  (-3) /* there is no such console */
#define HVCTL_ERR_RESTART (-4) /* it has restarted: consoles begin again at offset 0 */
#define HVCTL_ERR_MEMORY  (-5)

struct hvctl;

/* Opens `line` (as `hvctl --help` says) and begins a session. NULL: `error`, of `error_size` bytes,
 * says why. */
struct hvctl *hvctl_open(const char *line, unsigned timeout_ms, char *error, size_t error_size);

/* Ends the session; `hvctl` may be NULL. */
void hvctl_close(struct hvctl *hvctl);

/* Why the last call failed: valid until the next. */
const char *hvctl_error(const struct hvctl *hvctl);

/*
 * Runs a command of the monitor. `*output` becomes its output, `*size` bytes and a NUL behind them,
 * valid until the next call: also after HVCTL_ERR_FAILED, as the reason. Tables have a TAB between
 * their fields. It carries a command out once: after HVCTL_ERR_LINE it may have been carried out or
 * not.
 */
int hvctl_execute(struct hvctl *hvctl, const char *command, const char **output, size_t *size);

/* The names of the consoles: those of the VMs, and VM/hvc0. NULL from `index` on there are none. */
const char *hvctl_console(const struct hvctl *hvctl, unsigned index);

/*
 * Reads what a console has printed, from byte `*offset` since its start on: returns how many bytes,
 * at most `size`, 0 if there are none yet, and sets `*offset` behind them. `*lost` is how many
 * bytes before them the hypervisor no longer had.
 */
ssize_t hvctl_read(struct hvctl *hvctl, const char *console, uint64_t *offset, void *bytes,
                   size_t size, uint64_t *lost);

/* Types bytes into a console. Returns how many were taken, which may be 0 while the guest does not
 * read. */
ssize_t hvctl_write(struct hvctl *hvctl, const char *console, const void *bytes, size_t size);

/*
 * Reads the memory of a VM from guest-physical address `address` on: returns how many bytes, at
 * most `size`, and 0 where it has none, as behind its end or while it is absent. The VM goes on
 * meanwhile. May be less than there is: ask again.
 */
ssize_t hvctl_memory(struct hvctl *hvctl, const char *vm, uint64_t address, void *bytes,
                     size_t size);

#ifdef __cplusplus
}
#endif

#endif
