# SPDX-License-Identifier: BSD-2-Clause
UNIT_cpuid_policy := machine/cpuid_policy.c
