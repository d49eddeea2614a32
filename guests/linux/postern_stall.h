/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Notices a queue that has been stopped for long, as the kernel's transmit watchdog does for other
 * devices. That one ends in a kernel warning, and a machine with panic_on_warn in its end: not what
 * a peer may bring about by not receiving. So here it is a counter and a line of the log, and the
 * queue waits on.
 */
#ifndef POSTERN_GUESTS_LINUX_POSTERN_STALL_H
#define POSTERN_GUESTS_LINUX_POSTERN_STALL_H

#include <linux/timer.h>

struct postern_queue;

struct postern_stall {
	struct timer_list timer;
	u64 stops; /* POSTERN_TX_STOPS when it was started */
};

/* Before the interface is registered. */
void postern_stall_init(struct postern_queue *queue);
/* The queue was stopped and counted so. With the transmit lock. */
void postern_stall_watch(struct postern_queue *queue);
/* Nobody looks any more. While nobody sends; may sleep. */
void postern_stall_end(struct postern_queue *queue);

#endif
