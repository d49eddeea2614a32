UNIT_ioapic := machine/ioapic.c
