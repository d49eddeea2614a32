# SPDX-License-Identifier: BSD-2-Clause
UNIT_multiboot := machine/multiboot.c machine/linux_boot.c machine/guest_kernel.c
