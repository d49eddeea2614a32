# SPDX-License-Identifier: BSD-2-Clause
UNIT_console_until := tools/hvctl/console_until.c
