#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# build.sh OUTPUT PROGRAMS [-t TREE] [MODULE.ko...]: makes a guest's initramfs from Debian's BusyBox,
# iperf3 and ethtool, the files beside this script, the programs in the folder PROGRAMS, all of the
# folder TREE and the modules, of which the guest loads postern_net, and those for virtio if it has
# such a device. The same inputs give the same bytes.
set -eu

output=$1
programs=$2
shift 2
tree=
if [ "${1:-}" = -t ]; then
    tree=$2
    shift 2
fi
here=$(dirname -- "$0")
epoch=${SOURCE_DATE_EPOCH:-1735689600}
export LC_ALL=C TZ=UTC
umask 022

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
(cd "$root" && mkdir -p bin dev etc lib/modules proc root sys tmp)

busybox=$(command -v busybox)
if ! "$busybox" --list | grep -qx cttyhack; then
    echo "build.sh: $busybox is not the one of the package busybox-static" >&2
    exit 1
fi
cp "$busybox" "$root/bin/busybox"
"$busybox" --list | while read -r applet; do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done

# add_program NAME: one of Debian's, with its libraries.
add_program() {
    program=$(command -v "$1" || command -v "/usr/sbin/$1" || command -v "/sbin/$1")
    cp "$program" "$root/bin/$1"
    ldd "$program" | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
}
add_program iperf3
add_program ethtool

cp "$programs"/* "$root/bin/"
[ -z "$tree" ] || cp -a "$tree/." "$root/"
cp "$here/init" "$root/init"
cp "$here/inittab" "$here/shell" "$root/etc/"
chmod 755 "$root/init"
: > "$root/etc/modules"
for module in "$@"; do
    name=$(basename "$module" .ko)
    cp "$module" "$root/lib/modules/"
    [ "$name" != postern_net ] || echo "$name" >> "$root/etc/modules"
done

find "$root" -exec touch -h -d "@$epoch" {} +
chmod 755 "$root" # what the kernel makes by itself, all may write to
(cd "$root" && find . | sort | cpio --quiet -o -H newc -R 0:0 --reproducible) \
    > "$output.cpio"
# LZ4: the file is read once and unpacked by each guest, which costs an emulator more than reading.
lz4 -q -f -l -9 "$output.cpio" "$output.new"
rm "$output.cpio"
mv "$output.new" "$output"
