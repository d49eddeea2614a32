/* SPDX-License-Identifier: BSD-2-Clause */
/* Asking a CPU what VMX it offers. */
#ifndef POSTERN_ARCH_X86_VMX_PROBE_H
#define POSTERN_ARCH_X86_VMX_PROBE_H

#include "arch/x86/vmx_caps.h"

/* Reads the capabilities of the CPU that calls. */
void vmx_probe(struct vmx_raw *raw);

/* Logs what is missing on the CPU that calls; STATUS_UNSUPPORTED if anything is. */
status_t vmx_check_this_cpu(void) MUST_CHECK;

/* Whether the CPU that calls offers the same as `raw`; logs it if not. */
status_t vmx_check_same(const struct vmx_raw *raw) MUST_CHECK;

#endif
