"""Judges at work: votes that are paid for once, verdicts that follow from them, and the best of n."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from pacore.cli.mechanism import intervene_to_end
from pacore.core.grading.judge import read_vote
from pacore.core.grading.spec import Against
from pacore.errors import BadInput, Refused
from pacore.evaluation.interventions import Intervention
from pacore.evaluation.judging import Judging, begin_judging, finish_judging
from pacore.store.backends.opening import open_store
from pacore.store.run import open_run
from pacore.warehouse.views import Warehouse
from tests.conftest import ROOT, Pacore, pacore_command
from tests.fixtures.audited import errors
from tests.fixtures.pipeline import journal_size, run_stages, scripted_config, write_problems
from tests.fixtures.processes import descendants, left_after
from tests.fixtures.regraded import grade

pytestmark = pytest.mark.slow

MODEL = "scripted?words=12&truncate=0.1"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graded run: 6 problems, K = [3, 1], 2 replicates."""
    folder = tmp_path_factory.mktemp("judged")
    problems = write_problems(folder / "p.jsonl", 6)
    fields: dict[str, Any] = {"model": MODEL, "widths": (3,), "replicates": 2, "shard_size": 2}
    run_stages(scripted_config(folder / "store", problems, run_id="mine", **fields))
    grade(str(folder / "store"), "mine")
    return folder


@pytest.fixture
def place(finished: Path, tmp_path: Path) -> str:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return str(tmp_path / "store")


def judge(
    place: str, grader: str = "judge:k=2,n=3", against: Against = "gold", **changes: Any
) -> Judging:
    """The run judged to its end, without Prefect."""
    store = open_store(place)
    judging = begin_judging(store, open_run(store, "mine"), grader, against, changes)
    run_stages(judging.config)
    finish_judging(store, judging)
    return judging


@pytest.fixture(scope="module")
def judged(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Judging]:
    """A store to be read, in which the run is judged, and the judging."""
    place = tmp_path_factory.mktemp("judged") / "copy"
    shutil.copytree(finished, place)
    return str(place / "store"), judge(str(place / "store"))


def ask(place: str, sql: str, *run_ids: str) -> list[tuple[Any, ...]]:
    with Warehouse(open_store(place), run_ids or None) as warehouse:
        return list(warehouse.query(sql).rows)


def findings(place: str, run_id: str) -> list[str]:
    return [str(found) for found in errors(open_store(place), run_id)]


def test_a_judge_gives_every_trajectory_the_verdict_its_votes_come_to(
    judged: tuple[str, Judging],
) -> None:
    place, judging = judged
    votes: dict[str, list[bool | None]] = defaultdict(list)
    for question, said in ask(
        place,
        "SELECT problem_id, conclusion FROM trajectories",
        str(judging.config.run_id),
    ):
        votes[question].append(read_vote(said))
    assert all(len(given) == 3 for given in votes.values())
    given_verdicts = ask(
        place,
        "SELECT verdict, score, answer, gold FROM all_verdicts JOIN problems USING (run_id, problem_id) "
        f"WHERE grading = '{judging.grading.grading_id}'",
        "mine",
    )
    finished = ask(place, "SELECT count(*) FROM trajectories", "mine")
    assert len(given_verdicts) == finished[0][0]
    assert {verdict for verdict, *_ in given_verdicts} >= {"correct", "wrong", "no_answer"}
    right = sum(given.count(True) >= 2 for given in votes.values())
    told = {(answer, gold) for verdict, _, answer, gold in given_verdicts if verdict == "correct"}
    assert len(told) == right
    (stands,) = ask(place, "SELECT grader FROM gradings WHERE stands", "mine")
    assert stands == ("judge:k=2,n=3",)


def test_the_same_question_is_never_paid_for_twice(place: str) -> None:
    judge(place, "judge:n=2")
    paid = journal_size(place)
    judge(place, "judge:n=2")
    assert journal_size(place) == paid
    judge(place, "judge:n=3,k=2")
    questions = ask(
        place, "SELECT count(DISTINCT problem_id) FROM problems WHERE metadata LIKE '%judged%'"
    )
    assert journal_size(place) == paid + questions[0][0], "one vote more on each"


