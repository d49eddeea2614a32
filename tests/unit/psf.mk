# SPDX-License-Identifier: BSD-2-Clause
UNIT_psf := lib/psf.c
