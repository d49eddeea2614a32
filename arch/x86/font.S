/* SPDX-License-Identifier: BSD-2-Clause */
/* The screen's font: one of the distribution's console fonts, unpacked by the build. */
    .section .rodata
    .globl  screen_font, screen_font_end
    .hidden screen_font, screen_font_end
    .balign 16
screen_font:
    .incbin "font.psf"
screen_font_end:

    .section .note.GNU-stack, "", @progbits
