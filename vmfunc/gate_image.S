/* SPDX-License-Identifier: BSD-2-Clause */
/* The gate's two images as the build linked them from vmfunc/gate/. */
    .section .rodata
    .globl  gate_native, gate_fallback
    .hidden gate_native, gate_fallback
    .balign 4096
gate_native:
    .incbin "gate-native.bin"
gate_fallback:
    .incbin "gate-fallback.bin"

    .section .note.GNU-stack, "", @progbits
