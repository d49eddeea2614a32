# SPDX-License-Identifier: BSD-2-Clause
# test_scheduler_move.c includes the scheduler's sources, to put its own CPUs under them.
UNIT_scheduler_move := core/shares.c machine/lapic.c machine/lapic_image.c machine/posted_interrupt.c
