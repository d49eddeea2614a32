#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# get_lwip.sh CACHE DIRECTORY: unpacks Debian's source package of lwIP, with Debian's patches, to
# DIRECTORY. It is downloaded once into CACHE. Root's rights are not needed.
set -eu

cache=$1 directory=$2

source=$("$(dirname -- "$0")/../get_source.sh" lwip "$cache")
rm -rf "$directory"
mkdir -p "$(dirname "$directory")"
if ! log=$(dpkg-source -x "$source" "$directory" 2>&1); then
    echo "$log" >&2
    exit 1
fi
