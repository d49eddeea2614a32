/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The UEFI side: everything that needs boot services. Its callers see none of the firmware's types.
 * Errors are logged where they are found, in words for the user; the status only says that it
 * failed.
 */
#ifndef POSTERN_ARCH_X86_UEFI_UEFI_H
#define POSTERN_ARCH_X86_UEFI_UEFI_H

#include "arch/x86/boot_info.h"
#include "lib/status.h"

/* What the boot menu's entry passes, as words: `config=NAME apicv=off uart=0x2f8`. */
struct uefi_options {
    char config[64]; /* default: "two" */
    bool tests;
    bool fallback;
    bool no_apicv;
    uint32_t max_stay_ms; /* in a guest, 0: no limit */
    char append[160];     /* to each guest's command line: words with a space before each */
    uint32_t uart_port;   /* UINT32_MAX: look for one */
};

/* Takes image handle and system table as the firmware gave them; opens the ESP; finds the serial
 * port and the screen and has the log go there; reads the options. */
status_t uefi_start(void *image, void *system_table, struct boot_info *info,
                    struct uefi_options *options) MUST_CHECK;

/* Reads the whole file at `path` ('/' separates) of the volume that Postern was started from into
 * pages of their own, with a progress line, and appends it to info->files. */
status_t uefi_read_file(struct boot_info *info, const char *path) MUST_CHECK;

/* A second's wait, interrupted by a key: for messages before the return to the firmware. */
void uefi_wait(unsigned seconds);

/* Fills in processors, clocks, ACPI, I/O APIC and the page below 1 MiB. */
status_t uefi_collect(struct boot_info *info) MUST_CHECK;

/* Bytes of memory that are free for guests once boot services have ended. */
uint64_t uefi_free_memory(void);

/* Ends boot services and fills in the memory regions. Nothing of the firmware may be called after
 * success, nor, but for this function, after failure. */
status_t uefi_exit_boot_services(struct boot_info *info) MUST_CHECK;

#endif
