UNIT_page_walk := machine/page_walk.c
