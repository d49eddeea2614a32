UNIT_mmio_insn := machine/mmio_insn.c
