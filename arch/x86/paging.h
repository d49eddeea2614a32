/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's own address space: RAM identity-mapped without execute permission, its text
 * executable and not writable, its read-only data not writable, guard pages and page 0 absent
 * (SDM "4-Level Paging").
 */
#ifndef POSTERN_ARCH_X86_PAGING_H
#define POSTERN_ARCH_X86_PAGING_H

#include "arch/x86/boot_info.h"
#include "lib/status.h"

#define PAGING_WRITE           (1ull << 1)
#define PAGING_WRITE_COMBINING (1ull << 3) /* by paging_activate()'s PAT */
#define PAGING_UNCACHED        (1ull << 4)
#define PAGING_EXECUTE         (1ull << 63) /* stored inverted, as the NX bit */

/* Builds the tables of the machine that `info` describes; they are not active yet. The bootstrap
 * page at info->low_page is mapped executable and not writable: fill it before paging_activate().
 */
status_t paging_build(const struct boot_info *info) MUST_CHECK;

/* Loads the tables into this CPU's CR3, with NX and write protection on, and the PAT that they
 * need. */
void paging_activate(void);

/* The physical address of the top-level table; below 4 GiB. */
uint64_t paging_root(void);

/* Identity-maps [base, base + size), page-aligned outwards, with PAGING_* `flags`. Pages that are
 * mapped already get the new flags. For the CPU that boots, before others run. */
status_t paging_map(uint64_t base, uint64_t size, uint64_t flags) MUST_CHECK;

/* Takes the page at `base` out, as a guard. The same restrictions. */
status_t paging_unmap_page(uint64_t base) MUST_CHECK;

#endif
