# SPDX-License-Identifier: BSD-2-Clause
UNIT_lapic := machine/lapic.c machine/lapic_image.c machine/posted_interrupt.c
UNIT_lapic_timer := machine/lapic.c machine/lapic_image.c machine/posted_interrupt.c
UNIT_lapic_random := machine/lapic.c machine/lapic_image.c machine/posted_interrupt.c
