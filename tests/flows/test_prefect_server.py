"""Prefect servers: what is found where one is expected, and which process `server stop` may end."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from pacore.errors import HomeUnusable, Refused, ServerUnavailable
from pacore.home import state_folder
from pacore.processes import ProcessMark, end_followers, end_group, end_process, mark_of
from tasks.configured_server import ConfiguredServer, answering, configured_server, fault_of
from tasks.server import running, start, stop, wait_for_records
from tests.conftest import ROOT, Pacore, pacore_command
from tests.engine.test_tls import certificate
from tests.fixtures.deployed import asked
from tests.fixtures.faulty_server import FaultyServer, answers, sends
from tests.fixtures.pipeline import write_problems
from tests.fixtures.served import served

HEALTH, VERSION = "/api/health", "/api/admin/version"


IS_PREFECT = {HEALTH: answers(True), VERSION: answers("3.7.7")}


IN_A_LOOP = {"Location": "/api/health"}


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        ({}, "what answers there is no Prefect API"),
        ({HEALTH: answers(b"<html>hello</html>")}, "what answers there is no Prefect API"),
        ({HEALTH: answers({"status": "ok"})}, "what answers there is no Prefect API"),
        ({HEALTH: answers(True)}, "what answers there is no Prefect API"),
        ({HEALTH: answers(True), VERSION: answers(True)}, "what answers there is no Prefect API"),
        ({HEALTH: answers(True), VERSION: answers("so")}, "what answers there is no Prefect API"),
        ({HEALTH: answers(True), VERSION: answers("2.19.0")}, "it is Prefect 2.19.0"),
        ({HEALTH: answers({}, 401)}, "it answers 401 Whatever; PREFECT_API_KEY"),
        ({HEALTH: answers({}, 403)}, "it answers 403 Whatever; PREFECT_API_KEY"),
        ({HEALTH: answers({}, 500)}, "it answers 500 Whatever when asked"),
        ({HEALTH: answers({}, 302, IN_A_LOOP)}, "its answer is of no use: Exceeded"),
        ({HEALTH: sends(b"")}, "what answers there does not speak HTTP"),
        ({HEALTH: sends(b"SSH-2.0-OpenSSH_9.2\r\n")}, "what answers there does not speak HTTP"),
        ({HEALTH: sends(b"+PONG\r\n")}, "what answers there does not speak HTTP"),
        (
            {HEALTH: sends(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ntrue")},
            "what answers there does not speak HTTP",
        ),
    ],
)
def test_what_is_found_at_an_address_is_said_in_a_few_words(
    routes: dict[str, Any], found: str
) -> None:
    with served(FaultyServer(routes)) as server:
        said = fault_of(f"{server.root}/api")
    assert said is not None
    assert said.startswith(found)
    assert "\n" not in said


def test_a_server_that_is_one_has_no_fault_and_its_address_without_api_is_completed() -> None:
    with served(FaultyServer(IS_PREFECT)) as server:
        assert fault_of(f"{server.root}/api") is None
        assert f"{server.root}/api is" in str(fault_of(server.root))


@pytest.mark.slow
def test_a_server_that_is_busy_for_a_moment_is_asked_again() -> None:
    busy = [answers({}, 503, {"Retry-After": "3600"}), answers(True)]
    with served(FaultyServer({**IS_PREFECT, HEALTH: busy})) as server:
        assert fault_of(f"{server.root}/api") is None


@pytest.mark.slow
def test_a_port_that_speaks_tls_and_one_whose_certificate_is_not_trusted_are_told(
    tmp_path: Path,
) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate(tmp_path))
    with served(FaultyServer(IS_PREFECT, tls)) as server:
        assert "does not speak HTTP" in str(fault_of(server.root.replace("https", "http") + "/api"))
        assert "CERTIFICATE_VERIFY_FAILED" in str(fault_of(f"{server.root}/api"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://127.0.0.1:9/api", "no connection: connection refused"),
        ("http://nosuch.invalid/api", "no connection: "),
        ("localhost:4200/api", "it is no address of the form http://HOST:PORT/api"),
        ("ftp://127.0.0.1/api", "it is no address of the form http://HOST:PORT/api"),
        ("foo", "it is no address of the form http://HOST:PORT/api"),
    ],
)
def test_an_address_with_nobody_is_told(url: str, found: str) -> None:
    assert str(fault_of(url)).startswith(found)


@pytest.mark.slow
def test_the_error_names_the_setting_and_shows_no_password() -> None:
    server = ConfiguredServer("http://me:secretpw@127.0.0.1:9/api", "PREFECT_API_URL")
    with pytest.raises(ServerUnavailable) as refused, answering(server):
        raise AssertionError("nobody answers")
    assert str(refused.value).startswith(
        "PREFECT_API_URL = http://***@127.0.0.1:9/api: no connection"
    )
    assert "secretpw" not in str(refused.value)


@pytest.mark.slow
def test_a_server_that_goes_away_during_a_flow_is_told_and_other_faults_are_left_alone() -> None:
    with served(FaultyServer(IS_PREFECT)) as server:
        there = ConfiguredServer(f"{server.root}/api", "PREFECT_API_URL")
        with pytest.raises(RuntimeError, match="^of another kind$"), answering(there):
            raise RuntimeError("of another kind")
    with ExitStack() as serving:
        server = serving.enter_context(served(FaultyServer(IS_PREFECT)))
        with (
            pytest.raises(ServerUnavailable, match="was there and is gone: no connection"),
            answering(ConfiguredServer(f"{server.root}/api", "PREFECT_API_URL")),
        ):
            leave(serving)


def leave(serving: ExitStack) -> NoReturn:
    """What Prefect's client raises for a server that is gone."""
    serving.close()
    raise RuntimeError("Failed to reach API")


