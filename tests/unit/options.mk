# SPDX-License-Identifier: BSD-2-Clause
UNIT_options := arch/x86/uefi/options.c
