# SPDX-License-Identifier: BSD-2-Clause
UNIT_ept := ept/ept.c
