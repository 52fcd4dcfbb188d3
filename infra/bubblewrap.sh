#!/usr/bin/env bash
# Prints the path of bubblewrap, in which programs are graded. Where it is missing, or the setpriv or
# the Python it needs beside it, the packages are installed with apt-get, through sudo if need be.
#
#   infra/bubblewrap.sh [--find]      --find installs nothing
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

readonly packages=(bubblewrap util-linux python3)

found() {
    command -v setpriv >/dev/null && { [ -x /usr/bin/python3 ] || [ -x /usr/local/bin/python3 ]; } &&
        command -v bwrap
}

install() { apt_install "${packages[@]}"; }

ensure bubblewrap "grading programs needs: ${packages[*]}" \
    "to grade programs in" "something is missing" install "$@"
