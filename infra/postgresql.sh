#!/usr/bin/env bash
# Prints the folder of PostgreSQL's programs (initdb, pg_ctl), with which the tests start a database for the
# Prefect server. Where there are none, the package is installed with apt-get, through sudo if need be.
# Nothing but the tests needs it.
#
#   infra/postgresql.sh [--find]      --find installs nothing
set -euo pipefail

# Debian keeps them out of the PATH, in a folder for each version.
found() {
    local folder
    for folder in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -Vr) $(dirname "$(command -v initdb)" 2>/dev/null); do
        if [ -x "$folder/initdb" ] && [ -x "$folder/pg_ctl" ]; then
            printf '%s\n' "$folder"
            return
        fi
    done
    return 1
}

fail() {
    printf 'postgresql: %s; the tests of a Prefect server on PostgreSQL need the package postgresql\n' "$*" >&2
    exit 2
}

if found; then exit; fi
[ "${1:-}" != --find ] || fail "there is none"
command -v apt-get >/dev/null || fail "there is none, and no apt-get to install it with"

as_root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "there is none, and no sudo to install it with"
    as_root=(sudo)
fi
install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet=2 --no-install-recommends postgresql >/dev/null 2>&1
}

printf 'postgresql: installing it with apt-get, for the tests of a Prefect server on it\n' >&2
install || {
    "${as_root[@]}" apt-get update --quiet=2 >/dev/null 2>&1 || fail "apt-get update failed"
    install || fail "apt-get could not install it"
}
found || fail "what apt-get installed is not found"
