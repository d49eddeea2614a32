# SPDX-License-Identifier: BSD-2-Clause
UNIT_linux_boot := machine/linux_boot.c machine/multiboot.c machine/guest_kernel.c
