#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# make_root.sh OUTPUT STAMP: makes a root file system of Debian 12 as an image of ext4, out of Debian's packages, which
# mmdebstrap downloads: the smallest set, systemd, udev and a few network tools. root has no password. What a guest
# does not need is left out: documentation, translations, the database of hardware, timers. STAMP is for customize.sh.
# Without root's rights it takes fakeroot.
set -eu

output=$1 stamp=$2
here=$(dirname -- "$0")
packages=systemd-sysv,udev,iproute2,iputils-ping,iperf3,ethtool,usr-is-merged
spare=16 # MiB, and a tenth of what is in it
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-1735689600}" LC_ALL=C TZ=UTC
PATH=$PATH:/usr/sbin:/sbin # not in an ordinary user's

if [ "$(id -u)" -ne 0 ] && [ -z "${FAKEROOTKEY:-}" ]; then
    exec fakeroot "$0" "$@"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

set --
for path in doc man info locale i18n lintian common-licenses zoneinfo bug; do
    set -- "$@" --dpkgopt="path-exclude=/usr/share/$path/*"
done
set -- "$@" --dpkgopt='path-exclude=/lib/udev/hwdb.d/*' --dpkgopt='path-exclude=/usr/lib/x86_64-linux-gnu/gconv/*'
# Merged from the start: what would do it later needs all of Perl.
if ! mmdebstrap --quiet --variant=minbase --include="$packages" "$@" \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --customize-hook="$here/customize.sh \"\$1\" $stamp" bookworm "$work/root.tar" \
    http://deb.debian.org/debian > "$work/log" 2>&1; then
    tail -n 30 "$work/log" >&2
    echo "make_root.sh: mmdebstrap failed" >&2
    exit 1
fi

mkdir "$work/root"
tar -x -f "$work/root.tar" -C "$work/root" --exclude='./dev/*'
used=$(du -s -m "$work/root" | cut -f 1)
rm -f "$output.new"
# Its time, its number and its hashes are fixed. No journal: nothing survives the machine anyway.
E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -t ext4 -b 4096 -m 0 -O ^has_journal -L debian \
    -U 504f5354-4552-4e00-8000-000000000004 -d "$work/root" \
    -E hash_seed=504f5354-4552-4e00-8000-000000000005,lazy_itable_init=0 \
    "$output.new" "$((used + used / 10 + spare))M"
mv "$output.new" "$output"
