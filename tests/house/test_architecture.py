"""The direction of imports and the doors of third-party packages, held against the code itself."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

CORE = {
    "pacore",
    "pacore.core.grading.extraction.extract",
    "pacore.core.grading.extraction.beside",
    "pacore.core.grading.extraction.boxes",
    "pacore.core.grading.extraction.clauses",
    "pacore.core.grading.extraction.closings",
    "pacore.core.grading.extraction.marks",
    "pacore.core.grading.extraction.patterns",
    "pacore.core.grading.extraction.phrases",
    "pacore.core.grading.extraction.quotations",
    "pacore.core.grading.extraction.sentences",
    "pacore.core.grading.extraction.tags",
    "pacore.core.grading.extraction.values",
    "pacore.core.grading.extraction.words",
    "pacore.core.config.sweep",
    "pacore.core.message",
    "pacore.core.config.run",
    "pacore.core.config.fields",
    "pacore.engine",
    "pacore.engine.chat.responses",
    "pacore.engine.chat.choice",
    "pacore.engine.faults",
    "pacore.engine.chat.completion",
    "pacore.engine.chat.finish",
    "pacore.engine.meter",
    "pacore.core.engine",
    "pacore.engine.script",
    "pacore.engine.chat.stream",
    "pacore.core.config.vllm_options",
    "pacore.engine.chat.spelling",
    "pacore.errors",
    "pacore.core.config.evaluate",
    "pacore.report.terminal",
    "pacore.runs.planning.forecast",
    "pacore.core.grading.spec",
    "pacore.core.grading",
    "pacore.core.identity",
    "pacore.cli.exchange",
    "pacore.exchange.reference",
    "pacore.evaluation.interventions",
    "pacore.core.grading.judge",
    "pacore.store.layout",
    "pacore.core.plan",
    "pacore.core.problem",
    "pacore.problems.formats.documents",
    "pacore.problems.golds",
    "pacore.problems.images",
    "pacore.problems.parts",
    "pacore.problems.shapes",
    "pacore.problems.program_tests",
    "pacore.problems.turns",
    "pacore.problems.values",
    "pacore.core.grading.programs.program",
    "pacore.core.grading.programs.blocks",
    "pacore.core.grading.programs.pieces",
    "pacore.core.prompt",
    "pacore.core.recipe",
    "pacore.core.quorum",
    "pacore.runs.dispatch.progress",
    "pacore.core.round",
    "pacore.core.solve",
    "pacore.store.rows",
    "pacore.text",
    "pacore.core.trajectory",
}


FRONT = {
    "pacore.cli.main",
    "pacore.cli.evaluate",
    "pacore.cli.mechanism",
    "pacore.cli.run",
    "pacore.cli.sweep",
}
"""The command line stands in front of everything and is the only part of pacore that may see flows."""

LAYERS = ("core", "edges", "tasks", "flows", "front")

DOORS: dict[str, set[str]] = {
    "aiohttp": {"pacore.engine.transport", "pacore.store.backends.services"},
    "click": {
        "pacore.cli.main",
        "pacore.cli.compare",
        "pacore.cli.evaluate",
        "pacore.cli.exchange",
        "pacore.cli.options",
        "pacore.cli.mechanism",
        "pacore.cli.read",
        "pacore.cli.run",
        "pacore.cli.sweep",
    },
    "duckdb": {"pacore.warehouse.connection"},
    "botocore": {"pacore.store.backends.services"},
    "httpx": {"tasks.configured_server", "tasks.settings"},
    "fsspec": {
        "pacore.store.backends.opening",
        "pacore.store.backends.ranges",
        "pacore.store.backends.services",
        "pacore.store.backends.sources",
    },
    "mpmath": {"pacore.sandbox.algebra.enclosure"},
    "numpy": {
        "pacore.evaluation.statistics.bootstrap",
        "pacore.evaluation.statistics.intervals",
        "pacore.evaluation.statistics.paired",
    },
    "matplotlib": {"pacore.report.plots"},
    "pebble": {"pacore.sandbox.mathematics_worker"},
    "prefect": {"tasks.*", "flows.*"},
    "pyarrow": {"pacore.problems.formats.parquet", "pacore.store.schema", "pacore.store.parquet"},
    "rich": {"pacore.report.run", "pacore.report.terminal"},
    "scipy": {
        "pacore.evaluation.statistics.bootstrap",
        "pacore.evaluation.statistics.intervals",
        "pacore.evaluation.statistics.paired",
    },
    "sympy": {"pacore.sandbox.algebra.calculus"},
    "tenacity": {"pacore.runs.dispatch.sampler", "pacore.store.backends.objects"},
    "yaml": {"pacore.cli.options"},
    "zstandard": {"pacore.store.journal", "pacore.problems.formats.bytes"},
}


def modules() -> Iterator[tuple[str, Path]]:
    for package in ("pacore", "tasks", "flows"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(module: str) -> str:
    if module in FRONT:
        return "front"
    if module.partition(".")[0] in ("tasks", "flows"):
        return module.partition(".")[0]
    if module in CORE or module.startswith(("pacore.core.grading.", "pacore.problems.shapes.")):
        return "core"
    return "edges"


MODULES = dict(modules())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_its_own_layer_or_lower_ones_only(module: str) -> None:
    for imported in imports(MODULES[module]):
        if imported in MODULES:
            assert LAYERS.index(layer(imported)) <= LAYERS.index(layer(module)), (
                f"{module} ({layer(module)}) imports {imported} ({layer(imported)})"
            )


@pytest.mark.parametrize("module", MODULES)
def test_a_third_party_package_is_imported_through_its_door_only(module: str) -> None:
    for imported in imports(MODULES[module]):
        top = imported.partition(".")[0]
        if top in sys.stdlib_module_names or top in ("pacore", "tasks", "flows", "pydantic"):
            continue
        allowed = DOORS.get(top, set())
        package = module.partition(".")[0]
        assert module in allowed or f"{package}.*" in allowed, f"{module} imports {imported}"


PURE = (
    "socket",
    "subprocess",
    "os",
    "pathlib",
    "threading",
    "urllib",
    "shutil",
    "tempfile",
    "time",
)


@pytest.mark.parametrize("module", [name for name in MODULES if layer(name) == "core"])
def test_the_core_does_no_input_or_output(module: str) -> None:
    assert not [name for name in imports(MODULES[module]) if name.partition(".")[0] in PURE]
    source = MODULES[module].read_text()
    called = {
        node.func.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & {"open", "print", "input", "eval", "exec"}


def test_every_core_module_named_here_exists() -> None:
    assert set(MODULES) >= CORE | FRONT


def test_no_flow_file_is_named_like_something_it_would_hide() -> None:
    taken = {"tasks", "sql", "pacore", "flows", *sys.stdlib_module_names}
    assert not {path.stem for path in (ROOT / "flows").glob("*.py")} & taken


@pytest.mark.parametrize("module", MODULES)
def test_nothing_catches_every_exception(module: str) -> None:
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{module}:{node.lineno}: bare except"
            assert not (isinstance(node.type, ast.Name) and node.type.id == "Exception"), (
                f"{module}:{node.lineno}: except Exception"
            )


EXECUTABLE_FORMATS = {
    "cloudpickle", "copyreg", "dill", "joblib", "jsonpickle", "marshal", "pickle", "shelve",
}  # fmt: skip


LOADERS_THAT_RUN_WHAT_THEY_READ = {"allow_pickle", "full_load", "read_pickle", "unsafe_load"}


@pytest.mark.parametrize("module", MODULES)
def test_nothing_pickled_is_read_or_written(module: str) -> None:
    """multiprocessing and pebble (`pacore.sandbox.mathematics_worker`) pickle between own processes only."""
    assert not {name.partition(".")[0] for name in imports(MODULES[module])} & EXECUTABLE_FORMATS
    tree = ast.parse(MODULES[module].read_text())
    named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    named |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}
    assert not named & LOADERS_THAT_RUN_WHAT_THEY_READ
    if "yaml" in set(imports(MODULES[module])):
        assert "load" not in named
