#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# make_menu.sh CONFIGURATION.conf...: prints GRUB's menu. Each configuration has an entry NAME, and
# NAME-fallback, in which views are changed by exits as if the CPU had no VMFUNC. And each of them has one
# for Bochs, NAME-bochs and NAME-bochs-fallback, with what Bochs 2.7 needs: no APIC virtualisation, which it gets wrong; a limit to each
# stay in a guest, since an interrupt does not end the stay of one whose interrupts are off; and for the
# guests no self-tests of ciphers, half of a boot there, no page-table isolation, with which each system
# call empties its TLB, and no SMAP, with which it walks the page tables for every byte that a kernel
# copies from or to a program: ten times the time.
set -eu

cat <<'END'
if serial --unit=0 --speed=115200; then
    terminal_input --append serial
    terminal_output --append serial
fi
set default=two
set timeout=5
# Written by who wants another entry, at once: tools/run does.
if [ -f /postern/entry.cfg ]; then
    source /postern/entry.cfg
fi
END

entry() {
    printf 'menuentry "%s" {\n    chainloader /EFI/postern/postern.efi %s\n}\n' "$1" "$2"
}

emulated="append=cryptomgr.notests append=pti=off append=clearcpuid=smap"

for file in "$@"; do
    name=$(basename "$file" .conf)
    for fallback in '' on; do
        suffix=${fallback:+-fallback}
        option=${fallback:+ fallback=on}
        entry "$name$suffix" "config=$name$option"
        entry "$name-bochs$suffix" "config=$name$option apicv=off max_stay=20 $emulated"
    done
done

# The same kernel on the same machine without the hypervisor: what its boot is measured against.
cat <<'END'
menuentry "direct" {
    linux /postern/vmlinuz-cloud console=ttyS0 quiet cryptomgr.notests pti=off clearcpuid=smap hostname=direct tsc
    initrd /postern/initrd-cloud.img
    echo "the TSC before the kernel:"
    rdmsr 0x10
}
END
