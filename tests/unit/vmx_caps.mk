# SPDX-License-Identifier: BSD-2-Clause
UNIT_vmx_caps := arch/x86/vmx_caps.c
