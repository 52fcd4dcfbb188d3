"""Natural mistakes of people who work with data, and the one line that each is answered with.

A line says what is wrong, where, and what to do about it; nothing is started and nothing is written
before it. Who makes each mistake is said above it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pacore.errors import Exit
from tests.conftest import ROOT, Pacore
from tests.fixtures.faulty_server import FaultyServer, answers
from tests.fixtures.pipeline import run_stages, scripted_config, write_problems
from tests.fixtures.served import served

FILES = {
    "empty.jsonl": "",
    "questions.csv": "frage,loesung\n1 + 1?,2\n1 + 2?,3\n",
    "two-ids.jsonl": '{"id": "a", "problem": "x"}\n{"id": "a", "problem": "y"}\n',
    "prices.csv": "model,price\nm,1\n",
    "key.yaml": "engine: scripted\ntemprature: 0.7\n",
    "choice.yaml": "engine: scripted\npreset: hihg\n",
    "date.yaml": "engine: scripted\nrun_id: 2026-11-29\n",
    "indented.yaml": "engine: scripted\n  preset: low\n",
    "key.toml": 'engine = "scripted"\nmax_token = 64\n',
    "notes.txt": "some notes\n",
}

RUN = "run --problems sums.jsonl --engine scripted"
HTTP = "run --problems sums.jsonl --store begun --model smol --endpoint"
SWEEP_HTTP = HTTP.replace("run", "sweep", 1)
SWEEP = "sweep --problems sums.jsonl --engine scripted"

MISTAKES: dict[str, tuple[int, str]] = {
    # Anybody, in the first minutes.
    "rn --problems sums.jsonl": (
        2,
        "no command 'rn' (did you mean run?); pacore --help lists what there is",
    ),
    "run --problems sums.jsonl --temprature 1": (
        2,
        "no option --temprature (did you mean --temperature?); pacore run --help lists them",
    ),
    "run --problems sum.jsonl --engine scripted": (
        2,
        "sum.jsonl: no such file (did you mean sums.jsonl?)",
    ),
    "run --problems sums.json --engine scripted": (
        2,
        "sums.json: no such file (did you mean sums.jsonl?)",
    ),
    "run --problems empty.jsonl --engine scripted": (
        2,
        "empty.jsonl: no problems: the file has no rows",
    ),
    "run --problems notes.txt --engine scripted": (
        2,
        "notes.txt: unknown kind of file; supported are .jsonl, .ndjson, .json, .csv, .tsv, .parquet, "
        "compressed or not; a table needs a header with a column that pacore knows, or the ending .csv "
        "or .tsv",
    ),
    "run --problems questions.csv --engine scripted": (
        2,
        "questions.csv: no row has a field that pacore knows for a problem; the first row has the "
        "fields frage, loesung; map them with --fields problem=NAME,answer=NAME",
    ),
    "problems questions.csv --fields problem=Frage": (
        2,
        "--fields problem=Frage: no row of questions.csv has it (did you mean frage?); the first row has "
        "the fields frage, loesung",
    ),
    f"{RUN} --fields problem=problem,anser=answer": (
        2,
        "--fields: 'anser' (did you mean answer?) is no part; parts are problem, answer, id, grader, "
        "options, without",
    ),
    "problems two-ids.jsonl": (
        2,
        "two-ids.jsonl:2: id: duplicate 'a': two-ids.jsonl:1 has the same id with other content; "
        "--fields id= makes ids from the content",
    ),
    # A researcher, who sets the run up.
    "run --problems sums.jsonl": (
        2,
        "--endpoint: engine http needs at least one, or take another engine",
    ),
    f"{RUN} --preset hihg": (
        2,
        "--preset: 'hihg' (did you mean high?) is none of single, low, medium, high",
    ),
    f"{RUN} --widths 32;4": (
        2,
        "--widths: must be whole numbers with commas between them, such as 32,4",
    ),
    f"{RUN} --temperature warm": (2, "--temperature: must be a number"),
    f"{RUN} --temperature": (2, "--temperature: needs a value"),
    f"{RUN} --run-id 2026-11-29": (
        2,
        "--run-id: must begin with a letter, and after it have only letters, digits and . _ - (99 at "
        "most), such as r-2026-11-29 or nightly-{date}",
    ),
    f"{RUN} --run-id mine --widths 2 --temperature 0.7": (
        2,
        "run mine exists with another configuration; recipe.temperature: 1.0 -> 0.7. Take another "
        "--run-id; or finish it as it was started: pacore resume --store store mine",
    ),
    f"{RUN} --min-messages 9": (2, "--min-messages: round 1 of 4 cannot give 9"),
    f"{RUN} --compaction summary": (
        2,
        "--summary-tokens: compaction summary needs it, to bound a summary",
    ),
    f"{RUN} --config ky.yaml": (2, "--config ky.yaml: no such file (did you mean key.toml or key.yaml?)"),
    f"{RUN} --config key.yaml": (
        2,
        "key.yaml:2: temprature: is not a known name (did you mean temperature?)",
    ),
    f"{RUN} --config key.toml": (
        2,
        "key.toml:2: max_token: is not a known name "
        "(did you mean max_tokens or max_tokens_total or max_tokens_problem?)",
    ),
    f"{RUN} --config choice.yaml": (
        2,
        "choice.yaml:2: preset: must be one of single, low, medium, high (did you mean high?)",
    ),
    f"{RUN} --config date.yaml": (
        2,
        "date.yaml:2: run_id: must begin with a letter, and after it have only letters, digits and . _ "
        "- (99 at most), such as r-2026-11-29 or nightly-{date}",
    ),
    f"{RUN} --config indented.yaml": (
        2,
        "indented.yaml:2: is not YAML: mapping values are not allowed here",
    ),
    # A data engineer, with endpoints, stores and servers.
    f"{HTTP} localhost:8000": (
        2,
        "--endpoint 'localhost:8000': not a URL such as http://localhost:8000/v1",
    ),
    f"{HTTP} http://127.0.0.1:9/v1": (
        1,
        "http://127.0.0.1:9/v1: no connection: no server listens at 127.0.0.1:9; is it started?",
    ),
    f"{HTTP} http://no-such-host.invalid/v1": (
        1,
        "http://no-such-host.invalid/v1: no connection: the host name 'no-such-host.invalid' is not "
        "known",
    ),
    f"{HTTP} GOOD": (
        1,
        "GOOD has no OpenAI-compatible interface; it is at GOOD/v1: use --endpoint GOOD/v1",
    ),
    f"{HTTP} LOCKED/v1": (
        1,
        "LOCKED/v1: the endpoint refuses the key (401); none was sent; the key is read from "
        "OPENAI_API_KEY, or from the variable that --api-key-env names",
    ),
    "run --problems sums.jsonl --store begun --model smoll --endpoint GOOD/v1": (
        1,
        "endpoint GOOD/v1 does not serve model 'smoll' (did you mean --model smol?); it serves: smol",
    ),
    "run --problems sums.jsonl --engine vllm --model ./smol": (2, "model: ./smol: no such folder"),
    f"{RUN} --store sums.jsonl": (2, "--store sums.jsonl: is a file, not a folder"),
    f"{RUN} --store /proc/nowhere": (
        1,
        "/proc/nowhere: cannot be used: no such file or directory",
    ),
    "status --store stroe": (2, "--store stroe: no such folder (did you mean store?)"),
    "export mine sums.jsonl": (2, "DEST sums.jsonl: is a file, not a folder"),
    # An analyst, who looks at what there is.
    "status mien": (2, "no run 'mien' in store (did you mean mine?)"),
    "show mien sum-0001": (2, "no run 'mien' in store (did you mean mine?)"),
    "audit nothing-like-it": (2, "no run 'nothing-like-it' in store; its runs: mine, other"),
    "compare mine othr": (2, "no run 'othr' in store (did you mean other?)"),
    "compare mine": (2, "RUN_B: is needed; pacore compare [OPTIONS] RUN_A RUN_B"),
    "compare mine mine": (2, "mine: is compared with itself; name two runs"),
    "show mine sum-001": (2, "run mine has no problem 'sum-001' (did you mean sum-0001?)"),
    "explain mine x": (
        2,
        "run mine has no problem 'x'; the first of its 3 problems: sum-0000, sum-0001, sum-0002",
    ),
    "explain mine sum-0001 --round one": (2, "--round: must be a whole number"),
    "flips mine --limit 0": (2, "--limit: must be a whole number from 1 on"),
    "query --format xls SELECT": (
        2,
        "--format: 'xls' is none of table, csv, tsv, spreadsheet, json, jsonl, parquet, arrow",
    ),
    "query --timeout soon SELECT": (2, "--timeout soon: is no number of seconds above 0"),
    # Somebody who grades, compares strategies, and wants training data.
    "grade mine --grader mth": (
        2,
        "--grader: unknown grader 'mth' (did you mean math?); one of math, choice, text, numeric, code, "
        "judge, or auto",
    ),
    "evaluate mine --grader numeric:rell=1": (
        2,
        "--grader: 'numeric:rell=1': unknown option 'rell' (did you mean rel?); numeric takes rel, abs, "
        "or auto",
    ),
    "evaluate mine --prices price.csv": (2, "price.csv: no such file (did you mean prices.csv?)"),
    "evaluate mine --prices prices.csv": (
        2,
        "prices.csv:1: prompt_per_million: is missing; columns are model, prompt_per_million, "
        "completion_per_million, cached_prompt_per_million, currency",
    ),
    f"{SWEEP} --arm sinle": (
        2,
        "--arm 'sinle': 'sinle' (did you mean single?) is none of single, sc:K, bon:K, sequential:N, "
        "verbatim, low, medium, high, or widths such as 32,4",
    ),
    f"{SWEEP} --arm low+compaction=answr": (
        2,
        "--arm 'low+compaction=answr': compaction: must be one of conclusion, verbatim, reference, "
        "answer, summary (did you mean answer?)",
    ),
    f"{SWEEP} --arm single --prices prices.csv": (
        2,
        "prices.csv:1: prompt_per_million: is missing; columns are model, prompt_per_million, "
        "completion_per_million, cached_prompt_per_million, currency",
    ),
    f"{SWEEP} --arm single --config key.yaml": (
        2,
        "key.yaml:2: temprature: is not a known name (did you mean temperature?)",
    ),
    f"{SWEEP_HTTP} localhost:8000 --arm single": (
        2,
        "--endpoint 'localhost:8000': not a URL such as http://localhost:8000/v1",
    ),
    f"{SWEEP_HTTP} http://127.0.0.1:9/v1 --arm single": (
        1,
        "http://127.0.0.1:9/v1: no connection: no server listens at 127.0.0.1:9; is it started?",
    ),
    "intervene mine --round 2 --edit shufle": (
        2,
        "--edit 'shufle' (did you mean shuffle?): is none of same, wrong=k/n, duplicate=m, shuffle, "
        "drop=k, only-wrong, only-right, first=wrong, first=right",
    ),
    "import mine.jsonl --model m": (2, "mine.jsonl: no such file"),
    "import sums.jsonl --model m": (
        2,
        "sums.jsonl:1: unknown format; name it with --format: reference, pacore-train, openai-batch, or "
        "a folder that `pacore export` wrote",
    ),
    "gc --older-than yesterday": (2, "--older-than: must be a number"),
    "server strat": (2, "no command 'strat' (did you mean start or status?); pacore server --help lists "
        "what there is"),
}  # fmt: skip


class Place(NamedTuple):
    """A folder with `FILES`, a problem set and a store of two runs; and two servers."""

    folder: Path
    good: str
    locked: str

    def typed(self, line: str) -> list[str]:
        return [
            word.replace("GOOD", self.good).replace("LOCKED", self.locked) for word in line.split()
        ]

    def told(self, said: str) -> str:
        """What was said, without what is another each time."""
        for real, name in (
            (self.good, "GOOD"), (self.locked, "LOCKED"), (f"{self.folder}/", ""),
        ):  # fmt: skip
            said = said.replace(real, name)
        return said


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("mistakes")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    problems = write_problems(folder / "sums.jsonl", 3)
    for run_id in ("mine", "other"):
        run_stages(scripted_config(folder / "store", problems, widths=(2,), run_id=run_id))
    locked = FaultyServer({"/v1/models": answers({"error": {"message": "who are you?"}}, 401)})
    with served(FaultyServer()) as good, served(locked):
        yield Place(folder, good.root, locked.root)


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_answered_in_one_line_that_says_what_to_do(
    place: Place, command: Pacore, line: str
) -> None:
    with contextlib.chdir(place.folder):
        done = command(*place.typed(line))
    code, said = MISTAKES[line]
    assert place.told(done.stderr) == f"pacore: {said}\n"
    assert done.returncode == code
    assert done.stdout == ""


EVERY = """
import contextlib, io, json, sys, time
from pathlib import Path
from pacore.cli.main import main
def now():
    # Less the time for which the processor was taken by others.
    return time.monotonic() - int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
