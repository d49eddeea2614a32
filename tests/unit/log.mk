# SPDX-License-Identifier: BSD-2-Clause
UNIT_log := lib/log.c
