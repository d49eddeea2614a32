UNIT_pages := lib/pages.c
