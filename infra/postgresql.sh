#!/usr/bin/env bash
# Prints the folder of PostgreSQL's programs (initdb, pg_ctl), with which the tests start a database for the
# Prefect server. Where there are none, the package is installed with apt-get, through sudo if need be.
# Nothing but the tests needs it.
#
#   infra/postgresql.sh [--find]      --find installs nothing
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

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

install() { apt_install postgresql; }

ensure postgresql "the tests of a Prefect server on PostgreSQL need the package postgresql" \
    "for the tests of a Prefect server on it" "it is missing" install "$@"
