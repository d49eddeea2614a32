/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers that the kit's assembler needs too: addresses in low memory. */
#ifndef POSTERN_TESTS_KIT_LAYOUT_H
#define POSTERN_TESTS_KIT_LAYOUT_H

#define AP_START        0x8000  /* where other CPUs begin in real mode */
#define PROGRESS_NOTE   0x70000 /* RAM that no loader writes: it outlives a restart */

#define MSR_EFER_NUMBER 0xc0000080
#define EFER_START      0x901 /* SYSCALL, long mode, no-execute */

#endif
