UNIT_psf := lib/psf.c
