UNIT_lapic := machine/lapic.c
