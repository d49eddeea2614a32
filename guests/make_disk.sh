#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# make_disk.sh OUTPUT: makes an ext2 file system of 4 MiB with a text and a megabyte of numbers, the disk
# of the configuration `virtio`. The same bytes each time.
set -eu

output=$1
PATH=$PATH:/usr/sbin:/sbin # not in an ordinary user's
epoch=${SOURCE_DATE_EPOCH:-1735689600}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

echo "a file on a disk of Postern's" > "$root/hello"
seq 1 200000 | head -c 1048576 > "$root/numbers"
chmod 644 "$root"/*
chmod 755 "$root"
find "$root" -exec touch -d "@$epoch" {} +

rm -f "$output.new"
# Its time, the file system's number and its hashes are fixed; the owner is root whoever builds it.
export E2FSPROGS_FAKE_TIME=$epoch TZ=UTC
mke2fs -q -t ext2 -b 4096 -L postern -U 504f5354-4552-4e00-8000-000000000003 -d "$root" \
    -E root_owner=0:0,hash_seed=504f5354-4552-4e00-8000-000000000002 "$output.new" 4M > /dev/null
# What it takes over from the files, and nobody can set there.
for file in / /hello /numbers; do
    echo "set_inode_field $file ctime @$epoch"
    echo "set_inode_field $file uid 0"
    echo "set_inode_field $file gid 0"
done | debugfs -w -f - "$output.new" > /dev/null 2>&1
mv "$output.new" "$output"
