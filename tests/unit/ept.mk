# SPDX-License-Identifier: BSD-2-Clause
UNIT_ept := ept/ept.c ept/move.c
UNIT_ept_random := ept/ept.c
UNIT_ept_dirty := ept/ept.c ept/dirty.c
