# SPDX-License-Identifier: BSD-2-Clause
UNIT_fdb := net/fdb.c
UNIT_fdb_order :=
UNIT_offload := net/offload.c
UNIT_switch := net/switch.c net/fdb.c lib/token_bucket.c
