/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /dev/postern of Linux guests: a port for a program of ring 3, which then sends and receives
 * without system calls. Of a port in mode gated it crosses into the port's view; of one in mode
 * open it has the window as it is, and there is no gate.
 *
 * An open file takes one port with POSTERN_DEV_TAKE, and has it until it is closed and nothing of
 * it is mapped any more. The port's network interface has to be down, and stays so. mmap() gives
 * the gate (readable and executable, private or shared) at offset POSTERN_DEV_GATE and the window
 * (shared) at POSTERN_DEV_WINDOW. The gate is called as abi/gate.h says, with the view that TAKE
 * has returned; outside of it the window cannot be touched, though it is mapped.
 *
 * The view is open to all vCPUs of the VM, since a program may run on any of them: any program that
 * maps the window's pages and the gate could use it. The device is root's.
 */
#ifndef POSTERN_ABI_DEV_H
#define POSTERN_ABI_DEV_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

#define POSTERN_DEV_PATH   "/dev/postern"

#define POSTERN_DEV_GATE   0ull
#define POSTERN_DEV_WINDOW (1ull << 32)

/* TAKE: any port that nobody has. */
#define POSTERN_DEV_ANY 0xffffffffu

struct postern_dev_port {
    uint32_t port; /* register PORT of the NIC, or POSTERN_DEV_ANY; then the one that was taken */
    uint32_t view; /* mode gated */
    uint64_t gate_size;   /* 0: mode open */
    uint64_t window_size; /* twice the section's */
    uint8_t mac[6];
    uint8_t queues; /* each has a slice of both sections (abi/pci.h) */
    uint8_t reserved;
};

/*
 * Numbers of ioctl(), as Linux makes them. Errors: EBUSY, the interface is up, another file has the
 * port, or this one has one; ENODEV, there is no such port; EOPNOTSUPP, it is a network's; ENXIO,
 * this file has none, or it went away; EINVAL, the port has no such queue; others are those of
 * opening a view.
 */
#define POSTERN_DEV_TAKE     0xc0205000u /* struct postern_dev_port * */
#define POSTERN_DEV_DOORBELL 0x00005001u /* rings at a queue; ENOTCONN: the peer does not run */
#define POSTERN_DEV_GRANT    0x00005002u /* 1 or 0: POSTERN_HC_WINDOW_GRANT for the own section */
#define POSTERN_DEV_LINK     0x00005003u /* returns POSTERN_REG_LINK's bits */
/* struct postern_dev_port *, as TAKE sets it for the file's port. When LINK has OTHER_MODE or
 * RESTORED, and the program has closed its rings and makes no crossing: takes the other mode up,
 * and opens the view anew. The gate may have to be mapped now, or no longer be called; the window's
 * mapping stays good. ENOTTY: the module is older than this. */
#define POSTERN_DEV_FOLLOW 0xc0205004u

_Static_assert(sizeof(struct postern_dev_port) == 32, "postern_dev_port");

#endif
