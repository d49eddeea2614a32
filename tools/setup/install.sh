#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# install.sh [FILE]: installs the Debian packages of FILE, or of packages.txt, that are missing.
# Without root's rights it only says which command to run. Exit codes: 0 all are installed; 1 some
# are not.
set -eu

here=$(dirname -- "$0")
wanted=$(sed 's/#.*//' "${1:-$here/packages.txt}" | xargs)

if ! command -v dpkg-query >/dev/null; then
    echo "install.sh: this is not a Debian system; install the likes of: $wanted" >&2
    exit 1
fi

installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2>/dev/null |
    awk '$2 == "installed" { print $1 }')
missing=$(printf '%s\n' "$installed" "--" $wanted |
    awk '/^--$/ { wanted = 1; next } !wanted { have[$1] = 1; next } !($1 in have)' | xargs)
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends $missing"
if [ "$(id -u)" -ne 0 ]; then
    echo "Packages are missing. Run this line, then repeat what you did:" >&2
    echo "  sudo sh -c 'apt-get update && $install'" >&2
    exit 1
fi

echo "installing $(echo "$missing" | wc -w) missing packages: $missing"
export DEBIAN_FRONTEND=noninteractive
# Long silences look like a hang: apt's own lines stay visible.
if ! apt-get update || ! $install; then
    echo "install.sh: apt-get failed; see its error above, then repeat" >&2
    echo "  (the package lists come from /etc/apt/sources.list; Debian 12's main and its security updates are enough)" >&2
    exit 1
fi
