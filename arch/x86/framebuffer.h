/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log on the screen that the firmware set up (UEFI's graphics output protocol), in the mode
 * that it chose. From the firmware's time on; paging_build() maps the framebuffer for later.
 */
#ifndef POSTERN_ARCH_X86_FRAMEBUFFER_H
#define POSTERN_ARCH_X86_FRAMEBUFFER_H

#include "arch/x86/boot_info.h"
#include "lib/status.h"

/* Clears the screen. STATUS_NOT_FOUND: the machine has none; STATUS_INVALID and STATUS_UNSUPPORTED:
 * its mode, or the font, cannot be used. */
status_t framebuffer_init(const struct boot_framebuffer *framebuffer) MUST_CHECK;

/* A sink of the log. Does nothing where there is no screen. */
void framebuffer_write(const char *line, size_t size);

/* The same for panic(): waits for no other CPU, since that one may have stopped in the middle. */
void framebuffer_write_last(const char *line, size_t size);

#endif
