# SPDX-License-Identifier: BSD-2-Clause
# Running the image on this machine.

CONFIG ?= two
PLATFORM ?= auto
RUN_OPTIONS ?=

deps: ## install the Debian packages that are missing
	$(Q)tools/setup/install.sh

# What the packages bring is looked for when a make starts: hence a second one after them.
run: deps ## build all, start two guests and join hvctl (PLATFORM=bochs|kvm, CONFIG=two)
	$(Q)$(MAKE) $(if $(Q),-s) image hvctl
	$(Q)tools/run/session.py $(BUILD) $(CONFIG) --platform $(PLATFORM) $(RUN_OPTIONS)

stop: ## stop the machine that make run started
	$(Q)tools/run/run.py stop --dir $(BUILD)/run

.PHONY: deps run stop
