# SPDX-License-Identifier: BSD-2-Clause
# The rules that the compiler does not know.

check: ## check includes, headers, licences, format and text
	$(Q)python3 tools/check/test_check.py -q
	$(Q)python3 tools/check/check.py --cc '$(CC)' --flags '$(WARNINGS)' \
		--efi-flags '$(HV_EFI_CFLAGS)'

.PHONY: check
