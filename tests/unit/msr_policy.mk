# SPDX-License-Identifier: BSD-2-Clause
UNIT_msr_policy := machine/msr_policy.c machine/lapic.c machine/lapic_image.c machine/posted_interrupt.c
