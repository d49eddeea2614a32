/* SPDX-License-Identifier: BSD-2-Clause */
/* The gate's size, for C, assembly and the link script. */
#ifndef POSTERN_VMFUNC_GATE_LAYOUT_H
#define POSTERN_VMFUNC_GATE_LAYOUT_H

#define GATE_PAGE_SIZE 0x1000
#define GATE_PAGES     4 /* the trampoline and the protected code */

#endif
