UNIT_console := core/console.c
