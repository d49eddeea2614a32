# SPDX-License-Identifier: BSD-2-Clause
UNIT_ioapic := machine/ioapic.c
