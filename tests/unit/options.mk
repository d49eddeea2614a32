UNIT_options := arch/x86/uefi/options.c
