UNIT_ept := ept/ept.c
