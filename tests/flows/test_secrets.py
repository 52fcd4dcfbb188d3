"""Secrets stay where they are: canaries in the environment are looked for in all that runs leave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.fixtures.canaries import Left, Shell, shell_in
from tests.fixtures.faulty_server import (
    MODEL,
    Behaviour,
    Connection,
    FaultyServer,
    Received,
    answers,
    completion,
)
from tests.fixtures.leaks import ProcessWatch, files_with
from tests.fixtures.served import served

WATERMARK = "watermark-of-the-text"


COMPUTER_ALGEBRA = "\\frac{x}{2} + 1"


PICKLE_BEGINNINGS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")

pytestmark = pytest.mark.slow


def echo(received: Received) -> str:
    """The key as a server in debug mode hands it back."""
    authorization = received.headers.get("authorization", "none")
    key = authorization.removeprefix("Bearer ")
    return f"Authorization: {authorization} and {quote(key, safe='')} \\boxed{{{key}}}"


def echoes_in_errors_and_texts() -> Behaviour:
    async def behave(received: Received, connection: Connection) -> None:
        said = echo(received)
        kind = received.json["seed"] % 4
        if kind == 0:
            await answers({"error": {"message": said, "type": said}}, 500)(received, connection)
        elif kind == 1:
            body = completion(f"{WATERMARK} {said} \\boxed{{1 + x/2}}", reasoning=said)
            await answers(body | {"model": said, "system_fingerprint": said})(received, connection)
        else:
            body = completion(f"{WATERMARK} \\boxed{{1 + x/2}}", reasoning_content=said)
            await answers(body)(received, connection)

    return behave


def says_it(status: int = 200) -> Behaviour:
    async def behave(received: Received, connection: Connection) -> None:
        said = echo(received)
        cards = [{"id": MODEL, "root": said}, {"id": said}]
        body = {"data": cards} if status == 200 else {"error": {"message": said}}
        await answers(body | {"version": said}, status)(received, connection)

    return behave


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    """Runs that work, fail and break, with everything read and refused that can be."""
    folder = tmp_path_factory.mktemp("secrets")
    pacore = shell_in(folder)
    problems, store = folder / "problems.jsonl", str(folder / "store")
    rows = [
        {"id": f"p{n}", "problem": f"Half of {n} x, and 1?", "answer": COMPUTER_ALGEBRA}
        for n in range(8)
    ]
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    routes = {
        "/v1/models": says_it(),
        "/version": says_it(),
        "/v1/chat/completions": echoes_in_errors_and_texts(),
    }
    markers = (b"pacore.sandbox.mathematics", b"prefect")
    watch = ProcessWatch(pacore.left.needles, markers)
    pacore.left.watch = watch
    try:
        with served(FaultyServer(routes)) as server, watch:
            line = ["run", "--problems", str(problems), "--endpoint", server.endpoint]
            line += ["--model", MODEL, "--widths", "2", "--retries", "1", "--store", store]
            line += ["--retry-wait-seconds", "0.05"]
            pacore(*line, "--run-id", "echoed")
            pacore(*line, "--run-id", "echoed")
            pacore("plan", *line[1:], "--run-id", "planned")
            _break_a_journal_entry(Path(store))
            pacore(*line, "--run-id", "broken")
        with served(FaultyServer({"/v1/models": says_it(401)})) as server:
            line[4] = server.endpoint
            pacore(*line, "--run-id", "unauthorised", "--seed-root", "other")
            pacore(*line, "--run-id", "no-such-model", "--model", "other")
        # Nobody answers there, which it takes its time to believe.
        with ThreadPoolExecutor(1) as beside:
            unanswered = beside.submit(pacore, "status", "--store", "s3://canary-bucket/prefix")
            _read_it_all(pacore, store, folder)
            _nights(pacore, store, folder, routes)
            assert unanswered.result().returncode == 1
        yield pacore.left
    finally:
        pacore("server", "stop")


def _break_a_journal_entry(store: Path) -> None:
    entry = sorted((store / "journal").rglob("*.zst"))[0]
    entry.write_bytes(b"not an entry")


def _nights(pacore: Shell, store: str, folder: Path, routes: dict[str, Behaviour]) -> None:
    """A night of a server that echoes the key, and one of a server that refuses it."""
    file = folder / "nights.yaml"
    with (
        served(FaultyServer(routes)) as echoing,
        served(FaultyServer({"/v1/models": says_it(401)})) as refusing,
    ):
        jobs = {"echoing": echoing.endpoint, "refusing": refusing.endpoint}
        file.write_text("jobs:\n" + "".join(
            f"  - {{name: {name}, run: {{problems: {folder / 'problems.jsonl'}, endpoints: {endpoint}, "
            f"model: {MODEL}, widths: [2], retries: 0, store: {store}}}}}\n"
            for name, endpoint in jobs.items()
        ))  # fmt: skip
        pacore("nightly", str(file))
    pacore("nightly", "show", "--store", store)
    pacore("query", "--store", store, "--format", "json", "SELECT * FROM nights")


def _read_it_all(pacore: Shell, store: str, folder: Path) -> None:
    at = ("--store", store)
    pacore("status", *at)
    for problem in ("p0", "absent"):
        pacore("show", *at, "echoed", problem)
    pacore("explain", *at, "echoed", "p0")
    tables = "trajectories JOIN trajectory_texts USING (trajectory_id) CROSS JOIN runs"
    for form in ("table", "csv", "json"):
        pacore("query", *at, "--format", form, f"SELECT * FROM {tables}")
    pacore("audit", *at, "echoed")
    pacore("export", *at, "echoed", str(folder / "exported"))


def test_the_runs_met_what_they_were_meant_to_meet(left: Left) -> None:
    codes = [done.returncode for done in left.outputs[:6]]
    assert codes[0] == 3, left.outputs[0].stderr
    assert codes[3:6] == [1, 1, 1], left.said
    assert "***" in left.said
    assert WATERMARK in left.said
    assert "is not a journal entry" in left.said
    assert files_with([left.folder / "store"], [WATERMARK.encode()])
    assert files_with([left.folder / "home"], [b"infer-echoed"])
    decisions = {night["job"]: night["decision"] for night in json.loads(left.outputs[-1].stdout)}
    assert decisions == {"echoing": "NO BASELINE", "refusing": "FAILED"}


def test_no_output_of_any_command_has_a_secret(left: Left) -> None:
    said = left.said.encode()
    assert not [needle for needle in left.needles if needle in said]


def test_no_file_of_the_store_has_a_secret_whatever_it_is_packed_in(left: Left) -> None:
    assert not files_with([left.folder / "store", left.folder / "exported"], left.needles)


def test_no_log_database_or_state_has_a_secret(left: Left) -> None:
    places = [left.folder / name for name in ("home", "prefect", "tmp")]
    assert not files_with(places, left.needles)


def test_no_process_shows_a_secret_in_its_arguments(left: Left) -> None:
    assert left.watch is not None
    assert not left.watch.exposed


def test_the_grader_and_the_standing_server_are_not_entrusted_with_secrets(left: Left) -> None:
    assert left.watch is not None
    assert left.watch.met == set(left.watch.markers)
    assert not left.watch.entrusted


def test_nothing_pickled_lies_in_the_store_or_in_prefects_storage(left: Left) -> None:
    places = [left.folder / name for name in ("home", "prefect", "tmp", "store")]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if path.suffix in (".pkl", ".pickle")]
    assert not [path for path in files if path.read_bytes()[:2] in PICKLE_BEGINNINGS]
