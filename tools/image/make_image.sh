#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# make_image.sh OUTPUT GRUB.EFI POSTERN.EFI MENU FILE...: makes a disk image with a GUID partition
# table and an EFI system partition; the FILEs (kernels, initramfs, configurations) go to its folder
# /postern. The same inputs give the same bytes.
set -eu

output=$1 grub=$2 postern=$3 menu=$4
shift 4

megabytes=64           # of the partition, at least; FAT32 wants more than 65525 clusters
sectors_per_cluster=1
start=2048             # sectors: 1 MiB
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-1735689600}" TZ=UTC MTOOLS_SKIP_CHECK=1
PATH=$PATH:/usr/sbin:/sbin # not in an ordinary user's
new=$output.new
volume=$new@@$((start * 512))

# With room for the tables, and for what tools/run puts beside.
used=$(($(cat -- "$grub" "$postern" "$menu" "$@" | wc -c) >> 20))
wanted=$((used + used / 16 + 8))
[ "$wanted" -le "$megabytes" ] || megabytes=$wanted

rm -f "$new"
truncate -s "$((megabytes + 1))M" "$new"
mkfs.vfat --invariant -F 32 -s "$sectors_per_cluster" -h "$start" -i 504f5354 -n POSTERN \
    --offset "$start" "$new" "$((megabytes * 1024))" > /dev/null
truncate -s "$((megabytes + 2))M" "$new" # room for the second copy of the table
sgdisk --clear --new "1:$start:+${megabytes}M" --typecode 1:ef00 --change-name 1:POSTERN \
    --disk-guid 504f5354-4552-4e00-8000-000000000000 \
    --partition-guid 1:504f5354-4552-4e00-8000-000000000001 "$new" > /dev/null

mmd -i "$volume" ::/EFI ::/EFI/BOOT ::/EFI/postern ::/postern
mcopy -i "$volume" "$grub" ::/EFI/BOOT/BOOTX64.EFI
mcopy -i "$volume" "$postern" ::/EFI/postern/postern.efi
mcopy -i "$volume" "$menu" ::/postern/grub.cfg
mcopy -i "$volume" -- "$@" ::/postern/
mv "$new" "$output"
