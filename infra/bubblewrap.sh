#!/usr/bin/env bash
# Prints the path of bubblewrap, in which programs are graded. Where it is missing, or the setpriv or
# the Python it needs beside it, the packages are installed with apt-get, through sudo if need be.
#
#   infra/bubblewrap.sh [--find]      --find installs nothing
set -euo pipefail

readonly packages=(bubblewrap util-linux python3)

found() {
    command -v setpriv >/dev/null && { [ -x /usr/bin/python3 ] || [ -x /usr/local/bin/python3 ]; } &&
        command -v bwrap
}

fail() {
    printf 'bubblewrap: %s; grading programs needs: %s\n' "$*" "${packages[*]}" >&2
    exit 2
}

if found; then exit; fi
[ "${1:-}" != --find ] || fail "something is missing"
command -v apt-get >/dev/null || fail "something is missing, and there is no apt-get to install it with"

as_root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "something is missing, and there is no sudo to install it with"
    as_root=(sudo)
fi
install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet=2 --no-install-recommends "${packages[@]}" >/dev/null 2>&1
}

printf 'bubblewrap: installing it with apt-get, to grade programs in\n' >&2
install || {
    "${as_root[@]}" apt-get update --quiet=2 >/dev/null 2>&1 || fail "apt-get update failed"
    install || fail "apt-get could not install them"
}
found || fail "what apt-get installed is not found"
