# SPDX-License-Identifier: BSD-2-Clause
UNIT_xapic := machine/xapic.c machine/lapic.c machine/lapic_image.c machine/posted_interrupt.c
