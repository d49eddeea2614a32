/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypercalls: what a guest's kernel asks of Postern with VMCALL. Number in RAX, arguments in
 * RDI, RSI, RDX; the result comes back in RAX, every other register is kept. Only CPL 0 may call;
 * another gets POSTERN_ERR_PERMISSION. An unknown number gets POSTERN_ERR_UNKNOWN.
 * docs/abi.md describes each call.
 */
#ifndef POSTERN_ABI_HYPERCALL_H
#define POSTERN_ABI_HYPERCALL_H

#define POSTERN_ABI_VERSION 1

/* CPUID leaf 0x40000000: EBX, ECX, EDX spell this; EAX is the highest leaf of the range. */
#define POSTERN_CPUID_BASE      0x40000000u
#define POSTERN_CPUID_SIGNATURE "PosternHyper"
/* CPUID leaf 0x40000001: EAX is POSTERN_ABI_VERSION, the rest 0. */
#define POSTERN_CPUID_ABI 0x40000001u

/* Does nothing and returns POSTERN_ABI_VERSION. */
#define POSTERN_HC_VERSION 0
/* RDI: a port number (the PORT register of a Postern NIC of this VM). Interrupts the link's other
 * end on its queue 0 vector. */
#define POSTERN_HC_DOORBELL 1

/* Results that are errors, as signed 64-bit numbers. */
#define POSTERN_ERR_UNKNOWN    (-1) /* no such hypercall */
#define POSTERN_ERR_PERMISSION (-2) /* not from CPL 0 */
#define POSTERN_ERR_ARGUMENT   (-3) /* an argument names nothing of this VM */
#define POSTERN_ERR_PEER_DOWN  (-4) /* the other end's VM is not running */

#endif