for typed in json.load(sys.stdin):
    said, began = io.StringIO(), now()
    with contextlib.redirect_stderr(said):
        code = main(typed)
    print(json.dumps([int(code), "prefect" in sys.modules, now() - began]))
"""


@pytest.mark.slow
def test_every_mistake_is_told_before_prefect_is_imported_and_within_seconds(place: Place) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EVERY],
        input=json.dumps([place.typed(line) for line in MISTAKES]),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=place.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "", "no library says anything of its own"
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for (line, (code, _)), (ended, has_prefect, seconds) in zip(
        MISTAKES.items(), found, strict=True
    ):
        assert (ended, has_prefect) == (code, False), line
        assert seconds < 10, f"{line}: {seconds:.1f} s"


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        f"{RUN} --run-id third",
        f"{SWEEP} --arm single",
        "evaluate mine",
        "grade mine --grader judge --engine scripted",
    ],
)  # fmt: skip
def test_a_server_that_is_not_there_is_one_line_after_what_is_looked_for(
    place: Place, line: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pacore.cli", *line.split()],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PREFECT_API_URL": "http://127.0.0.1:9/api"},
        cwd=place.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    first, *rest = done.stderr.splitlines()
    assert done.returncode == Exit.FAULT
    assert first.endswith(": finding a Prefect server, or starting one")
    assert [one for one in rest if not one.endswith(" so far")] == [
        "pacore: PREFECT_API_URL = http://127.0.0.1:9/api: no connection: connection refused; correct "
        "it, or remove it, and pacore starts a local server"
    ]
