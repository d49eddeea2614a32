UNIT_config := core/config.c
