# SPDX-License-Identifier: BSD-2-Clause
# The rules that the compiler does not know.

# Those that the makefiles ask for where there may be none.
MAY_BE_UNDEFINED := 'UNIT_\|'KIT_\|'HV_EXTRA_OBJECTS'

check: ## check includes, headers, licences, format and text
	$(Q)python3 tools/check/test_check.py -q
	$(Q)python3 tools/check/check.py --cc '$(CC)' --flags '$(WARNINGS)' \
		--efi-flags '$(HV_EFI_CFLAGS)'
	$(Q)! $(MAKE) --warn-undefined-variables -n help 2>&1 > /dev/null | \
		grep 'undefined variable' | grep -v "$(MAY_BE_UNDEFINED)"

.PHONY: check
