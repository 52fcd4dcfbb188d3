"""The package that travels with an export: modules of pacore and all that they import, under another name.

What a module imports is read from its source, so that nothing is listed by hand; only the names change. The
package needs what `requirements` says and not pacore, with which it can be installed side by side.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from pacore import __version__

PACKAGE = "pacore_handoff"

_OWN = re.compile(r"\bpacore(?=\.[a-z])")

_OPTIONAL = frozenset(
    (
        "datasets",
        "hydra",
        "omegaconf",
        "pacore_synthesis",
        "slime",
        "torch",
        "torchdata",
        "transformers",
        "trl",
        "verifiers",
        "verl",
    )
)
"""What the trainers bring themselves, and parts of exports: never among the requirements."""

_HEAD = '''"""Parts of pacore {version} (Apache-2.0), which travel with an export."""

__version__ = "{version}"
'''


def package_files(modules: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Path below the export and source of each file of the package, sorted; ``modules`` are its roots."""
    yield f"{PACKAGE}/__init__.py", _HEAD.format(version=__version__)
    for name, path in sorted(_closure(tuple(modules)).items()):
        inner = name.split(".", 1)[1].replace(".", "/")
        file = f"{inner}/__init__.py" if path.name == "__init__.py" else f"{inner}.py"
        yield f"{PACKAGE}/{file}", renamed(path.read_text(encoding="utf-8"))


def renamed(source: str) -> str:
    """A source that names modules of the package where it named those of pacore."""
    return _OWN.sub(PACKAGE, source)


def requirements(modules: Sequence[str]) -> dict[str, str]:
    """The third-party packages that the modules need, each with the version that is here."""
    tops = {
        imported.partition(".")[0]
        for path in _closure(tuple(modules)).values()
        for imported in _imports(path)
    }
    others = tops - sys.stdlib_module_names - _OPTIONAL - {"pacore", "pydantic_core"}
    return {name: version(name) for name in sorted(others)}


@cache
def _closure(modules: tuple[str, ...]) -> dict[str, Path]:
    """The files of modules and of all modules of pacore that they import, by their names."""
    found: dict[str, Path] = {}
    left = list(modules)
    while left:
        name = left.pop()
        path = None if name in found or "." not in name else _file_of(name)
        if path is None:
            continue
        found[name] = path
        left.append(name.rpartition(".")[0])
        left += [one for one in _imports(path) if one.partition(".")[0] == "pacore"]
    return found


def _file_of(name: str) -> Path | None:
    """The file of a module; None for a name in one."""
    outer, _, inner = name.rpartition(".")
    folder = find_spec(outer)
    if folder is None or folder.submodule_search_locations is None:
        return None
    base = Path(folder.submodule_search_locations[0]) / inner
    return next(
        (path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None
    )


@cache
def _imports(path: Path) -> tuple[str, ...]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(found)
