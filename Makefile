# SPDX-License-Identifier: BSD-2-Clause
# Postern's build. `make help` lists the targets; each folder's part is in its build.mk.

BUILD ?= build
V ?= 0
ifeq ($(V),0)
Q := @
say = @printf '  %-8s%s\n' '$(1)' '$(2)'
MAKEFLAGS += --no-print-directory
else
Q :=
say = @:
endif

CC := gcc
# Debian's, for what comes in its packages: the first ones in PATH may be others.
PYTHON := /usr/bin/python3
PYTEST := /usr/bin/pytest-3
WARNINGS := -std=c11 -Wall -Wextra -Werror -Wconversion -Wshadow -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Wundef

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  make %-14s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

PARTS := arch/x86/build.mk vmfunc/build.mk tools/build.mk guests/build.mk guests/libpostern/build.mk guests/dpdk/build.mk guests/lwip/build.mk guests/debian/build.mk \
	tools/image/build.mk tools/run/build.mk tools/check/build.mk tests/build.mk tests/fuzz/build.mk \
	tests/kit/build.mk tests/soak/build.mk tests/system.mk tests/bench/host/build.mk
-include $(PARTS)

all: ## build the hypervisor, the guests' images and hvctl

clean: ## remove everything that was built
	$(Q)rm -rf $(BUILD)

.PHONY: help all clean
