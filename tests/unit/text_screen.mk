# SPDX-License-Identifier: BSD-2-Clause
UNIT_text_screen := lib/text_screen.c lib/psf.c
