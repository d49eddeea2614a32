#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# make_tree.sh TREE DRIVER.so: copies Debian's dpdk-testpmd to the folder TREE as a guest has it: with
# its shared libraries, the drivers for virtual devices, DRIVER.so and, for who names it with -d, that for
# virtio's NICs.
set -eu

tree=$1 driver=$2
libraries=/lib/x86_64-linux-gnu
export LC_ALL=C

testpmd=$(command -v dpdk-testpmd) || {
    echo "make_tree.sh: the package dpdk is not installed: 'make deps'" >&2
    exit 1
}
plugins=$(ls -d /usr/lib/x86_64-linux-gnu/dpdk/pmds-*)

rm -rf "$tree"
mkdir -p "$tree/bin" "$tree$libraries" "$tree$plugins" "$tree/var/run" "$tree/run" "$tree/lib64"
cp -L "$testpmd" "$tree/bin/dpdk-testpmd"
cp -L /lib64/ld-linux-x86-64.so.2 "$tree/lib64/"
cp "$driver" "$tree$libraries/"

# One file for each library: a driver that is loaded under two names registers twice.
for plugin in mempool_ring bus_vdev net_null net_ring; do
    name=$(basename "$plugins/librte_$plugin".so.*.*)
    cp -L "$plugins/$name" "$tree$libraries/${name%.*}"
    ln -s "$libraries/${name%.*}" "$tree$plugins/$name"
done
for plugin in bus_pci net_virtio; do
    name=$(basename "$plugins/librte_$plugin".so.*.*)
    cp -L "$plugins/$name" "$tree$libraries/${name%.*}"
done
for file in "$tree/bin/dpdk-testpmd" "$tree$libraries"/*; do
    ldd "$file"
done | awk '$2 == "=>" { print $3 }' | sort -u | while read -r library; do
    [ -e "$tree$libraries/$(basename "$library")" ] || cp -L "$library" "$tree$libraries/"
done
