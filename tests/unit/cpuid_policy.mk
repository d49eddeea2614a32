UNIT_cpuid_policy := machine/cpuid_policy.c
