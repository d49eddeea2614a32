# SPDX-License-Identifier: BSD-2-Clause
UNIT_shares := core/shares.c
