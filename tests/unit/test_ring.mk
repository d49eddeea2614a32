UNIT_ring :=
