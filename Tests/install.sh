#!/usr/bin/env bash
# Installs Debian packages that are missing: install.sh PACKAGE…, or PROGRAM:PACKAGE where any package that brings
# the program will do. pypi:NAME is a package of PyPI, whose version and hash stand below; it goes to .build/python,
# nothing of the system's is replaced. Quiet when there is nothing to install.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
missing=()
python_missing=()
python_folder=$(cd "$(dirname "$0")/.." && pwd)/.build/python
for wanted in "$@"; do
    case $wanted in
        pypi:joserfc)
            # Without what it depends on: Debian's python3-cryptography does, though joserfc asks for a newer one.
            if ! [ -d "$python_folder/joserfc-1.8.0.dist-info" ]; then
                python_missing+=("joserfc==1.8.0 --hash=sha256:176b836ac7ed9a46a88629e24076314b475f33a75d0bad7f26146e572eed7c79")
                /usr/bin/python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
            fi ;;
        pypi:*) echo "$wanted: its version and hash do not stand in $0" >&2; exit 2 ;;
        *:*) command -v "${wanted%%:*}" >/dev/null || missing+=("${wanted#*:}") ;;
        *) dpkg-query -W -f '${Status}' "$wanted" 2>/dev/null | grep -q ' installed$' || missing+=("$wanted") ;;
    esac
done
[ ${#missing[@]} -gt 0 ] || [ ${#python_missing[@]} -gt 0 ] || exit 0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

install_debian() {
    if ! command -v apt-get >/dev/null; then
        echo "missing: ${missing[*]} (Debian's names); this is no Debian, install them by hand" >&2
        exit 1
    fi
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "missing: ${missing[*]}; run as root: apt-get install ${missing[*]}" >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    echo "installing ${missing[*]}"
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
}

install_python() {
    echo "installing ${python_missing[*]%% *}"
    if ! printf '%s\n' "${python_missing[@]}" | /usr/bin/python3 -m pip install --quiet --disable-pip-version-check \
        --root-user-action ignore --require-hashes --only-binary :all: --no-deps --upgrade --target "$python_folder" \
        -r /dev/stdin >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "pip could not install ${python_missing[*]%% *}; its last lines stand above" >&2
        exit 1
    fi
}

[ ${#missing[@]} -eq 0 ] || install_debian
[ ${#python_missing[@]} -eq 0 ] || install_python
