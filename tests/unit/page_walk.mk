# SPDX-License-Identifier: BSD-2-Clause
UNIT_page_walk := machine/page_walk.c
