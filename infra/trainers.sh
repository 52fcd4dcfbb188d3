#!/usr/bin/env bash
# Environments of trainers, one each under build/trainers, in which exports are loaded by the trainers'
# own loaders. One that is there is left alone.
#
#   infra/trainers.sh PYTHON TRAINER…
#
# trl (1.2 GB, half a minute from pip's cache), verifiers (0.4 GB, a minute), verl (1.6 GB, 5 to 11
# minutes), openrlhf (its data set alone: what the rest of it needs does not build without a GPU).
set -euo pipefail
cd "$(dirname "$0")/.."

python=$1
shift
readonly TORCH_INDEX=https://download.pytorch.org/whl/cpu
readonly TORCH=build/trainers/torch.txt
mkdir -p build/trainers
grep '^torch==' constraints.txt >"$TORCH"
# What an export needs beside the trainer: its requirements.txt.
needed=(mpmath pebble pyarrow pydantic sympy)

install() {
    local place=$1
    shift
    "$place/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check "$@"
}

# torch's CPU build from where pip is configured to find it, else from PyTorch's index.
install_torch() {
    install "$1" -r "$TORCH" 2>/dev/null || install "$1" -r "$TORCH" --extra-index-url "$TORCH_INDEX"
}

for trainer in "$@"; do
    place=build/trainers/$trainer
    [ -e "$place/.installed" ] && continue
    rm -rf "$place"
    "$python" -m venv "$place"
    printf 'trainers: %s into %s\n' "$trainer" "$place"
    case $trainer in
    trl)
        install_torch "$place"
        install "$place" trl==1.16.0 "${needed[@]}"
        ;;
    verifiers) install "$place" verifiers==0.4.0 "${needed[@]}" ;;
    verl)
        install_torch "$place"
        install "$place" verl==0.9.1 -r "$TORCH" "${needed[@]}"
        ;;
    openrlhf)
        install_torch "$place"
        install "$place" --no-deps openrlhf==0.11.2
        install "$place" datasets transformers tqdm "${needed[@]}"
        ;;
    *)
        printf 'trainers: there is no recipe for %s\n' "$trainer" >&2
        exit 2
        ;;
    esac
    touch "$place/.installed"
done
