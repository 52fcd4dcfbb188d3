"""Rules that stop early in a run: what is begun, aborted and kept, and that a resume decides the same."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pacore.audit.audit import Audit
from pacore.core.config.run import RunConfig
from pacore.core.engine import NO_HINT, EngineFault, Hint
from pacore.core.policies.stops import Arriving, SetStop
from pacore.core.stopping import Arrival, parse_stopping
from pacore.core.trajectory import Generation, Request
from pacore.core.validation import validated
from pacore.engine.scripted import ScriptedEngine
from pacore.errors import BadInput, Interrupted
from pacore.runs.loop import finish_shard, finish_shards
from pacore.runs.problems import close
from pacore.runs.work import Work
from pacore.store.backends.opening import open_store
from pacore.store.journal import Journal
from pacore.store.records import read_many
from pacore.store.run import is_closed
from pacore.warehouse.views import Warehouse
from tests.fixtures.pipeline import (
    finish,
    open_with,
    oracle_tables,
    scripted_config,
    spent_tokens,
    table,
    tables,
    write_problems,
)
from tests.fixtures.regraded import grade

RUN = "stopped"

STOPS = (
    "problem_id", "replicate", "rule", "width", "begun", "is_stopped", "reason", "probability",
    "trajectory_ids", "answer_keys", "messages", "seen_tokens", "aborted", "aborted_tokens",
    "not_begun", "decided_at",
)  # fmt: skip

SLOTS = (
    "problem_id",
    "replicate",
    "slot",
    "trajectory_id",
    "finish_reason",
    "tries",
    "completion_tokens",
)

RULES = {
    "votes, all at once": ("votes:0.9", (12,)),
    "votes in batches": ("votes:0.9,batch:4", (12,)),
    "the lead": ("lead:0.9,batch:3", (12,)),
    "arrivals": ("arrivals:5", (12,)),
    "late ones of each batch": ("votes:0.9,batch:4,ready:0.75,abort_late", (12,)),
    "another rule for each round": ("arrivals:4;votes:0.8", (8, 6)),
    "tokens": ("tokens:150", (8,)),
}

AGREEMENT = {
    "depth": ("depth:0.9", (6, 3)),
    "depth after votes": ("votes:0.9,depth:0.9", (8, 4)),
    "width": (";fewest:2", (8, 6)),
    "width and depth": ("depth:0.8,fewest:2,batch:2", (6, 6)),
}
"""Rules that look at whether messages agree: after a round, and before it."""


def config_of(folder: Path, rule: str | None, widths: Sequence[int], **fields: Any) -> RunConfig:
    folder.mkdir(parents=True, exist_ok=True)
    problems = write_problems(folder / "problems.jsonl", fields.pop("problems", 5))
    given = {"model": "scripted?words=30&latency_ms=10", "run_id": RUN, "shard_size": 2, **fields}
    return scripted_config(folder / "store", problems, widths=tuple(widths), stopping=rule, **given)


def one_at_a_time(config: RunConfig) -> RunConfig:
    """So that trajectories arrive in the order of their slots, as they do in the definition."""
    return config.model_copy(update={"concurrency": 1})


def records(store_url: str, run_id: str = RUN) -> dict[tuple[int, str, int], SetStop]:
    store = open_store(store_url)
    keys = sorted(store.list(f"runs/{run_id}/stops"))
    return {stop.place: stop for stop in read_many(store, keys, SetStop)}


def findings(store_url: str, run_id: str = RUN) -> list[str]:
    return [str(found) for found in Audit(open_store(store_url), run_id).findings()]


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_a_run_under_a_rule_is_audited_clean_and_every_slot_arrived_or_was_aborted(
    tmp_path: Path, name: str
) -> None:
    rule, widths = RULES[name]
    config = config_of(tmp_path, rule, widths, replicates=2)
    work = finish(config)
    stops = table(config.store, RUN, "stops", STOPS)
    assert len(stops) == 5 * 2 * len(widths)
    assert any(row[STOPS.index("is_stopped") + 1] for row in stops)
    for row in stops:
        found = dict(zip(("round", *STOPS), row, strict=True))
        left = len(found["aborted"]) + found["not_begun"]
        assert len(found["trajectory_ids"]) + left == found["width"]
        assert found["messages"] >= 1
    assert work.progress.settled == work.progress.planned
    # What came after the decision was generated, and does not count.
    assert work.progress.aborted <= sum(row[4] == "aborted" for row in slots_of(config.store))
    assert findings(config.store) == []


def slots_of(store_url: str) -> list[tuple[Any, ...]]:
    return [row[1:] for row in table(store_url, RUN, "trajectories", SLOTS)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", ["scripted?words=200", "scripted?words=200&truncate=0.3&empty=0.2"]
)
@pytest.mark.parametrize("name", [name for name in RULES | AGREEMENT if "late" not in name])
def test_one_at_a_time_a_run_decides_as_the_definition_does(
    tmp_path: Path, name: str, model: str
) -> None:
    rule, widths = (RULES | AGREEMENT)[name]
    config = one_at_a_time(config_of(tmp_path, rule, widths, model=model, on_shortfall="proceed"))
    with open_with(config, ScriptedEngine(config.model, slots=1), 1) as work:
        finish_shards(work)
    made, expected = tables(config.store, RUN), oracle_tables(config)
    assert made["messages"] == expected["messages"]
    assert made["answers"] == expected["answers"]

    def ids(rows: list[tuple[Any, ...]]) -> list[Any]:
        return [(*row[:5], row[7], row[9]) for row in rows]

    assert ids(made["trajectories"]) == ids(expected["trajectories"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["arrivals", "votes, all at once"])
def test_the_slots_of_a_set_are_sent_in_their_order(tmp_path: Path, name: str) -> None:
    rule, widths = RULES[name]
    config = one_at_a_time(config_of(tmp_path, rule, widths, model="scripted?words=200"))
    with open_with(config, ScriptedEngine(config.model, slots=1), 1) as work:
        finish_shards(work)
    arrived = [[seen.slot for seen in stop.arrivals] for stop in records(config.store).values()]
    assert len(arrived) == 5
    assert all(slots == list(range(len(slots))) for slots in arrived)


@pytest.mark.slow
def test_where_messages_agree_no_round_follows_and_one_of_them_has_the_answer(
    tmp_path: Path,
) -> None:
    config = config_of(tmp_path, "depth:0.9", (6, 3), model="scripted?words=60", replicates=2)
    work = finish(config)
    assert work.progress.settled == work.progress.planned
    ended = {place: stop for place, stop in records(config.store).items() if stop.ends_with}
    with Warehouse(open_store(config.store), [RUN]) as warehouse:
        answers = {
            (problem_id, replicate): trajectory_id
            for problem_id, replicate, trajectory_id in warehouse.query(
                "SELECT problem_id, replicate, trajectory_id FROM answers"
            ).rows
        }
        assert not any(warehouse.run_checks().values())
        accuracy = "SELECT accuracy, scored, missing FROM mart_accuracy"
        ((before, scored, missing),) = warehouse.query(accuracy).rows
        quorums = "SELECT round, problem_id, replicate FROM mart_quorums WHERE outcome = 'agreed'"
        assert set(warehouse.query(quorums).rows) == ended.keys()
    assert (scored, missing) == (10, 0)
    assert {round_ for round_, _, _ in ended} == {1, 2}
    begun = {
        row[:3] for row in table(config.store, RUN, "trajectories", ("problem_id", "replicate"))
    }
    for (round_, problem_id, replicate), stop in ended.items():
        assert answers[problem_id, replicate] == stop.ends_with
        assert (round_ + 1, problem_id, replicate) not in begun
        votes = Counter(one.key for one in stop.arrivals if one.key is not None)
        (voted,) = (one for one in stop.arrivals if one.trajectory_id == stop.ends_with)
        assert voted.key is not None
        assert votes[voted.key] == max(votes.values()) >= 3
    assert findings(config.store) == []
    # Another grading counts where it has graded the message that has the answer.
    grade(config.store, RUN)
    with Warehouse(open_store(config.store), [RUN]) as warehouse:
        ((after, scored, missing),) = warehouse.query(accuracy).rows
        assert (after, scored, missing) == (before, 10, 0)
        graded = "SELECT DISTINCT grading FROM scores"
        assert [name for (name,) in warehouse.query(graded).rows] != ["run"]
        assert not any(warehouse.run_checks().values())


@pytest.mark.slow
@pytest.mark.parametrize("name", AGREEMENT)
def test_with_many_in_flight_a_run_that_looks_at_agreement_is_audited_clean(
    tmp_path: Path, name: str
) -> None:
    rule, widths = AGREEMENT[name]
    work = finish(config_of(tmp_path, rule, widths, replicates=3, problems=4))
    assert work.progress.settled == work.progress.planned
    store = str(tmp_path / "store")
    for stop in records(store).values():
        if stop.message_keys:
            assert stop.begun == stop.width or stop.is_stopped
    assert findings(store) == []


@pytest.mark.slow
def test_what_is_not_needed_is_in_no_journal_and_a_later_run_generates_only_that(
    tmp_path: Path,
) -> None:
    stopped = config_of(tmp_path, "arrivals:3", (12,))
    finish(stopped)
    arrived = {one for stop in records(stopped.store).values() for one in stop.trajectory_ids}
    left = {row[3] for row in slots_of(stopped.store) if row[4] == "aborted"}
    journal = Journal(open_store(stopped.store))
    late = {one for one in left if journal.find(one) is not None}
    assert arrived and left and not arrived & left
    whole = stopped.model_copy(update={"stopping": None, "run_id": "whole"})
    work = finish(whole)
    reused = table(whole.store, "whole", "trajectories", ("trajectory_id", "reused"))
    of_first = {identity for round_, identity, is_reused in reused if round_ == 1 and is_reused}
    assert of_first == arrived | late
    assert work.progress.generated == 5 * 13 - len(arrived | late)
    assert findings(whole.store, "whole") == findings(stopped.store) == []


@pytest.mark.slow
def test_a_rule_over_a_stored_pool_takes_it_in_the_order_of_slots_and_pays_nothing(
    tmp_path: Path,
) -> None:
    whole = config_of(tmp_path, None, (12,))
    finish(whole)
    stopped = whole.model_copy(update={"stopping": "votes:0.9,batch:4", "run_id": "again"})
    work = finish(stopped)
    assert work.progress.generated <= 5
    expected = oracle_tables(stopped)
    made = tables(stopped.store, "again")
    assert made["messages"] == expected["messages"]
    assert spent_tokens(stopped) <= 5 * 40


def test_a_run_without_a_rule_has_no_table_of_stops(tmp_path: Path) -> None:
    config = config_of(tmp_path, None, (4,))
    finish(config)
    store = open_store(config.store)
    assert not [key for key in store.list("commits") if "stops" in key]
    assert not list(store.list(f"runs/{RUN}/stops"))


class Stopping(ScriptedEngine):
    """The scripted engine, which calls back after so many generations."""

    def __init__(self, model: str, after: int) -> None:
        super().__init__(model)
        self.left = after
        self.work: Work | None = None

    async def generate(self, request: Request, hint: Hint = NO_HINT) -> Generation:
        made = await super().generate(request, hint)
        self.left -= 1
        if not self.left and self.work is not None:
            threading.Thread(target=self.work.stop).start()
        return made


@pytest.mark.slow
@pytest.mark.parametrize("after", [3, 9, 17, 30])
@pytest.mark.parametrize(
    "name", ["votes, all at once", "votes in batches", "arrivals", "width and depth"]
)
def test_a_run_that_was_interrupted_takes_the_decisions_that_it_had_taken(
    tmp_path: Path, name: str, after: int
) -> None:
    rule, widths = (RULES | AGREEMENT)[name]
    config = config_of(tmp_path, rule, widths)
    engine = Stopping(config.model, after)
    with open_with(config, engine) as work:
        engine.work = work
        with suppress(Interrupted):
            finish_shards(work)
    before = records(config.store)
    work = finish(config)
    assert work.progress.settled == work.progress.planned
    store = open_store(config.store)
    assert is_closed(store, RUN)
    after_ = records(config.store)
    assert {place: after_[place] for place in before} == before
    assert len({place[1] for place in after_ if place[0] == 1}) == 5
    assert findings(config.store) == []


class Failing(ScriptedEngine):
    """The scripted engine, which fails at some draws of round 1."""

    def __init__(self, model: str, draws: set[int]) -> None:
        super().__init__(model)
        self.draws = draws

    async def generate(self, request: Request, hint: Hint = NO_HINT) -> Generation:
        is_first_round = "reference" not in request.turns[-1].content.lower()
        if is_first_round and request.draw in self.draws and not request.attempt:
            raise EngineFault("engine_error", "planned", transient=False)
        return await super().generate(request, hint)


@pytest.mark.slow
def test_a_set_that_is_not_decided_waits_for_what_the_engine_failed_at(tmp_path: Path) -> None:
    config = config_of(tmp_path, "arrivals:11", (12,), problems=1, attempts=3)
    with open_with(config, Failing(config.model, {2, 3, 5})) as work:
        for shard in work.left:
            finish_shard(work.shard(shard))
        close(work.store, work.run)
    assert not records(config.store)
    assert findings(config.store) == []
    finish(config)
    (stop,) = records(config.store).values()
    assert stop.reason == "arrivals" and stop.messages == 11
    assert is_closed(open_store(config.store), RUN)
    assert findings(config.store) == []


@pytest.mark.slow
def test_a_failure_does_not_keep_a_rule_from_deciding(tmp_path: Path) -> None:
    config = config_of(tmp_path, "arrivals:4", (12,), problems=1)
    with open_with(config, Failing(config.model, {0, 1})) as work:
        finish_shards(work)
    assert is_closed(open_store(config.store), RUN)
    (stop,) = records(config.store).values()
    assert stop.is_stopped and stop.messages == 4
    assert findings(config.store) == []


@pytest.mark.slow
def test_what_two_sets_share_is_aborted_only_where_neither_needs_it(tmp_path: Path) -> None:
    """All replicates take their trajectories of one pool."""
    config = config_of(tmp_path, "arrivals:3", (8,), problems=1, pool=10, replicates=4)
    finish(config)
    rows = table(
        config.store, RUN, "trajectories", ("replicate", "slot", "trajectory_id", "finish_reason")
    )
    arrived = {one for stop in records(config.store).values() for one in stop.trajectory_ids}
    of_first = [row for row in rows if row[0] == 1]
    assert len(of_first) == 4 * 8
    journal = Journal(open_store(config.store))
    assert all(journal.find(identity) is not None for identity in arrived)
    assert findings(config.store) == []


@pytest.mark.slow
def test_a_budget_counts_what_was_aborted(tmp_path: Path) -> None:
    config = config_of(tmp_path, "arrivals:2", (12,), model="scripted?words=400&latency_ms=60")
    work = finish(config)
    assert work.budget is None
    aborted = sum(sum(one.aborted_tokens) for one in records(config.store).values())
    made = sum(
        row[1] or 0 for row in table(config.store, RUN, "trajectories", ("completion_tokens",))
    )
    assert aborted > 0
    assert spent_tokens(config) == made


@pytest.mark.slow
def test_a_retry_tries_nothing_again_that_was_aborted(tmp_path: Path, command: Any) -> None:
    config = config_of(tmp_path, "arrivals:3", (8,), problems=2)
    finish(config)
    chosen = command("retry", RUN, "--store", config.store, "--where", "finish_reason = 'aborted'")
    assert chosen.returncode == 0, chosen.stderr
    assert "nothing to retry" in chosen.stdout


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"stopping": "vote:0.9"}, "no part of a rule"),
        ({"stopping": "votes:0.4"}, "no probability above 0.5"),
        ({"stopping": " , ", "widths": (8,)}, "has no part of a rule"),
        ({"stopping": ";", "widths": (8, 8)}, "has no rule for any round"),
        ({"stopping": "votes:0.9;votes:0.9", "widths": (4,)}, "2 rules for 1 widths"),
        ({"stopping": "votes:0.9", "preset": "single", "replicates": 16}, "take widths"),
        ({"stopping": "votes:0.9", "widths": (8,), "min_messages": 4}, "than min_messages, 4"),
        ({"stopping": "arrivals:3", "widths": (8,), "min_messages": 4}, "than min_messages, 4"),
        ({"stopping": "tokens:9", "widths": (8,), "min_messages": 4}, "than min_messages, 4"),
        ({"stopping": "fewest:3", "widths": (8, 4), "min_messages": 4}, "than min_messages, 4"),
        ({"stopping": "fewest:3", "widths": (8,)}, "fewest:3 can do nothing in sets of 8"),
        ({"stopping": "fewest:3;votes:0.9", "widths": (8, 4)}, "fewest:3 can do nothing"),
        (
            {"stopping": "votes:0.9;fewest:4", "widths": (8, 4)},
            "fewest:4 can do nothing in sets of 4",
        ),
        (
            {"stopping": "arrivals:50", "widths": (16, 16)},
            "arrivals:50 can do nothing in sets of 16, 16",
        ),
        (
            {"stopping": "votes:0.9,depth:0.95", "widths": (3,)},
            "depth:0.95 can do nothing in sets of 3",
        ),
        ({"stopping": "votes:0.9", "widths": (2,)}, "it needs 3 slots"),
        ({"stopping": "batch:8", "widths": (16,)}, "stop none without votes"),
        ({"stopping": "fewest:0", "widths": (8, 4)}, "fewest: 0 is less than 1"),
        ({"stopping": "depth:0.5", "widths": (8,)}, "no probability above 0.5"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        validated(RunConfig, {"problems": "p.jsonl", "engine": "scripted", **fields})


def test_a_set_is_decided_by_what_has_arrived_and_by_nothing_else() -> None:
    rule = parse_stopping("votes:0.9,batch:4")
    arrivals = [Arrival(slot, "7", has_message=True, tokens=9) for slot in range(4)]
    arriving = Arriving(rule, 12)
    assert arriving.begin() == 4
    seen = [arriving.see(one) for one in arrivals]
    assert [one.is_stopped for one in seen] == [False, False, True, True]
    assert arriving.begun == 4
    assert Arriving.of(rule, 12, arrivals).decision == arriving.decision
