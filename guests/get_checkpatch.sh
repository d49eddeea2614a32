#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# get_checkpatch.sh CACHE: has the kernel's scripts/checkpatch.pl in CACHE/checkpatch, with the two
# files that it reads. Debian has it in the package linux-source-VERSION only, of 140 MB, which is
# downloaded and not kept. Root's rights are not needed.
set -eu

cache=$1
[ ! -e "$cache/checkpatch/checkpatch.pl" ] || exit 0

package=$(dpkg-query -W -f '${Depends}' linux-headers-cloud-amd64 2>/dev/null |
    sed -n 's/.*linux-headers-\([0-9]*\.[0-9]*\)\..*/linux-source-\1/p')
if [ -z "$package" ]; then
    echo "get_checkpatch.sh: the package linux-headers-cloud-amd64 is not installed: 'make deps'" >&2
    exit 1
fi
mkdir -p "$cache"
download="$cache/download.$$"
mkdir "$download"
trap 'rm -rf "$download"' EXIT
echo "  FETCH   $package"
sandbox=APT::Sandbox::User=$(id -un) # the package goes to a directory of the user's
if ! (cd "$download" && apt-get -q -o "$sandbox" download "$package" > log 2>&1); then
    sed 's/^/    /' "$download/log" >&2
    echo "get_checkpatch.sh: $package cannot be downloaded" >&2
    exit 1
fi
dpkg-deb --fsys-tarfile "$download/$package"_*.deb | tar -xO "./usr/src/$package.tar.xz" | xz -dc |
    tar -x -C "$download" --strip-components=2 --no-same-owner "$package/scripts/checkpatch.pl" \
        "$package/scripts/spelling.txt" "$package/scripts/const_structs.checkpatch"
mkdir -p "$cache/checkpatch"
mv "$download/spelling.txt" "$download/const_structs.checkpatch" "$cache/checkpatch/"
mv "$download/checkpatch.pl" "$cache/checkpatch/"