def test_an_opinion_never_stands_and_what_was_said_before_stays(place: str) -> None:
    before = ask(place, "SELECT * FROM scores ORDER BY ALL", "mine")
    judging = judge(place, "judge", "opinion")
    assert ask(place, "SELECT * FROM scores ORDER BY ALL", "mine") == before
    rows = ask(place, "SELECT grading, against, stands FROM gradings ORDER BY sequence", "mine")
    assert rows[-1] == (judging.grading.grading_id, "opinion", False)
    scores = ask(place, "SELECT DISTINCT score FROM all_verdicts WHERE grader = 'judge'", "mine")
    assert {score for (score,) in scores} <= {0.0, 0.25, 0.5, 0.75, 1.0, None}


def test_the_best_of_n_is_what_enumerating_every_choice_gives(place: str) -> None:
    judging = judge(place, "judge", "opinion")
    rows = ask(
        place,
        "SELECT pools.problem_id, pools.score, any_value(verdicts.score) FROM pools "
        "JOIN all_verdicts AS verdicts "
        "ON verdicts.run_id = pools.run_id AND verdicts.trajectory_id = pools.member "
        f"AND verdicts.round = 1 AND verdicts.grading = '{judging.grading.grading_id}' "
        "WHERE pool = 'first_round' GROUP BY pools.problem_id, pools.score, member",
        "mine",
    )
    members: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for problem_id, score, liking in rows:
        members[problem_id].append((score, liking))
    marts = ask(place, "SELECT n, best_of_n, oracle FROM mart_best_of_n ORDER BY n", "mine")
    assert [n for n, *_ in marts] == [1, 2, 4, 6]
    for n, best, oracle in marts:
        assert best == pytest.approx(mean(expected(some, n) for some in members.values()))
        right = [[(score, score) for score, _ in some] for some in members.values()]
        assert oracle == pytest.approx(mean(expected(some, n) for some in right))


def expected(members: list[tuple[float, float]], n: int) -> float:
    """The expected score of the best liked of n, by looking at every n of them."""
    found = []
    for some in combinations(members, n):
        most = max(liking for _, liking in some)
        found.append(mean(score for score, liking in some if liking == most))
    return mean(found)


def mean(values: Any) -> float:
    some = list(values)
    return float(sum(some) / len(some))


def test_how_far_a_judge_agrees_with_rules_is_a_plain_count(judged: tuple[str, Judging]) -> None:
    place, judging = judged
    (row,) = ask(
        place,
        "SELECT compared, both_correct, only_judge, only_other, both_wrong, agreement, kappa, other_grader "
        f"FROM mart_judges WHERE grading = '{judging.grading.grading_id}'",
        "mine",
    )
    compared, a, b, c, d, agreement, kappa, other = row
    pairs = ask(
        place,
        "SELECT j.verdict, r.verdict FROM all_verdicts j JOIN all_verdicts r "
        "USING (run_id, round, problem_id, replicate, slot) JOIN gradings g "
        "ON g.run_id = r.run_id AND g.grading = r.grading AND g.grader = 'auto' AND g.sequence > 0 "
        f"WHERE j.grading = '{judging.grading.grading_id}' "
        "AND j.verdict IN ('correct', 'wrong') AND r.verdict IN ('correct', 'wrong')",
        "mine",
    )
    assert compared == len(pairs) == a + b + c + d and other == "auto"
    assert agreement == pytest.approx(mean(one == two for one, two in pairs))
    chance = ((a + b) * (a + c) + (d + c) * (d + b)) / compared**2
    assert kappa == pytest.approx((agreement - chance) / (1 - chance))


def test_a_judge_and_its_run_are_sound(judged: tuple[str, Judging]) -> None:
    place, judging = judged
    assert not findings(place, "mine")
    assert not findings(place, str(judging.config.run_id))
    with Warehouse(open_store(place)) as warehouse:
        assert not any(warehouse.run_checks().values())


def test_another_model_is_another_judge(place: str) -> None:
    first, second = judge(place), judge(place, model="scripted?words=5")
    assert first.grading.grading_id != second.grading.grading_id
    assert first.config.run_id != second.config.run_id
    assert json.dumps(dict(second.grading.details)).count("scripted?words=5") == 1


