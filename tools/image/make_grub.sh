#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# make_grub.sh OUTPUT: makes GRUB as one EFI application with the modules that the menu needs.
set -eu

here=$(dirname -- "$0")
early=$(mktemp)
trap 'rm -f "$early"' EXIT
grep -v '^#' "$here/early.cfg" > "$early" # what reads a built-in file knows no comments

grub-mkimage -O x86_64-efi -p /postern -c "$early" -o "$1" \
    part_gpt part_msdos fat search search_fs_file configfile normal test echo sleep \
    boot chain linux serial terminal efi_gop ls cat reboot halt rdmsr