RUN = ["run", "--engine", "scripted", "--run-id", "r", "--problems"]


def typed(arguments: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        pacore_command(arguments),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | environment,
        timeout=900,
    )


@pytest.mark.slow
def test_every_command_that_needs_a_server_names_the_variable_in_one_line(tmp_path: Path) -> None:
    problems = str(write_problems(tmp_path / "problems.jsonl", 1))
    store = ["--store", str(tmp_path / "store")]
    nobody = "http://127.0.0.1:9/api"
    for command in ([*RUN, problems, *store], ["sweep", *RUN[1:3], RUN[-1], problems, *store]):
        done = typed(command, PREFECT_API_URL=nobody)
        *_, last = done.stderr.splitlines()
        assert done.returncode == 1
        assert last.startswith(f"pacore: PREFECT_API_URL = {nobody}: no connection")
        assert "Traceback" not in done.stderr
        said = [line for line in done.stderr.splitlines() if not line.endswith(" so far")]
        assert len(said) <= 2


@pytest.mark.slow
def test_the_active_profile_is_named_and_so_are_settings_that_cannot_be_read(
    tmp_path: Path,
) -> None:
    problems = str(write_problems(tmp_path / "problems.jsonl", 1))
    command = [*RUN, problems, "--store", str(tmp_path / "store")]
    profiles = tmp_path / "profiles.toml"
    profiles.write_text(
        'active = "lab"\n[profiles.lab]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'
    )
    done = typed(command, PREFECT_HOME=str(tmp_path))
    *_, last = done.stderr.splitlines()
    assert done.returncode == 1
    assert last.startswith(f"pacore: PREFECT_API_URL of the Prefect profile 'lab' in {profiles} = ")
    profiles.write_text("[profiles.lab\n")
    done = typed(["server", "status"], PREFECT_HOME=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("pacore: Prefect's settings cannot be read: Expected ']'")
    assert len(done.stderr.splitlines()) == 1


def test_the_source_of_an_address_is_the_variable_that_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert configured_server() is None
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert configured_server() == ConfiguredServer("http://127.0.0.1:9/api", "PREFECT_API_URL")


@contextmanager
def stranger() -> Iterator[ProcessMark]:
    """A process that nobody here has any business with; it has to be alive at the end."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        mark = mark_of(process.pid)
        assert mark is not None
        yield mark
        assert process.poll() is None, "a stranger was signalled"
    finally:
        process.kill()
        process.wait()


def of_another_boot(mark: ProcessMark) -> dict[str, Any]:
    return {"process": asdict(replace(mark, boot="another"))}


def of_a_process_before(mark: ProcessMark) -> dict[str, Any]:
    return {"process": asdict(replace(mark, started_ticks=mark.started_ticks - 1))}


def of_another_host(mark: ProcessMark) -> dict[str, Any]:
    return {"process": asdict(replace(mark, host="another"))}


def of_another_container(mark: ProcessMark) -> dict[str, Any]:
    return {"process": asdict(replace(mark, namespace="pid:[1]"))}


def of_an_earlier_version(mark: ProcessMark) -> dict[str, Any]:
    return {"pid": str(mark.pid)}


@pytest.mark.parametrize(
    "recorded",
    [
        of_another_boot,
        of_a_process_before,
        of_another_host,
        of_another_container,
        of_an_earlier_version,
    ],
)
@pytest.mark.parametrize("is_answered", [False, True], ids=["nobody", "somebody answers"])
def test_a_process_that_has_the_recorded_id_is_never_signalled_nor_waited_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recorded: Callable[[ProcessMark], dict[str, Any]],
    is_answered: bool,
) -> None:
    monkeypatch.setenv("PACORE_HOME", str(tmp_path))
    there: AbstractContextManager[Any] = (
        served(FaultyServer(IS_PREFECT)) if is_answered else nullcontext()
    )
    record = state_folder("prefect") / "server.json"
    with stranger() as mark, there as server:
        root = server.root if server is not None else "http://127.0.0.1:9"
        record.write_text(json.dumps({"url": f"{root}/api", **recorded(mark)}))
        assert running() is None
        began = time.monotonic()
        assert stop() is None
        assert time.monotonic() - began < 60
        kept = recorded in (of_another_host, of_another_container)
        assert record.exists() == kept, "only what is known to have ended is forgotten"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"url": 1, "process": {"pid": 1}}', "null"])
def test_a_record_that_cannot_be_read_is_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("PACORE_HOME", str(tmp_path))
    (state_folder("prefect") / "server.json").write_text(text)
    assert running() is None
    assert stop() is None


def test_records_are_not_begun_anew_in_sqlite_where_they_were_in_postgresql(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACORE_HOME", str(tmp_path))
    with stranger() as mark:
        ended = asdict(replace(mark, started_ticks=mark.started_ticks - 1))
    record = state_folder("prefect") / "server.json"
    notes = {"database": "postgresql://host/prefect"}
    record.write_text(json.dumps({"url": "http://h/api", "process": ended, "notes": notes}))
    with pytest.raises(Refused, match="kept its records in postgresql://host/prefect; pacore up"):
        start()
    assert stop() is None
    assert not record.exists()


STUBBORN = (
    "import signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "subprocess.Popen([sys.executable, '-c', 'import signal, time\\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)'])\n"
    "time.sleep(600)"
)


def test_a_process_that_ignores_the_polite_signal_is_killed_with_its_group() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN], start_new_session=True, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    mark = mark_of(process.pid)
    assert mark is not None
    assert end_group(mark, 0.2)
    assert process.wait(timeout=60) == -9
    assert process.stdout.read() == b"", "whoever else had the pipe open is gone"
    process.stdout.close()
    assert end_process(mark, 0.2), "one that has ended already"


def test_what_a_process_has_started_is_ended_before_it() -> None:
    starts = (
        "import subprocess, sys\n"
        "print(subprocess.call(['sleep', '600']), flush=True)\n"
        "sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", starts],
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    mark = mark_of(process.pid)
    assert mark is not None
    assert process.stdout is not None
    while not end_followers(mark, 10):
        time.sleep(0.01)
    assert process.stdout.readline() == "-15\n", "it sees how that ended"
    assert process.poll() is None
    process.communicate("")
    assert process.returncode == 0


@pytest.mark.slow
def test_a_server_that_hangs_is_ended_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACORE_HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        process = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
        )
        mark = mark_of(process.pid)
        assert mark is not None
        record = state_folder("prefect") / "server.json"
        record.write_text(json.dumps({"url": url, "process": asdict(mark)}))
        assert running() is None
        assert stop() == url
        assert process.wait(timeout=60) == -15
        assert not record.exists()


def test_a_home_that_cannot_be_written_is_named_with_the_variable_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("in its place")
    for home in (file, file / "below", Path("/proc/nowhere"), Path("/dev/full")):
        monkeypatch.setenv("PACORE_HOME", str(home))
        with pytest.raises(HomeUnusable, match=f"^{home}.*; set PACORE_HOME to another folder$"):
            state_folder("prefect")
    monkeypatch.setenv("PACORE_HOME", "~nobody-of-this-name/x")
    with pytest.raises(HomeUnusable, match="set PACORE_HOME"):
        state_folder()


@pytest.mark.slow
def test_a_run_without_a_home_says_which_folder_and_looking_needs_none(tmp_path: Path) -> None:
    problems = str(write_problems(tmp_path / "problems.jsonl", 1))
    home = tmp_path / "file"
    home.write_text("in its place")
    store = ["--store", str(tmp_path / "store")]
    done = typed([*RUN, problems, *store], PACORE_HOME=str(home))
    *_, last = done.stderr.splitlines()
    assert done.returncode == 1
    assert last.startswith(
        f"pacore: {home}/prefect: logs and server records cannot be written there"
    )
    for command in (["status", *store], ["server", "stop"]):
        assert typed(command, PACORE_HOME=str(home)).returncode == 0


@pytest.mark.slow
def test_two_servers_that_start_at_once_for_two_state_folders_have_an_address_each(
    tmp_path: Path,
) -> None:
    """The second, given the same port, would end, and its commands would take the first for it."""
    homes = [{**os.environ, "PACORE_HOME": str(tmp_path / name)} for name in ("one", "other")]
    command = pacore_command(["server"])
    starts = [
        subprocess.Popen([*command, "start"], env=home, stdout=subprocess.PIPE, text=True)
        for home in homes
    ]
    try:
        addresses = [one.communicate(timeout=600)[0].strip() for one in starts]
        assert [one.returncode for one in starts] == [0, 0]
        assert len(set(addresses)) == 2
    finally:
        for one in starts:
            one.kill()
            one.wait()
        ended = [subprocess.run([*command, "stop"], env=home, check=False) for home in homes]
    assert [one.returncode for one in ended] == [0, 0]


@pytest.mark.slow
def test_a_run_is_recorded_by_its_own_server_though_one_before_it_in_this_process_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_api: str, command: Pacore
) -> None:
    line = ["run", "--problems", str(write_problems(tmp_path / "problems.jsonl", 2)), "--widths"]
    line += ["1", "--engine", "scripted", "--store", str(tmp_path / "store"), "--run-id"]
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("PACORE_HOME", str(tmp_path / "home"))
        try:
            assert command(*line, "before").returncode == 0
        finally:
            assert command("server", "stop").returncode == 0
    assert command(*line, "after").returncode == 0
    named = {"flow_runs": {"name": {"any_": ["infer-after"]}}}
    (made,) = asked(f"{prefect_api}/flow_runs/filter", named)
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        assert wait_for_records(UUID(made["id"]), 1, patience_seconds=300)
