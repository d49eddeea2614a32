UNIT_uart16550 := machine/uart16550.c
