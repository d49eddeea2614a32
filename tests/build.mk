# SPDX-License-Identifier: BSD-2-Clause
# Host unit tests: the same sources as the hypervisor's, under ASan and UBSan.
# A test is tests/unit/test_NAME.c; UNIT_NAME lists the product's sources that it links.

UNIT_CFLAGS := $(WARNINGS) -O1 -g -I. -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -DPOSTERN_HOST
UNIT_LIB := lib/string.c lib/format.c lib/status.c

-include tests/unit/*.mk

UNIT_TESTS := $(patsubst tests/unit/test_%.c,%,$(wildcard tests/unit/test_*.c))
UNIT_PROGRAMS := $(UNIT_TESTS:%=$(BUILD)/unit/test_%)

# $(1): the test's name. Each source is compiled apart, so that a test never sees another's flags.
define unit_rule
$(BUILD)/unit/test_$(1): $$(patsubst %.c,$(BUILD)/unit/%.o,tests/unit/test_$(1).c $$(UNIT_$(1)) $(UNIT_LIB))
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(UNIT_CFLAGS) -o $$@ $$^ -lcmocka $$(UNIT_LIBS_$(1))
endef
$(foreach test,$(UNIT_TESTS),$(eval $(call unit_rule,$(test))))

$(BUILD)/unit/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/unit/%.S.o: %.S
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) -c -o $@ $<
-include $(shell find $(BUILD)/unit -name '*.d' 2>/dev/null)

unit-programs: $(UNIT_PROGRAMS)

unit: $(UNIT_PROGRAMS) ## build and run the host unit tests
	$(Q)for test in $^; do echo "== $$test"; $$test || exit 1; done

.PHONY: unit unit-programs
.SECONDARY:
