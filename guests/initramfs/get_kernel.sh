#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# get_kernel.sh FLAVOUR CACHE DIRECTORY: unpacks Debian's kernel of that flavour ("cloud-amd64" or
# "amd64") to DIRECTORY/vmlinuz, its configuration to DIRECTORY/config, its modules for VLANs, virtio, loop devices,
# network interfaces that lead nowhere, and PCI devices that programs drive to DIRECTORY/debian, and writes its release
# to DIRECTORY/release. It is the release of the installed kernel headers, so that modules fit. The package is
# downloaded once into CACHE; nothing is installed and root's rights are not needed.
set -eu

flavour=$1 cache=$2 directory=$3

release=$(dpkg-query -W -f '${Depends}' "linux-headers-$flavour" 2>/dev/null |
    sed -n 's/.*linux-headers-\([0-9][^ ,]*\).*/\1/p')
if [ -z "$release" ]; then
    echo "get_kernel.sh: the package linux-headers-$flavour is not installed: 'make deps'" >&2
    exit 1
fi
package=linux-image-$release

newest() { ls -t "$cache/${package}_"*.deb 2>/dev/null | head -n 1; }

mkdir -p "$cache" "$directory"
if [ -z "$(newest)" ]; then
    download="$cache/download.$$"
    mkdir "$download"
    trap 'rm -rf "$download"' EXIT
    echo "  FETCH   $package"
    sandbox=APT::Sandbox::User=$(id -un) # the package goes to a directory of the user's
    if ! (cd "$download" && apt-get -q -o "$sandbox" download "$package" > log 2>&1); then
        # The archive may have a newer kernel only, or apt may not know of it yet.
        if [ "$(id -u)" -eq 0 ] && [ -z "${POSTERN_HEADERS_UPDATED:-}" ]; then
            echo "  UPDATE  linux-headers-$flavour"
            apt-get -q update > /dev/null
            DEBIAN_FRONTEND=noninteractive apt-get -q -y install "linux-headers-$flavour" > /dev/null
            rm -rf "$download"
            POSTERN_HEADERS_UPDATED=1 exec "$0" "$@"
        fi
        sed 's/^/    /' "$download/log" >&2
        echo "get_kernel.sh: $package cannot be downloaded. If the archive no longer has it, then" \
            "update the kernel headers to its newest:" >&2
        echo "  sudo sh -c 'apt-get update && apt-get install linux-headers-$flavour'" >&2
        exit 1
    fi
    mv "$download"/*.deb "$cache/"
fi

modules=./lib/modules/$release/kernel
rm -rf "$directory/lib" "$directory/debian"
dpkg-deb --fsys-tarfile "$(newest)" |
    tar -x -C "$directory" --no-same-owner "./boot/vmlinuz-$release" "./boot/config-$release" \
        "$modules/net/llc/llc.ko" "$modules/net/802/stp.ko" "$modules/net/802/garp.ko" \
        "$modules/net/802/mrp.ko" "$modules/net/8021q/8021q.ko" \
        "$modules/drivers/virtio/virtio.ko" "$modules/drivers/virtio/virtio_ring.ko" \
        "$modules/drivers/virtio/virtio_pci.ko" "$modules/drivers/virtio/virtio_pci_modern_dev.ko" \
        "$modules/drivers/virtio/virtio_pci_legacy_dev.ko" \
        "$modules/drivers/char/hw_random/virtio-rng.ko" \
        "$modules/drivers/char/virtio_console.ko" "$modules/drivers/block/virtio_blk.ko" \
        "$modules/net/core/failover.ko" "$modules/drivers/net/net_failover.ko" \
        "$modules/drivers/net/virtio_net.ko" "$modules/drivers/net/dummy.ko" \
        "$modules/drivers/block/loop.ko" "$modules/drivers/uio/uio.ko" \
        "$modules/drivers/uio/uio_pci_generic.ko"
mv "$directory/boot/vmlinuz-$release" "$directory/vmlinuz"
mv "$directory/boot/config-$release" "$directory/config"
mkdir "$directory/debian"
find "$directory/lib" -name '*.ko' -exec mv {} "$directory/debian/" \;
rm -r "$directory/boot" "$directory/lib"
touch "$directory/vmlinuz"
echo "$release" > "$directory/release"
