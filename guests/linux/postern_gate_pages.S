/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Pages of this module's text that nothing else is on, for the gate to be shown in their place.
 * Until then they hold a function of the gate's type, which says that there is no way in.
 */
#include <linux/linkage.h>
#include <asm/page_types.h>

#include "abi/hypercall.h"
#include "postern_gate.h"

	.text
	.balign PAGE_SIZE
SYM_FUNC_START(postern_gate_pages)
	movq	$POSTERN_ERR_NOT_OPEN, %rax
	RET
	.org	postern_gate_pages + POSTERN_GATE_PAGES_MAX * PAGE_SIZE, 0xcc
SYM_FUNC_END(postern_gate_pages)
