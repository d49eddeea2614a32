# SPDX-License-Identifier: BSD-2-Clause
UNIT_pages := lib/pages.c
