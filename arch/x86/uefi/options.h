/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef POSTERN_ARCH_X86_UEFI_OPTIONS_H
#define POSTERN_ARCH_X86_UEFI_OPTIONS_H

#include "arch/x86/uefi/uefi.h"

/* Parses the words of `text` over the defaults. At the first word that is not an option, or has no
 * such value, copies it to `unknown` and returns STATUS_INVALID. Pure: tested on the host. */
status_t options_parse(const char *text, struct uefi_options *options, char *unknown,
                       size_t unknown_size) MUST_CHECK;

#endif
