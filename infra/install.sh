#!/usr/bin/env bash
# Makes .venv from constraints.txt, which names every package with its version, and puts pacore into
# it as an editable install. Needs Python >= 3.11 and a package index, and nothing else.
#
#   infra/install.sh [PYTHON]
set -euo pipefail
cd "$(dirname "$0")/.."

python=${1:-python3}
readonly TORCH_INDEX=https://download.pytorch.org/whl/cpu

fail() {
    printf 'install: %s\n' "$*" >&2
    exit 2
}

command -v "$python" >/dev/null ||
    fail "there is no $python; name Python 3.11 or newer with: make PYTHON=python3.12"
found=$("$python" -c 'import sys; print(*sys.version_info[:2], sep=".")')
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "pacore needs Python 3.11 or newer, and $python is $found; name one with: make PYTHON=python3.12"

"$python" -m venv .venv || fail "$python cannot make a .venv; on Debian: apt-get install python3-venv"

# --no-deps: constraints.txt is complete, and some of what packages ask for is left out on purpose
# (pyproject.toml says what and why). --no-compile: compiling 30,000 files, most of them never
# imported, takes longer than everything else together.
install=(.venv/bin/python -m pip install --no-deps --no-compile --disable-pip-version-check -qq)

# torch's CPU build has a version of its own that PyPI may not carry. Where pip is configured to find
# it, it is taken from there; else from PyTorch's index, which is asked for nothing but this.
grep '^torch==' constraints.txt >.venv/torch.txt
printf 'install: %s packages into .venv, a minute or two\n' "$(grep -c == constraints.txt)"
"${install[@]}" -r .venv/torch.txt 2>/dev/null ||
    "${install[@]}" -r .venv/torch.txt --index-url "$TORCH_INDEX"
"${install[@]}" -r constraints.txt
"${install[@]}" --no-build-isolation --editable .

# --no-deps would hide a requirement that constraints.txt does not know.
.venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

unmet = []
for requirement in map(Requirement, requires("pacore") or []):
    marker = requirement.marker
    wanted = ("", "demo", "dev", "vllm-cpu")
    if marker and not any(marker.evaluate({"extra": extra}) for extra in wanted):
        continue
    try:
        if not requirement.specifier.contains(version(requirement.name), prereleases=True):
            unmet.append(str(requirement))
    except PackageNotFoundError:
        unmet.append(str(requirement))
if unmet:
    sys.exit(f"install: constraints.txt lacks {', '.join(unmet)}; `make lock` brings it up to date")
PYTHON
