# SPDX-License-Identifier: BSD-2-Clause
# The ring between two processes of this machine, and DPDK's ways beside it.

HOST_BENCH := $(BUILD)/bench
HOST_BENCH_CFLAGS := -O2 -march=native -I.
HOST_BENCH_SOURCES := $(wildcard tests/bench/host/*.c)
# BENCH_HOST= may hold options of tests/bench/host/run.py.
BENCH_HOST ?=

$(HOST_BENCH)/host: $(HOST_BENCH_SOURCES) $(wildcard tests/bench/host/*.h) abi/ring.h abi/ring_ops.h
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(WARNINGS) $(HOST_BENCH_CFLAGS) -o $@ $(HOST_BENCH_SOURCES)

# DPDK's headers are not written for all of the project's warnings.
$(HOST_BENCH)/rte_ring: tests/bench/host/dpdk/rte_ring.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -Wall -Wextra -Werror $(HOST_BENCH_CFLAGS) \
		$$(pkg-config --cflags libdpdk) -o $@ $< $$(pkg-config --libs libdpdk)

bench-host: $(HOST_BENCH)/host ## measure the ring between two cores of this machine, beside DPDK
	$(Q)tools/setup/install.sh || echo "without DPDK"
	$(Q)if pkg-config --exists libdpdk; then $(MAKE) $(HOST_BENCH)/rte_ring; fi
	$(Q)BUILD=$(BUILD) tests/bench/host/run.py $(BENCH_HOST)

.PHONY: bench-host