def test_what_cannot_be_judged_is_refused_in_a_line(place: str, command: Pacore) -> None:
    store = open_store(place)
    with pytest.raises(BadInput, match="temperature: "):
        begin_judging(store, open_run(store, "mine"), "judge", "gold", {"temperature": "hot"})
    for flags, says in (
        (("--model", "x"), "pacore: --model: is for a judge, and --grader is auto\n"),
        (("--opinion",), "pacore: --opinion: is for a judge, and --grader is auto\n"),
        (
            ("--grader", "judge:k=9"),
            "pacore: --grader: 'judge:k=9': k is greater than the number of votes, 4",
        ),
    ):
        done = command("grade", "mine", "--store", place, *flags)
        assert done.returncode == 2
        assert done.stderr.startswith(says) and done.stderr.count("\n") == 1


@pytest.fixture
def _connected(prefect_api: str) -> Iterator[None]:
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        yield


@pytest.mark.usefixtures("_connected")
def test_a_judge_that_is_killed_goes_on_and_pays_once(
    place: str, command: Pacore, prefect_api: str
) -> None:
    line = [
        "grade", "mine", "--store", place, "--grader", "judge:n=3,k=2",
        "--model", "scripted?words=5&latency_ms=400", "--concurrency", "4",
    ]  # fmt: skip
    before = journal_size(place)
    environment = {**os.environ, "PREFECT_API_URL": prefect_api}
    process = subprocess.Popen(
        pacore_command(line),
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 600
    while journal_size(place) == before and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    below = descendants(process.pid)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not left_after(below, 60.0)
    (judged,) = ask(
        place, "SELECT count(*) FROM gradings WHERE starts_with(grader, 'judge')", "mine"
    )
    assert judged == (0,), "a grading is there once its votes are"
    done = command(*line)
    assert done.returncode == 0, done.stderr
    assert "current" in done.stdout and "agrees with auto on " in done.stdout
    paid = journal_size(place)
    (votes,) = ask(place, "SELECT count(*) FROM trajectories WHERE run_id LIKE 'mine.judge%'")
    assert paid - before == votes[0]
    again = command(*line)
    assert again.returncode == 0 and again.stdout == done.stdout
    assert journal_size(place) == paid


@pytest.mark.usefixtures("_connected")
def test_edited_rounds_stand_beside_a_control(place: str, pacore: Pacore) -> None:
    store = open_store(place)
    paid = journal_size(place)
    asked = Intervention("mine", 2, ["only-wrong", "shuffle", "wrong=1/2"], 1, {})
    found = {one.edit: one for one in intervene_to_end(store, asked) or ()}
    assert list(found) == ["same", "only-wrong", "shuffle", "wrong=1/2"]
    control, sets = found["same"], 12
    assert control.episodes + control.skipped <= sets and control.against is None
    own = ask(
        place,
        "SELECT problem_id || '~0', trajectory_id FROM trajectories "
        "WHERE round = 2 AND replicate = 0 ORDER BY ALL",
        "mine",
    )
    again = ask(
        place,
        "SELECT problem_id, trajectory_id FROM trajectories WHERE ends_with(problem_id, '~0') ORDER BY ALL",
        control.run_id,
    )
    assert again == own, "the first replicate's control is the round itself"
    new = sorted(one.run_id for one in found.values())
    (anew,) = ask(
        place, f"SELECT count(DISTINCT trajectory_id) FROM trajectories WHERE run_id IN {(*new,)}"
    )
    assert journal_size(place) - paid == anew[0] - len(own)
    for edit, one in found.items():
        (row,) = ask(
            place,
            "SELECT episodes, accuracy, difference, compared, control, edited, shared "
            f"FROM mart_interventions WHERE source_run_id = 'mine' AND edit = '{edit}'",
        )
        assert row[:2] == (one.episodes, pytest.approx(one.accuracy))
        if one.against is not None:
            against = one.against
            assert row[2:4] == (pytest.approx(against.difference), against.problems)
            assert row[4:6] == (pytest.approx(against.first), pytest.approx(against.second))
            assert row[6] == against.problems - against.independent
            assert against.low is not None and against.high is not None
            assert -1 <= against.low <= against.difference <= against.high <= 1
        assert not findings(place, one.run_id)
    shown = pacore("intervene", "mine", "--store", place, "--round", "2", "--edit", "only-wrong")
    assert shown.returncode == 0 and "only-wrong" in shown.stdout
    assert "control  edited" in " ".join(shown.stdout.split("\n")[2].split()).replace(" ", "  ")
    with pytest.raises(Refused, match="round 3 is none"):
        intervene_to_end(store, asked._replace(round=3))
