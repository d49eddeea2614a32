#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# get_source.sh PACKAGE CACHE [VERSION]: downloads Debian's source package into CACHE, unless it is
# there, and prints the name of its .dsc. apt checks that it is Debian's. If apt's lists have no source
# packages (deb-src), lists of its own are kept in CACHE. Root's rights are not needed.
set -eu

package=$1 cache=$2 version=${3:-}
version=${version#*:} # files are named without the epoch

newest() { ls -t "$cache/${package}_"${version:-*}.dsc 2>/dev/null | head -n 1; }

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
    echo "  FETCH   $package (source)" >&2
    sandbox=APT::Sandbox::User=$(id -un) # the package goes to a directory of the user's
    options=
    get() {
        (cd "$download" && apt-get -q -o "$sandbox" $options source --download-only \
            "$package${3:+=$3}")
    }
    if ! { get "$@" || { own_lists && get "$@"; }; } > "$download/log" 2>&1; then
        sed 's/^/    /' "$download/log" >&2
        echo "get_source.sh: Debian's source package $package ${3:-} cannot be downloaded" >&2
        exit 1
    fi
    mv "$download/${package}_"* "$cache/"
fi
newest
