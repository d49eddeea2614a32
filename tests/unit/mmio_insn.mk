# SPDX-License-Identifier: BSD-2-Clause
UNIT_mmio_insn := machine/mmio_insn.c
