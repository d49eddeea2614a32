/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Hypercalls from Linux: abi/hypercall.h says what there is. */
#ifndef POSTERN_GUESTS_LINUX_POSTERN_HYPERCALL_H
#define POSTERN_GUESTS_LINUX_POSTERN_HYPERCALL_H

#include <linux/string.h>
#include <linux/types.h>
#include <asm/cpufeature.h>
#include <asm/processor.h>

#include "abi/hypercall.h"

/* Does this kernel run on a Postern whose hypercalls it knows? Elsewhere VMCALL may be another
 * hypervisor's, or an invalid instruction. */
static inline bool postern_present(void)
{
	u32 max, name[3];

	if (!boot_cpu_has(X86_FEATURE_HYPERVISOR))
		return false;
	cpuid(POSTERN_CPUID_BASE, &max, &name[0], &name[1], &name[2]);
	return !memcmp(name, POSTERN_CPUID_SIGNATURE, sizeof(name)) && max >= POSTERN_CPUID_ABI &&
	       cpuid_eax(POSTERN_CPUID_ABI) == POSTERN_ABI_VERSION;
}

/* Only where postern_present(). Clobbers memory: what was written before is there for the peer. */
static inline long postern_hypercall3(unsigned long number, unsigned long first,
				      unsigned long second, unsigned long third)
{
	long result;

	asm volatile("vmcall"
		     : "=a"(result)
		     : "a"(number), "D"(first), "S"(second), "d"(third)
		     : "memory");
	return result;
}

static inline long postern_hypercall(unsigned long number, unsigned long first,
				     unsigned long second)
{
	return postern_hypercall3(number, first, second, 0);
}

#endif
