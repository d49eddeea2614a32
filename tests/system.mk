# SPDX-License-Identifier: BSD-2-Clause
# The tests of the whole system, and the measurements.

# TESTS= may name files of tests/boot, or options of pytest.
TESTS ?= tests/boot
BENCH_NEEDS := image hvctl

test: deps ## run all tests: host units, checks, model, soak, fuzzers, whole machines in emulators
	$(Q)$(MAKE) image hvctl kit $(BUILD)/monitor-server unit-programs soak-programs fuzzers
	$(Q)BUILD=$(BUILD) PLATFORM=$(PLATFORM) tests/run.py

model: ## check the models of ring and fdb, and that they notice missing barriers
	$(Q)tests/model/check.py

system: image hvctl kit ## run the tests of whole machines only (TESTS=tests/boot/FILE)
	$(Q)BUILD=$(BUILD) PLATFORM=$(PLATFORM) $(PYTEST) -q -rs $(TESTS)

bench: bench-bochs bench-host ## measure all of it; each part writes its rows of build/bench.csv

bench-bochs: deps ## measure the hypervisor in Bochs
	$(Q)$(MAKE) image hvctl kit
	$(Q)BUILD=$(BUILD) $(PYTHON) tests/bench/bench.py

.PHONY: test model system bench bench-bochs
