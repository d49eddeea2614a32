#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# get_headers.sh CACHE DIRECTORY: copies to DIRECTORY what DPDK's drivers are built with and Debian's
# libdpdk-dev does not install: four headers of the same release's source package, which is downloaded
# once into CACHE. Root's rights are not needed.
set -eu

cache=$1 directory=$2

version=$(dpkg-query -W -f '${source:Version}' libdpdk-dev 2>/dev/null || true)
if [ -z "$version" ]; then
    echo "get_headers.sh: the package libdpdk-dev is not installed: 'make deps'" >&2
    exit 1
fi
source=$("$(dirname -- "$0")/../get_source.sh" dpdk "$cache" "$version")
upstream=${version#*:}
rm -rf "$directory"
mkdir -p "$directory"
tar -xf "$(dirname "$source")/dpdk_${upstream%-*}.orig.tar.xz" -C "$directory" --no-same-owner \
    --strip-components=1 --wildcards --no-wildcards-match-slash --transform 's,.*/,_/,' \
    '*/lib/ethdev/ethdev_driver.h' '*/lib/ethdev/ethdev_vdev.h' \
    '*/lib/eal/include/dev_driver.h' '*/drivers/bus/vdev/bus_vdev_driver.h'
