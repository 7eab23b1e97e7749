#!/usr/bin/env bash
# Installs Debian packages that are missing: install.sh PACKAGE…, or PROGRAM:PACKAGE where any package that brings
# the program will do. Quiet when there is nothing to install.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
missing=()
for wanted in "$@"; do
    case $wanted in
        *:*) command -v "${wanted%%:*}" >/dev/null || missing+=("${wanted#*:}") ;;
        *) dpkg-query -W -f '${Status}' "$wanted" 2>/dev/null | grep -q ' installed$' || missing+=("$wanted") ;;
    esac
done
[ ${#missing[@]} -gt 0 ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "missing: ${missing[*]} (Debian's names); this is no Debian, install them by hand" >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "missing: ${missing[*]}; run as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Servers among them are started by whoever needs them, not by being installed.
guard=/usr/sbin/policy-rc.d
if [ ! -e $guard ]; then
    printf '#!/bin/sh\nexit 101\n' | ${as_root[@]+"${as_root[@]}"} tee $guard >/dev/null
    ${as_root[@]+"${as_root[@]}"} chmod 755 $guard
    trap 'rm -f "$log"; ${as_root[@]+"${as_root[@]}"} rm -f $guard' EXIT
fi
if ! { ${as_root[@]+"${as_root[@]}"} apt-get update -qq &&
    ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "apt-get could not install ${missing[*]}; its last lines stand above" >&2
    exit 1
fi
