# shellcheck shell=bash
# What the scripts that find a program of the system share: each names it, defines `found`, which prints where
# it is, and calls `ensure`.

# fail NAME WHY
fail() {
    printf '%s: %s\n' "$1" "$2" >&2
    exit 2
}

# ensure NAME HINT FOR ABSENT INSTALL [--find]
#   prints what `found` prints; where it finds nothing and not just --find was given, the function INSTALL is
#   called, which calls `apt_install`; a second time, with "again", after apt-get update. ABSENT is what is missing, FOR what it is for, HINT what to do by hand.
ensure() {
    local name=$1 hint=$2 purpose=$3 absent=$4 install=$5
    if found; then return; fi
    [ "${6:-}" != --find ] || fail "$name" "$absent; $hint"
    command -v apt-get >/dev/null || fail "$name" "$absent, and there is no apt-get to install it with; $hint"
    as_root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "$name" "$absent, and there is no sudo to install it with; $hint"
        as_root=(sudo)
    fi
    printf '%s: installing it with apt-get, %s\n' "$name" "$purpose" >&2
    "$install" || {
        "${as_root[@]}" apt-get update --quiet=2 >/dev/null 2>&1 || fail "$name" "apt-get update failed; $hint"
        "$install" again || fail "$name" "apt-get could not install it; $hint"
    }
    found || fail "$name" "what apt-get installed is not found, or does not start; $hint"
}

apt_install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet=2 --no-install-recommends "$@" >/dev/null 2>&1
}
