# SPDX-License-Identifier: BSD-2-Clause
UNIT_posted_interrupt := machine/posted_interrupt.c
# test_posted_order.c includes the source, to put its own accesses there.
UNIT_posted_order :=
$(BUILD)/unit/test_posted_interrupt: UNIT_CFLAGS += -pthread
