"""The rooms of the code: which may import which, and which third-party packages each may use.

The path of a module is its room: `pacore/store/backends/local.py` is in ``store``, the files directly
in `pacore/` are the ``ground``, and `tasks/` and `flows/` are rooms of their own.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent

MEANS = "core store problems engine sandbox warehouse"
MAY_IMPORT = {
    "ground": "",
    "core": "",
    "store": "core",
    "sandbox": "core",
    "problems": "core store",
    "engine": "core store",
    "warehouse": "core store",
    "runs": MEANS,
    "evaluation": f"{MEANS} runs",
    "audit": "core store warehouse sandbox",
    "repair": f"{MEANS} runs evaluation audit",
    "exchange": "core store problems engine runs",
    "training": f"{MEANS} runs evaluation audit",
    "report": "core store warehouse problems runs evaluation audit training",
    "tasks": f"{MEANS} runs evaluation audit training report",
    "flows": f"{MEANS} runs evaluation audit training report tasks",
    "api": f"{MEANS} runs evaluation audit training report tasks flows",
    "cli": f"{MEANS} runs evaluation audit repair exchange training report tasks flows api",
    "pacore": f"{MEANS} evaluation api",
}
"""Each room imports itself, the ground, and these; of ``pacore``, the public names, only the version."""

DOORS = {
    "aiohttp": "engine/transport store/backends/services",
    "botocore": "store/backends/services",
    "click": "cli/* cli/files/*",
    "duckdb": "warehouse/connection",
    "fsspec": "store/backends/*",
    "httpx": "tasks/*",
    "matplotlib": "report/rendering/plots",
    "mpmath": "sandbox/algebra/*",
    "numpy": "evaluation/statistics/*",
    "pebble": "sandbox/mathematics",
    "polars": "api/store",
    "prefect": "tasks/* flows/*",
    "pydantic_core": "core/validation",
    "rensa": "training/filters",
    "reasoning_gym": "training/sources/generators",
    "pyarrow": "store/schema store/parquet problems/formats/parquet api/store training/handoff/*",
    "rich": "report/rendering/terminal",
    "scipy": "evaluation/statistics/*",
    "slime": "training/handoff/slime_source",
    "sympy": "sandbox/algebra/*",
    "torch": "training/handoff/*",
    "torchdata": "training/handoff/loaders",
    "trl": "training/handoff/loaders",
    "transformers": "training/handoff/checks",
    "datasets": "training/handoff/loaders",
    "hydra": "training/handoff/loaders",
    "omegaconf": "training/handoff/loaders",
    "pacore_synthesis": "training/handoff/loaders",
    "tenacity": "runs/dispatch/sampler store/backends/objects",
    "verifiers": "training/handoff/verifiers_taskset",
    "verl": "training/handoff/*",
    "yaml": "cli/config_options tasks/deployment",
    "zstandard": "store/journal problems/formats/bytes",
}
"""Third-party packages, and the only modules that import them; pydantic is used everywhere."""

GROUND = {"__init__", "errors", "text", "home", "processes", "bounded", "proxies", "interruption"}
MOST_FILES = 14


class Module:
    def __init__(self, path: Path) -> None:
        self.path = path
        parts = path.relative_to(ROOT).with_suffix("").parts
        self.name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        self.place = "/".join(parts[1:] if parts[0] == "pacore" else parts)
        self.tree = ast.parse(path.read_text())

    @property
    def room(self) -> str:
        return room_of(self.name)

    @property
    def imports(self) -> Iterator[str]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name}: relative import"
                names = {alias.name for alias in node.names}
                assert node.module != "pacore" or names == {"__version__"}, f"{self.name}: {names}"
                yield str(node.module)
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(name: str) -> str:
    top, *rest = name.split(".")
    if top != "pacore":
        return top
    if not rest:
        return "pacore"
    return "ground" if rest[0] in GROUND else rest[0]


MODULES = {
    module.name: module
    for top in ("pacore", "tasks", "flows")
    for module in map(Module, sorted((ROOT / top).rglob("*.py")))
}
every_module = pytest.mark.parametrize("module", MODULES.values(), ids=lambda module: module.name)


def test_every_module_is_in_a_room() -> None:
    assert {path.stem for path in (ROOT / "pacore").glob("*.py")} == GROUND
    assert {module.room for module in MODULES.values()} == set(MAY_IMPORT)


def test_a_room_and_a_part_of_a_room_have_at_most_fourteen_files() -> None:
    for folder in {module.path.parent for module in MODULES.values()}:
        files = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= MOST_FILES, f"{folder}: {len(files)} files"


@every_module
def test_a_module_imports_only_the_rooms_its_own_may_import(module: Module) -> None:
    allowed = {module.room, "ground", "pacore", *MAY_IMPORT[module.room].split()}
    for imported in module.imports:
        if imported in MODULES:
            assert room_of(imported) in allowed, f"{module.name} imports {imported}"


@every_module
def test_a_third_party_package_is_imported_in_its_modules_only(module: Module) -> None:
    folder = module.place.rpartition("/")[0]
    for imported in module.imports:
        top = imported.partition(".")[0]
        if top in sys.stdlib_module_names or top in ("pacore", "tasks", "flows", "pydantic"):
            continue
        allowed = DOORS.get(top, "").split()
        assert module.place in allowed or f"{folder}/*" in allowed, (
            f"{module.name} imports {imported}"
        )


PURE = {
    "os",
    "pathlib",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib",
}


@pytest.mark.parametrize(
    "module", [m for m in MODULES.values() if m.room == "core"], ids=lambda m: m.name
)
def test_the_core_does_no_input_or_output(module: Module) -> None:
    assert not {name.partition(".")[0] for name in module.imports} & PURE
    called = {
        node.func.id
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & {"open", "print", "input", "eval", "exec"}


def test_every_file_of_flows_defines_one_flow_and_is_deployed() -> None:
    deployed = {
        each["entrypoint"]
        for each in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    }
    for path in (ROOT / "flows").glob("[!_]*.py"):
        flows = [
            node.name
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and any("flow" in ast.unparse(decorator) for decorator in node.decorator_list)
        ]
        assert len(flows) == 1, f"{path.name}: {flows}"
        assert f"flows/{path.name}:{flows[0]}" in deployed


def test_no_flow_file_is_named_like_something_it_would_hide() -> None:
    taken = {"tasks", "sql", "pacore", "flows", *sys.stdlib_module_names}
    assert not {path.stem for path in (ROOT / "flows").glob("*.py")} & taken


@every_module
def test_nothing_catches_every_exception(module: Module) -> None:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{module.name}:{node.lineno}: bare except"
            assert ast.unparse(node.type) != "Exception", (
                f"{module.name}:{node.lineno}: except Exception"
            )


EXECUTABLE_FORMATS = {
    "cloudpickle", "copyreg", "dill", "joblib", "jsonpickle", "marshal", "pickle", "shelve",
}  # fmt: skip
LOADERS_THAT_RUN_WHAT_THEY_READ = {"allow_pickle", "full_load", "read_pickle", "unsafe_load"}


@every_module
def test_nothing_pickled_is_read_or_written(module: Module) -> None:
    """Only between own processes is anything pickled: by multiprocessing and pebble, in the sandbox."""
    imported = set(module.imports)
    assert not {name.partition(".")[0] for name in imported} & EXECUTABLE_FORMATS
    named = {node.attr for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    named |= {
        node.arg for node in ast.walk(module.tree) if isinstance(node, ast.keyword) and node.arg
    }
    assert not named & LOADERS_THAT_RUN_WHAT_THEY_READ
    assert "yaml" not in imported or "load" not in named
