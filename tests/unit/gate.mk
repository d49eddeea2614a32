# SPDX-License-Identifier: BSD-2-Clause
UNIT_gate_body := vmfunc/gate/body.c vmfunc/gate/burst.c
UNIT_gate_burst := $(UNIT_gate_body)
UNIT_gate_image := vmfunc/gate.c
$(BUILD)/unit/test_gate_image: $(BUILD)/unit/vmfunc/gate_image.S.o
