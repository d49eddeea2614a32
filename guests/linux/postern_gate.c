// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The gate in this kernel, and the views that it leads to. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/rtnetlink.h>
#include <linux/vmalloc.h>

#include "postern_gate.h"
#include "postern_hypercall.h"

static unsigned int postern_placed; /* pages of the gate */
static unsigned int postern_views;  /* that are open */

phys_addr_t postern_gate_home(unsigned int *pages)
{
	long home = postern_present() ? postern_hypercall(POSTERN_HC_GATE, 0, 0) : 0;

	if (home <= 0)
		return 0;
	*pages = home & ~PAGE_MASK;
	return home & PAGE_MASK;
}

static phys_addr_t postern_gate_address(unsigned int page)
{
	const u8 *text = (const u8 *)postern_gate_pages + page * PAGE_SIZE;

	return PFN_PHYS(vmalloc_to_pfn(text));
}

static void postern_gate_remove(void)
{
	while (postern_placed > 0)
		postern_hypercall(POSTERN_HC_GATE_PLACE, POSTERN_GATE_REMOVE,
				  postern_gate_address(--postern_placed));
}

static int postern_gate_place(void)
{
	unsigned int pages;
	long err;

	if (!postern_gate_home(&pages)) {
		pr_warn("this hypervisor has no gate\n");
		return -EOPNOTSUPP;
	}
	if (pages > POSTERN_GATE_PAGES_MAX) {
		pr_warn("the gate has %u pages, this module room for %u\n", pages,
			POSTERN_GATE_PAGES_MAX);
		return -EOPNOTSUPP;
	}
	for (; postern_placed < pages; postern_placed++) {
		err = postern_hypercall(POSTERN_HC_GATE_PLACE, postern_placed,
					postern_gate_address(postern_placed));
		if (err) {
			pr_warn("page %u of the gate finds no place (%ld)\n", postern_placed, err);
			postern_gate_remove();
			return -EIO;
		}
	}
	return 0;
}

static int postern_errno(long error)
{
	switch (error) {
	case POSTERN_ERR_NO_MEMORY:
		return -ENOMEM;
	case POSTERN_ERR_MODE:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

int postern_view_open(u32 port)
{
	long view;
	int err;

	ASSERT_RTNL();
	if (postern_views == 0) {
		err = postern_gate_place();
		if (err)
			return err;
	}
	view = postern_hypercall(POSTERN_HC_VIEW_OPEN, port, POSTERN_ALL_VCPUS);
	if (view >= 0) {
		postern_views++;
		return view;
	}
	if (postern_views == 0)
		postern_gate_remove();
	return postern_errno(view);
}

void postern_view_close(u32 port)
{
	ASSERT_RTNL();
	postern_hypercall(POSTERN_HC_VIEW_CLOSE, port, POSTERN_ALL_VCPUS);
	if (--postern_views == 0)
		postern_gate_remove();
}
