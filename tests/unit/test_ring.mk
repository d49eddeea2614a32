UNIT_ring :=
UNIT_ring_order :=
UNIT_ring_hostile :=
UNIT_ring_fuzz :=
