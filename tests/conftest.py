"""Fixtures of the whole suite: a state folder of its own, and one standing Prefect server."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, settings

from tests.fixtures.s3_server import S3Server, juicefs, seaweed

ROOT = Path(__file__).parent.parent

# A property holds or does not, however busy the machine is that tries it.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# A suite started in the background inherits SIGINT ignored and would hand that on to every process
# it starts, those it interrupts included.
signal.signal(signal.SIGINT, signal.default_int_handler)

MEMORY, NEEDED_BYTES = Path("/dev/shm"), 4 * 2**30


def _temporary_root() -> str | None:
    """Where the suite writes: memory where there is room for it, else the usual folder (None).

    Stores and databases flush each file to the disk before they go on. No test can see that they do,
    and on a disk that others write to the suite spends more time on that than on computing.
    """
    if "PYTEST_DEBUG_TEMPROOT" not in os.environ:
        if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < NEEDED_BYTES:
            return None
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(MEMORY)
    return os.environ["PYTEST_DEBUG_TEMPROOT"]


# Set before anything imports Prefect, which reads its settings once.
_STATE = Path(tempfile.mkdtemp(prefix="pacore-tests-", dir=_temporary_root()))
os.environ.update(
    PACORE_HOME=str(_STATE),
    PREFECT_HOME=str(_STATE / "prefect-client"),
    PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL="CRITICAL",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_SERVER_ALLOW_EPHEMERAL_MODE="false",
    DO_NOT_TRACK="1",
    COLUMNS="100",
    # Two threads of vLLM that wait for each other on cores that are busy are several times as slow as one.
    VLLM_CPU_NUM_OF_RESERVED_CPU="1",
)
os.environ.pop("PREFECT_API_URL", None)
# A process that a test starts would compile two hundred files anew: 0.3 s of CPU each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Modules and tests live until the end: the collector need not go through all of them every 700 objects.
gc.set_threshold(50_000, 20, 50)


ENOUGH_SECONDS = 900.0
"""For a command that does not hang, on a machine that does much else."""


class Pacore(Protocol):
    """Runs the command line in a process of its own."""

    def __call__(
        self, *arguments: str, timeout: float = ENOUGH_SECONDS
    ) -> subprocess.CompletedProcess[str]: ...


def pacore_command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pacore.cli.main", *arguments]


@pytest.fixture
def pacore() -> Pacore:
    def run(*arguments: str, timeout: float = ENOUGH_SECONDS) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            pacore_command(arguments),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=ROOT,
        )

    return run


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Pacore:
    """Runs the command line in this process: what it prints and ends with, and no start to wait for."""

    def run(*arguments: str, timeout: float = ENOUGH_SECONDS) -> subprocess.CompletedProcess[str]:  # noqa: ARG001 - that of the whole test holds
        from pacore.cli.main import main

        capfd.readouterr()
        code = main(list(arguments))
        # As a pipe in text mode is read.
        out, err = (said.replace("\r\n", "\n") for said in capfd.readouterr())
        return subprocess.CompletedProcess(arguments, int(code), out, err)

    return run


@pytest.fixture(scope="session")
def prefect_api() -> str:
    """The API address of a real Prefect server, the one ``pacore run`` starts for itself."""
    from tasks.server import start

    return start()


@pytest.fixture(scope="session")
def prefect_on_postgresql(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """A second standing server: its API address, and the environment in which it is the standing one."""
    from tests.fixtures.postgresql import prefect_on_postgresql

    with prefect_on_postgresql(tmp_path_factory.mktemp("on-postgresql")) as found:
        yield found


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def each_api(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The API address of the standing Prefect server, for a test that each database has to pass."""
    if request.param == "SQLite":
        sqlite: str = request.getfixturevalue("prefect_api")
        return sqlite
    api: str
    api, environment = request.getfixturevalue("prefect_on_postgresql")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return api


@pytest.fixture(autouse=True)
def _events_are_sent() -> Iterator[None]:
    """What a flow of a test said to its server does not wait for that server in the next test."""
    yield
    if "prefect.events.worker" in sys.modules:
        from tasks.server import send_events

        send_events()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with seaweed(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture(scope="session")
def juicefs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A store that ignores put-if-absent."""
    with juicefs(tmp_path_factory.mktemp("juicefs")) as server:
        yield server


LONGEST = (
    "warehouse/test_nulls.py",
    "flows/test_deaths.py",
    "engine/vllm/test_engine.py",
    "house/test_pages.py",
    "flows/test_evaluate.py",
    "training/test_loop.py",
    "flows/test_prefect_ui.py",
    "flows/test_secrets.py",
    "warehouse/test_integrity.py",
    "flows/test_deployment.py",
    "flows/test_nightly.py",
    "training/test_exports.py",
    "flows/test_up.py",
    "evaluation/test_night.py",
    "evaluation/test_sweep.py",
    "ground/test_proxies.py",
    "cli/test_resume.py",
    "flows/test_takeover.py",
    "flows/test_prefect_server.py",
    "sandbox/test_hostile_programs.py",
    "flows/test_chaos.py",
    "api/test_notebook.py",
    "engine/vllm/test_reuse.py",
    "repair/test_repair.py",
    "flows/test_training.py",
    "warehouse/test_prompts.py",
    "evaluation/test_regrading.py",
    "flows/test_nightly_kills.py",
    "flows/test_night_budget.py",
    "evaluation/test_judging.py",
    "runs/test_fault_waits.py",
    "evaluation/test_comparison.py",
    "evaluation/test_evidence.py",
    "runs/test_strategies.py",
    "audit/test_gradings.py",
    "flows/test_hostile_servers.py",
    "flows/test_tidy.py",
    "core/config/test_vllm_options.py",
    "ground/test_bounded.py",
)
"""Files by the seconds that they took together when the suite was last measured (``--durations=0``)."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: a worker that gets one last works on alone."""
    place = {ROOT / "tests" / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(LONGEST)))


def _clean_up() -> None:
    """End the server, if a test started one; Prefect's own last words must reach it before."""
    if (_STATE / "prefect" / "server.json").exists():
        from tasks.server import stop

        stop()
    shutil.rmtree(_STATE, ignore_errors=True)


# Registered before Prefect is imported, so it runs after everything Prefect flushes at exit.
atexit.register(_clean_up)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes are named by their number: archives hold the time, and workers must find the same ids."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None
