/* SPDX-License-Identifier: BSD-2-Clause */
/* The DSDT as iasl compiled it from dsdt.asl. */
    .section .rodata
    .globl  acpi_dsdt, acpi_dsdt_end
    .hidden acpi_dsdt, acpi_dsdt_end
    .balign 16
acpi_dsdt:
    .incbin "dsdt.aml"
acpi_dsdt_end:

    .section .note.GNU-stack, "", @progbits
