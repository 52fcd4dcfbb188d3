#!/usr/bin/env bash
# Prints the path of libfaketime, with which the tests set the clock of a process. Where it is missing, the
# package is installed with apt-get, through sudo if need be. Nothing but the tests needs it.
#
#   infra/faketime.sh [--find]      --find installs nothing
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

found() {
    local library
    for library in /usr/lib/*/faketime/libfaketime.so.1 /usr/lib/faketime/libfaketime.so.1; do
        if [ -e "$library" ]; then
            printf '%s\n' "$library"
            return
        fi
    done
    return 1
}

install() { apt_install libfaketime; }

ensure faketime "the tests of clocks that are set need the package libfaketime" \
    "for the tests of clocks that are set" "it is missing" install "$@"
