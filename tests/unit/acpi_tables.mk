# SPDX-License-Identifier: BSD-2-Clause
UNIT_acpi_tables := arch/x86/acpi_tables.c
