/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the UEFI side leaves behind when boot services end: everything that the hypervisor knows of
 * the machine. All addresses are physical, and identity-mapped by the firmware's page tables.
 */
#ifndef POSTERN_ARCH_X86_BOOT_INFO_H
#define POSTERN_ARCH_X86_BOOT_INFO_H

#include "lib/types.h"

#define BOOT_MAX_CPUS    64u
#define BOOT_MAX_REGIONS 256u
#define BOOT_MAX_FILES   32u

enum boot_region_type {
    BOOT_REGION_FREE,     /* RAM that is ours to use, boot services' memory included */
    BOOT_REGION_OURS,     /* RAM that holds this image, the files, the boot information */
    BOOT_REGION_ACPI,     /* RAM with ACPI tables: readable, kept */
    BOOT_REGION_FIRMWARE, /* RAM of runtime services and the like: left alone */
    BOOT_REGION_MMIO      /* not RAM */
};

/* Regions are sorted by base, do not overlap, and neighbours of one type are merged. */
struct boot_region {
    uint64_t base;
    uint64_t size; /* bytes, a multiple of 4096 */
    enum boot_region_type type;
};

/* A file read from the ESP, page-aligned. */
struct boot_file {
    char path[128];
    void *data;
    uint64_t size; /* bytes */
};

struct boot_framebuffer {
    uint64_t base; /* 0: there is none */
    uint32_t width, height;
    uint32_t stride; /* pixels from one line to the next */
    bool bgr;        /* 32-bit pixels, blue in the lowest byte; else red */
};

struct boot_info {
    /* [image_base, image_base + image_size): the loaded PE image. */
    uint64_t image_base, image_size;
    uint64_t rsdp; /* 0: no ACPI */
    uint64_t tsc_hz;
    uint64_t wall_clock;     /* seconds since 1970-01-01 00:00 UTC ... */
    uint64_t wall_clock_tsc; /* ... when the TSC had this value */
    /* Local APIC ids; cpus[0] is the CPU that booted. Disabled processors are not listed. */
    uint32_t cpu_count;
    uint32_t cpus[BOOT_MAX_CPUS];
    /* One page below 1 MiB, free for the processors' start. */
    uint64_t low_page;
    uint64_t ioapic_base; /* 0xfec00000 where no MADT says otherwise */
    uint32_t uart_gsi;    /* the I/O APIC's input of ISA interrupt 4, by the MADT's overrides */
    uint16_t uart_port;   /* I/O port of the 16550; 0: none was found */
    struct boot_framebuffer framebuffer;
    uint32_t region_count;
    struct boot_region regions[BOOT_MAX_REGIONS];
    uint32_t file_count;
    struct boot_file files[BOOT_MAX_FILES];
};

#endif
