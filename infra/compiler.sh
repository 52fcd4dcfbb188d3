#!/usr/bin/env bash
# Prints the path of a C compiler that can compile for a Python. Where there is none, or the headers of that
# Python are missing, the packages are installed with apt-get, through sudo if need be.
#
#   infra/compiler.sh PYTHON [--find]      --find installs nothing
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

readonly python=$1
readonly packages=(gcc libc6-dev python3-dev)

found() {
    "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' && command -v cc
}

install() { apt_install "${packages[@]}"; }

ensure compiler "compiling for $python needs: ${packages[*]}" \
    "to compile a package that reasoning-gym imports" "a C compiler or the headers of Python are missing" \
    install "${@:2}"
