#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# make_menu.sh CONFIGURATION.conf...: prints GRUB's menu. Each configuration has two entries: NAME, and
# NAME-bochs without the APIC virtualisation that Bochs 2.7 gets wrong, and with a limit to each stay in a
# guest: there an interrupt does not end the stay of a guest whose interrupts are off.
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

for file in "$@"; do
    name=$(basename "$file" .conf)
    entry "$name" "config=$name"
    entry "$name-bochs" "config=$name apicv=off max_stay=20"
done

# The same kernel on the same machine without the hypervisor: what its boot is measured against.
cat <<'END'
menuentry "direct" {
    linux /postern/vmlinuz-cloud console=ttyS0 quiet cryptomgr.notests hostname=direct tsc
    initrd /postern/initrd-cloud.img
    echo "the TSC before the kernel:"
    rdmsr 0x10
}
END
