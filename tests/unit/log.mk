UNIT_log := lib/log.c
