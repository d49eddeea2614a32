/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The gate (abi/gate.h) in this kernel. Its pages are shown in place of a part of this module's
 * text, since a kernel maps no executable memory elsewhere.
 */
#ifndef POSTERN_GUESTS_LINUX_POSTERN_GATE_H
#define POSTERN_GUESTS_LINUX_POSTERN_GATE_H

#define POSTERN_GATE_PAGES_MAX 4 /* that the module has room for */

#ifndef __ASSEMBLER__
#include <linux/types.h>

/* Called as abi/gate.h says. Without a gate in its place: POSTERN_ERR_NOT_OPEN. */
s64 postern_gate_pages(u32 view, u32 function, void *arguments);

/* Where the gate is by itself: physical address and pages, for user space. 0: there is none. */
phys_addr_t postern_gate_home(unsigned int *pages);

/*
 * Opens the port's view for all vCPUs, and with the first view puts the gate in its place. Returns
 * the view, or a negative errno. Each view that was opened is to be closed; with the last one the
 * gate goes, so that the module's memory is the kernel's again. Under rtnl.
 */
int postern_view_open(u32 port);
void postern_view_close(u32 port);
#endif

#endif
