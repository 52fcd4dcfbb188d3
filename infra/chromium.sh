#!/usr/bin/env bash
# Prints the path of a Chromium, which the tests of the Prefect UI drive. Where there is none, the
# package is installed with apt-get, through sudo if need be. Nothing but the tests needs it.
#
#   infra/chromium.sh [--find]      --find installs nothing; CHROMIUM=PATH names one
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

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

# On Ubuntu chromium-browser only says where to get it, and is the last resort.
install() { apt_install chromium || { [ "${1:-}" = again ] && apt_install chromium-browser; }; }

ensure chromium "install one, or name it with: make test CHROMIUM=/path/to/chromium" \
    "for the tests of the Prefect UI" "there is no Chromium" install "$@"
