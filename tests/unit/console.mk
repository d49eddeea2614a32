# SPDX-License-Identifier: BSD-2-Clause
UNIT_console := core/console.c
