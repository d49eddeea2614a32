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
/* CPUID leaf 0x40000001: EAX is POSTERN_ABI_VERSION, EBX the bits below, the rest 0. */
#define POSTERN_CPUID_ABI 0x40000001u
/* Which of the contract the CPU does by itself. What it does not is done by exits, with the same
 * outcome. */
#define POSTERN_NATIVE_VMFUNC 1u
#define POSTERN_NATIVE_VE     2u

/* Does nothing and returns POSTERN_ABI_VERSION. */
#define POSTERN_HC_VERSION 0
/* RDI: a port number (the PORT register of a Postern NIC of this VM); RSI: one of its queues.
 * Interrupts the link's other end on that queue's vector. */
#define POSTERN_HC_DOORBELL 1

/*
 * Views (docs/abi.md, "Views and gates"). A port in mode gated or direct has a view, in which its
 * window is mapped; a vCPU has the views that were opened for it.
 */

/* What VMFUNC leaf 0 does, by an exit: ECX is the view. From any CPL, as VMFUNC. RAX is kept. A
 * view that is not open is #UD. The gate uses it where the CPU has no VMFUNC. */
#define POSTERN_HC_VIEW_SWITCH 2
/* Returns the guest-physical address of the gate's first page, and in bits 11:0 how many pages it
 * has. The pages are there from the start. */
#define POSTERN_HC_GATE 3
/* RDI: a page of the gate, 0 and up, or POSTERN_GATE_REMOVE; RSI: the guest-physical address of a
 * page of RAM. Shows that page of the gate there in place of the RAM, in all views, or the RAM
 * again. For kernels that cannot run code outside their RAM. */
#define POSTERN_HC_GATE_PLACE 4
#define POSTERN_GATE_REMOVE   (~0ull)
/* RDI: a port; RSI: a vCPU (its APIC id) or POSTERN_ALL_VCPUS. Opens the port's view for it, and
 * returns the view's index: what the gate is called with. To open an open view changes nothing. */
#define POSTERN_HC_VIEW_OPEN 5
#define POSTERN_ALL_VCPUS    (~0ull)
/* The same arguments. Closes the view: on return the vCPU cannot reach the window any more. */
#define POSTERN_HC_VIEW_CLOSE 6
/* RDI: a port that has a view; RSI: 1 lets the peer see the section of this end, as at the start, 0
 * revokes it: on return the peer cannot reach the section any more, in whatever view it is. */
#define POSTERN_HC_WINDOW_GRANT 7
/* RDI: the guest-physical address of a page of RAM, or POSTERN_VE_OFF. Registers the calling vCPU
 * for #VE, with that page as its virtualization-exception information area (SDM "Virtualization
 * Exceptions"). */
#define POSTERN_HC_VE  8
#define POSTERN_VE_OFF (~0ull)
/* Returns how many VM exits the calling vCPU has had so far, this one included. */
#define POSTERN_HC_EXITS 9
/* RDI: a port; RSI: one of the numbers below. Returns how often an exit had to do that for the port
 * since the machine was started: a data path that has no exits changes none of them. */
#define POSTERN_HC_PORT_EXITS   10
#define POSTERN_PORT_DOORBELLS  0 /* this end rang */
#define POSTERN_PORT_INTERRUPTS 1 /* doorbells of the other end interrupted this one */
#define POSTERN_PORT_RESUMED    2 /* crossings that went on after an interruption */
#define POSTERN_PORT_ABORTED    3 /* crossings that were given up */
#define POSTERN_PORT_SWITCHES   4 /* view changes, there or back, where VMFUNC does not do them */
#define POSTERN_PORT_VIOLATIONS \
    5 /* accesses that the window does not allow, #VE by the CPU apart */
#define POSTERN_PORT_COUNTS 6

/*
 * Pools (docs/abi.md, "Pools"): pages of this VM's RAM that the peer of a port in mode direct sees,
 * slot by slot, in its view of the link: slot s at offset s * 4096 of its BAR 4.
 */

/* RDI: a port; RSI: a slot, of as many as POSTERN_REG_POOL_SIZE has pages; RDX: the guest-physical
 * address of a page of RAM, with POSTERN_POOL_WRITE if the peer may write it, else it may only
 * read it. Interrupts nobody. A slot that has that page with that right changes nothing; one that
 * has another is POSTERN_ERR_ARGUMENT: take that first. */
#define POSTERN_HC_POOL_GIVE 11
#define POSTERN_POOL_WRITE   1ull
/* RDI: a port; RSI: a slot, or POSTERN_POOL_ALL. On return the peer cannot reach the page, or any,
 * any more. To take what is not given changes nothing. */
#define POSTERN_HC_POOL_TAKE 12
#define POSTERN_POOL_ALL     (~0ull)

/* For tests of Postern itself, where the boot option test=on is set; unknown elsewhere. RDI: how
 * many ticks of the VMX-preemption timer after the next VM entry the vCPU is taken out of the
 * guest; RSI: the vector of an interrupt that it gets there, 2 for an NMI, 0 for nothing. */
#define POSTERN_HC_TEST_STAY 0x7e57
/* Likewise. RDI: a port in mode gated; RSI: a page of RAM. Makes a view with page tables of its own
 * in place of those that CR3 names now, with that page and the port's window in it, and opens it
 * for the calling vCPU; returns its index. Once for each port. */
#define POSTERN_HC_TEST_SEAL 0x7e58

/* Results that are errors, as signed 64-bit numbers. */
#define POSTERN_ERR_UNKNOWN    (-1) /* no such hypercall */
#define POSTERN_ERR_PERMISSION (-2) /* not from CPL 0 */
#define POSTERN_ERR_ARGUMENT   (-3) /* an argument names nothing of this VM */
#define POSTERN_ERR_PEER_DOWN  (-4) /* the other end's VM is not running */
#define POSTERN_ERR_NOT_OPEN   (-5) /* the view is not open to this vCPU */
#define POSTERN_ERR_FAULT      (-6) /* the protected code touched what the view does not map */
#define POSTERN_ERR_NO_MEMORY  (-7) /* the hypervisor has no table left for it */
#define POSTERN_ERR_MODE       (-8) /* not for a link of this mode */

#endif
