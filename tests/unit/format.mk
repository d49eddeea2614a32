UNIT_format :=
