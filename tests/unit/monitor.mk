# SPDX-License-Identifier: BSD-2-Clause
UNIT_monitor := core/monitor.c core/monitor_text.c lib/hdlc.c lib/table.c tests/hvctl/fake_core.c tests/hvctl/fake_vm.c $(FAKE_DISK) \
	lib/trace_ring.c
UNIT_monitor_text := $(UNIT_monitor)
