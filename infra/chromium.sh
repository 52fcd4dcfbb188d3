#!/usr/bin/env bash
# Prints the path of a Chromium, which the tests of the Prefect UI drive. Where there is none, the
# package is installed with apt-get, through sudo if need be. Nothing but the tests needs it.
#
#   infra/chromium.sh [--find]      --find installs nothing; CHROMIUM=PATH names one
set -euo pipefail

found() {
    local name
    for name in ${CHROMIUM:+"$CHROMIUM"} chromium chromium-browser google-chrome google-chrome-stable; do
        # Ubuntu has a chromium-browser that only says where to get it: it has to answer.
        if command -v "$name" >/dev/null && "$name" --version >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    return 1
}

fail() {
    printf 'chromium: %s; install one, or name it with: make test CHROMIUM=/path/to/chromium\n' "$*" >&2
    exit 2
}

if found; then exit; fi
[ "${1:-}" != --find ] || fail "there is no Chromium for the tests of the Prefect UI"
command -v apt-get >/dev/null || fail "there is no Chromium, and no apt-get to install it with"

as_root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "there is no Chromium, and no sudo to install it with"
    as_root=(sudo)
fi
install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet=2 --no-install-recommends "$1" >/dev/null 2>&1
}

printf 'chromium: installing it with apt-get, for the tests of the Prefect UI\n' >&2
install chromium || {
    "${as_root[@]}" apt-get update --quiet=2 >/dev/null 2>&1 || fail "apt-get update failed"
    install chromium || install chromium-browser || fail "apt-get could not install chromium"
}
found || fail "what apt-get installed as chromium does not start"
