UNIT_linux_boot := machine/linux_boot.c
