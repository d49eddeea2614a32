# SPDX-License-Identifier: BSD-2-Clause
UNIT_lapic := machine/lapic.c
