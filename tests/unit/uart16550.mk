# SPDX-License-Identifier: BSD-2-Clause
UNIT_uart16550 := machine/uart16550.c
