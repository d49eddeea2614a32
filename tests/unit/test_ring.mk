# SPDX-License-Identifier: BSD-2-Clause
UNIT_ring :=
UNIT_ring_order :=
UNIT_ring_hostile :=
UNIT_ring_fuzz :=
UNIT_ring_pool :=
UNIT_ring_pool_order :=
