UNIT_string :=
