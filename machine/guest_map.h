/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where things lie in a guest: its physical addresses, I/O ports and interrupt inputs. RAM begins
 * at 0 and ends below the windows. machine/dsdt.asl repeats the parts that ACPI tells.
 */
#ifndef POSTERN_MACHINE_GUEST_MAP_H
#define POSTERN_MACHINE_GUEST_MAP_H

/* What the memory map calls RAM: from 0 to the first, and from the second to RAM's end. */
#define GUEST_LOW_RAM_END   0x9fc00u
#define GUEST_HIGH_RAM_BASE 0x100000u

/* ACPI tables, in RAM that the e820 map reserves; the RSDP is at the start. */
#define GUEST_ACPI_BASE 0xe0000u
#define GUEST_ACPI_SIZE 0x1f000u

/* Where a CPU goes on in real mode when a kernel resets the machine the old way (F000:FFF0): the
 * last 16 bytes of the same reserved RAM. */
#define GUEST_RESET_VECTOR 0xffff0u

/* Where BARs may lie: the 32-bit window and the one for large, prefetchable BARs. */
#define GUEST_PCI_BASE      0xc0000000ull
#define GUEST_PCI_END       0xfec00000ull
#define GUEST_PCI_HIGH_BASE 0x1000000000ull
#define GUEST_PCI_HIGH_END  0x2000000000ull

/* Ports of BARs. */
#define GUEST_PCI_IO_BASE 0xc000u
#define GUEST_PCI_IO_END  0xd000u

#define GUEST_IOAPIC_BASE 0xfec00000ull
#define GUEST_LAPIC_BASE  0xfee00000ull /* of multiboot kernels in xAPIC mode */

/* The gate's pages. In the last gibibyte below 4 GiB, which has no window that is in a protected
 * view: the protected views share it. */
#define GUEST_GATE_BASE          0xfed00000ull
#define GUEST_UART_GSI           4u

#define GUEST_PORT_EXIT          0x0f4u /* multiboot kernels only: a write ends the VM */
#define GUEST_PORT_RTC           0x070u /* and the next */
#define GUEST_PORT_UART          0x3f8u /* 8 ports */
#define GUEST_PORT_SLEEP_CONTROL 0x600u /* ACPI, "Sleep Control and Status Registers" */
#define GUEST_PORT_SLEEP_STATUS  0x601u
#define GUEST_PORT_RESET         0x602u
#define GUEST_PORT_PCI           0xcf8u /* 8 ports */

#define GUEST_RESET_VALUE        1u
#define GUEST_SLEEP_TYPE_S5      5u

#endif
