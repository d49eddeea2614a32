# SPDX-License-Identifier: BSD-2-Clause
UNIT_config := core/config.c
