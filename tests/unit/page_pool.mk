# SPDX-License-Identifier: BSD-2-Clause
UNIT_page_pool := ept/ept.c vmfunc/page_pool.c
