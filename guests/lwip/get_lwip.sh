#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# get_lwip.sh CACHE DIRECTORY: unpacks Debian's source package of lwIP, with Debian's patches, to
# DIRECTORY. It is downloaded once into CACHE; apt checks that it is Debian's. If apt's lists have no
# source packages (deb-src), lists of its own are kept in CACHE. Root's rights are not needed.
set -eu

cache=$1 directory=$2

newest() { ls -t "$cache"/lwip_*.dsc 2>/dev/null | head -n 1; }

# Where the machine has no deb-src line. What signs the archive is in the package debian-archive-keyring.
own_lists() {
    state=$(cd "$cache" && pwd)/apt
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/parts"
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
        "http://deb.debian.org/debian bookworm main" > "$state/sources.list"
    options="-o Dir::Etc::SourceList=$state/sources.list -o Dir::Etc::SourceParts=$state/parts
        -o Dir::State::Lists=$state/lists -o Dir::Cache=$state/cache"
    apt-get -q -o "$sandbox" $options update
}

mkdir -p "$cache"
if [ -z "$(newest)" ]; then
    download="$cache/download.$$"
    mkdir "$download"
    trap 'rm -rf "$download"' EXIT
    echo "  FETCH   lwip (source)"
    sandbox=APT::Sandbox::User=$(id -un) # the package goes to a directory of the user's
    options=
    get() { (cd "$download" && apt-get -q -o "$sandbox" $options source --download-only lwip); }
    if ! { get || { own_lists && get; }; } > "$download/log" 2>&1; then
        sed 's/^/    /' "$download/log" >&2
        echo "get_lwip.sh: Debian's source package lwip cannot be downloaded" >&2
        exit 1
    fi
    mv "$download"/lwip_* "$cache/"
fi

rm -rf "$directory"
mkdir -p "$(dirname "$directory")"
if ! log=$(dpkg-source -x "$(newest)" "$directory" 2>&1); then
    echo "$log" >&2
    exit 1
fi
