# SPDX-License-Identifier: BSD-2-Clause
UNIT_views := ept/ept.c vmfunc/views.c
