UNIT_table := lib/table.c
