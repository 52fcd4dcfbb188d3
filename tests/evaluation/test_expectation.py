"""What the jobs of a night and the arms of a sweep are expected to take together, what is generated once
counted once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from operator import attrgetter
from pathlib import Path

import pytest
from pydantic import JsonValue

from pacore.core.config.nightly import NightlyConfig
from pacore.core.config.run import RunConfig
from pacore.core.config.sweep import SweepConfig
from pacore.core.grading.spec import Against
from pacore.core.validation import validated
from pacore.errors import BudgetSpent, DoesNotFit, Refused
from pacore.evaluation.expected_votes import expected_votes
from pacore.evaluation.judging import begin_judging
from pacore.evaluation.nightly.expectation import check_judged_fits, checked_lines, planned_runs
from pacore.evaluation.nightly.jobs import dated_jobs, night_budget
from pacore.evaluation.sweep import begin_sweep, check_sweep_fits, sweep_budget
from pacore.runs.dispatch.budget import Limited
from pacore.runs.planning.expected import stored_tokens_of
from pacore.runs.planning.together import NO_NEEDS, Together
from pacore.store.backends.opening import open_store
from pacore.store.run import list_runs, open_run
from tests.evaluation.test_nightly_jobs import TODAY, night_of
from tests.fixtures.pipeline import (
    finish,
    journal_size,
    journal_tokens,
    run_stages,
    scripted_config,
    spent_tokens,
    write_problems,
)

PROBLEMS = 10

REFUSED = "is expected not to fit, and will not be run then"


def night(folder: Path, *jobs: dict[str, object], **budget: object) -> NightlyConfig:
    """A night of jobs, some with ``arms``, within a budget; all sample from one seed unless they say so."""
    made = night_of(folder, *[{"seed_root": "one", **job} for job in jobs])
    return validated(NightlyConfig, {"jobs": made.jobs, "budget": budget or None})


def with_arms(config: NightlyConfig, *arms: str) -> NightlyConfig:
    """The night with these arms in the place of each job's widths."""
    jobs = [
        {
            "name": job.name,
            "arms": arms,
            "run": job.run.model_dump(exclude_unset=True, exclude={"widths"}),
        }
        for job in config.jobs
    ]
    return validated(NightlyConfig, {"jobs": jobs, "budget": config.budget})


def generated(config: NightlyConfig) -> list[int]:
    """How many trajectories each job is expected to generate, those before it done."""
    together = Together()
    return [
        together.needs(planned_runs(job, run)).to_generate for job, run in dated_jobs(config, TODAY)
    ]


def test_what_one_run_generates_is_no_need_of_a_later_one(tmp_path: Path) -> None:
    config = night(tmp_path, {}, {}, {"widths": (4,)}, {"seed_root": "two"}, {"replicates": 2})
    forecast = generated(config)
    assert forecast == [30, 0, 2 * PROBLEMS + PROBLEMS, 30, 10]
    made: list[int] = []
    for _, run in dated_jobs(config, TODAY):
        before = journal_size(run.store) if made else 0
        run_stages(run)
        made.append(journal_size(run.store) - before)
    assert made == forecast, "the forecast is what is generated"
    assert generated(config) == [0] * 5


def test_a_run_under_a_rule_takes_at_least_what_the_rule_can_do_with(tmp_path: Path) -> None:
    config = night(tmp_path, {"widths": (4,)}, {"seed_root": "two", "widths": (4,)})
    (_, pool), (job, run) = dated_jobs(config, TODAY)
    run_stages(pool)
    ruled = run.model_copy(update={"stopping": "arrivals:1"})
    whole, least = (Together().needs(planned_runs(job, one)) for one in (run, ruled))
    assert (whole.to_generate, whole.ruled) == (5 * PROBLEMS, 0)
    assert (least.to_generate, least.ruled) == (5 * PROBLEMS, 5 * PROBLEMS)
    assert 0 < least.amount.tokens < whole.amount.tokens / 2, "two trajectories in place of five"
    tokens = Limited("max_tokens_total", 1, 0, attrgetter("tokens"))
    assert "stored ones take about" in whole.said(tokens)
    assert "stored ones take at least about" in least.said(tokens)


def test_the_arms_of_a_job_share_its_pool(tmp_path: Path) -> None:
    config = with_arms(night(tmp_path, {}, {}), "single", "sc:4", "low", "2")
    # Four draws of each bare problem, and the last round of the two arms that have one.
    assert generated(config) == [PROBLEMS * (4 + 1 + 1), 0]
    for _, run in dated_jobs(config, TODAY)[:1]:
        for one in planned_runs(config.jobs[0], run):
            run_stages(one.config)
        assert journal_size(run.store) == PROBLEMS * 6


def stored_mean(folder: Path, store: Path) -> float:
    """Have a run on the same problems in a store; the mean tokens of its first round."""
    other = scripted_config(
        store, folder / "problems.jsonl", run_id="earlier", seed_root="other", widths=(),
        replicates=2, model="scripted?words=20",
    )  # fmt: skip
    run_stages(other)
    return journal_tokens(str(store))["earlier"] / (2 * PROBLEMS)


def test_a_night_says_what_its_jobs_are_expected_to_take_and_which_do_not_fit(
    tmp_path: Path,
) -> None:
    write_problems(tmp_path / "problems.jsonl", PROBLEMS)
    unknown = night(tmp_path, {}, max_tokens_total=10)
    assert checked_lines(unknown, dated_jobs(unknown, TODAY)) == [
        "nothing stored tells how long trajectories of job-0 are: not counted"
    ]
    mean = stored_mean(tmp_path, tmp_path / "store")
    jobs: list[dict[str, object]] = [{}, {"seed_root": "two"}, {"seed_root": "two", "limit": 2}]
    whole = 60 * mean
    limit = math.ceil(whole * 0.75)
    config = night(tmp_path, *jobs, max_tokens_total=limit)
    lines = checked_lines(config, dated_jobs(config, TODAY))
    spent = 30 * mean
    assert lines == [
        f"the jobs are expected to take about {whole:,.4g}, and {limit:,} of the night's "
        f"max_tokens_total {limit:,} is left",
        "nothing stored tells how long trajectories of job-2 are: not counted",
        f"job job-1: is expected not to fit, and will not be run then: 30 trajectories of the length of "
        f"stored ones take about {spent:,.4g}, and about {limit - spent:,.4g} is left by then",
    ]  # fmt: skip
    partial = night(tmp_path, *jobs, max_tokens_total=limit, partial=True)
    said = checked_lines(partial, dated_jobs(partial, TODAY))
    assert said[0] == lines[0]
    assert said[1].startswith("job job-1: is expected to be stopped: 30 trajectories of the length")
    assert len(said) == 2, "the last job reuses what the second generates"
    ample = night(tmp_path, *jobs, max_tokens_total=10**6)
    assert len(checked_lines(ample, dated_jobs(ample, TODAY))) == 1
    hours = night(tmp_path, *jobs, max_hours=1)
    assert checked_lines(hours, dated_jobs(hours, TODAY)) == []


def test_a_job_that_is_not_run_leaves_what_it_would_generate_to_those_that_reuse_it(
    tmp_path: Path,
) -> None:
    write_problems(tmp_path / "problems.jsonl", PROBLEMS)
    mean = stored_mean(tmp_path, tmp_path / "store")
    # The second job reuses all of the first: neither fits.
    config = night(tmp_path, {}, {}, max_tokens_total=math.floor(29 * mean))
    _, first, second = checked_lines(config, dated_jobs(config, TODAY))
    assert re.match(r"job job-0: is expected not to fit.* 30 trajectories", first)
    assert re.match(r"job job-1: is expected not to fit.* 30 trajectories", second)
    fits = night(tmp_path, {}, {}, max_tokens_total=math.ceil(30 * mean))
    assert len(checked_lines(fits, dated_jobs(fits, TODAY))) == 1


def test_a_sweep_is_refused_where_its_arms_together_do_not_fit_though_the_pool_does(
    tmp_path: Path,
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", PROBLEMS)
    mean = stored_mean(tmp_path, tmp_path / "store")

    def swept(limit: int, **more: object) -> SweepConfig:
        run = {
            "problems": str(problems), "engine": "scripted", "model": "scripted?words=20",
            "store": str(tmp_path / "store"), "max_tokens_total": limit, "run_id": "mine", **more,
        }  # fmt: skip
        return validated(SweepConfig, {"run": run, "arms": ("single", "low")})

    def check(config: SweepConfig) -> None:
        planned = begin_sweep(config)
        shared = sweep_budget(config, planned)
        assert shared is not None
        check_sweep_fits(config, planned, [shared])

    needed = PROBLEMS * 5 * mean
    few = swept(math.floor(needed) - 1)
    with pytest.raises(
        Refused, match=r"^the sweep's max_tokens_total .* 50 trajectories of 2 runs, of .*--partial"
    ):
        check(few)
    check(swept(math.ceil(needed)))
    check(swept(math.floor(needed) - 1, partial=True))
    assert few.run.max_tokens_total is not None
    pool = begin_sweep(few).pool
    run_stages(pool)
    check(few)


def test_a_budget_that_others_share_too_stops_a_sweep_as_spent(tmp_path: Path) -> None:
    write_problems(tmp_path / "problems.jsonl", PROBLEMS)
    mean = stored_mean(tmp_path, tmp_path / "store")
    config = with_arms(night(tmp_path, {}, max_tokens_total=math.floor(45 * mean)), "single", "low")
    jobs = dated_jobs(config, TODAY)
    assert config.budget is not None
    shared = night_budget(config.budget, jobs)
    ((job, run),) = jobs
    sweep = job.sweep(run)
    with pytest.raises(
        BudgetSpent, match=r"^the night's max_tokens_total .* 50 trajectories"
    ) as at:
        check_sweep_fits(sweep, begin_sweep(sweep), [shared])
    assert at.value.whose == "the night's"


def with_judge(config: NightlyConfig, grader: str, **changes: JsonValue) -> NightlyConfig:
    """The night with a judge as the grader of each job."""
    jobs = [
        job.model_copy(update={"grader": grader, "judge": changes or None}) for job in config.jobs
    ]
    return config.model_copy(update={"jobs": tuple(jobs)})


def judged(run: RunConfig, grader: str, against: Against) -> tuple[int, float]:
    """Have votes on a run made to their end; how many of them were generated, and their tokens."""
    store = open_store(run.store)
    before = journal_size(run.store)
    config = begin_judging(store, open_run(store, str(run.run_id)), grader, against, {}).config
    run_stages(config)
    return journal_size(run.store) - before, spent_tokens(config)


def test_votes_of_a_judge_are_expected_to_be_as_many_and_as_long_as_the_last_ones(
    tmp_path: Path,
) -> None:
    write_problems(tmp_path / "problems.jsonl", PROBLEMS)
    stored_mean(tmp_path, tmp_path / "store")
    jobs: list[dict[str, object]] = [{}, {"seed_root": "two", "widths": ()}]
    config = with_judge(night(tmp_path, *jobs, max_tokens_total=10**6), "judge:k=1,n=2")
    unknown = checked_lines(config, dated_jobs(config, TODAY))
    assert "expected to take about" in unknown[0]
    # Three trajectories of each problem in the one and one in the other, with two votes on each.
    assert unknown[1:] == [
        "nothing stored tells how long votes about answers of job-0, job-1 are: not counted, at most 80 "
        "votes"
    ]
    earlier = scripted_config(
        tmp_path / "store", tmp_path / "problems.jsonl", run_id="judged", seed_root="three",
        widths=(2,), model="scripted?words=20",
    )  # fmt: skip
    run_stages(earlier)
    # Votes of another kind say nothing of these, and four of them cost twice as much as two.
    judged(earlier, "judge", "opinion")
    assert checked_lines(config, dated_jobs(config, TODAY))[1:] == unknown[1:]
    votes, tokens = judged(earlier, "judge:k=1,n=4", "gold")
    assert votes
    lines = checked_lines(config, dated_jobs(config, TODAY))
    assert len(lines) == 1
    whole = re.search(r"about ([\d,.e+]+), and", lines[0])
    assert whole is not None
    expected = 40 * mean_of_all(tmp_path) + tokens / 2 + tokens / 6
    assert float(whole[1].replace(",", "")) == pytest.approx(expected, rel=1e-3)

    # The judge's votes decide that the first job does not fit, and it is not begun at its turn.
    limit = math.floor(30 * mean_of_all(tmp_path) + tokens / 4)
    tight = with_judge(night(tmp_path, *jobs, max_tokens_total=limit), "judge:k=1,n=2")
    (job, run), _ = planned = dated_jobs(tight, TODAY)
    said = f"30 trajectories, and about {votes / 2:,.0f} votes of a judge, of the length of stored ones"
    assert any(
        line.startswith(f"job job-0: is expected not to fit, and will not be run then: {said}")
        for line in checked_lines(tight, planned)
    )
    assert tight.budget is not None
    with pytest.raises(BudgetSpent, match=said):
        check_judged_fits(job, run, [night_budget(tight.budget, planned)])

    # A budget of the judge's own is for its votes alone.
    for more, ends in ({"partial": True}, "is expected to be stopped"), ({}, REFUSED):
        own = with_judge(night(tmp_path, {}), job.grader, max_tokens_total=9, **more)
        (job, run), *_ = planned = dated_jobs(own, TODAY)
        assert checked_lines(own, planned) == [
            f"job job-0: {ends}: about {votes / 2:,.0f} votes of a judge of the length of stored ones take "
            f"about {tokens / 2:,.4g}, and 9 of the judge's max_tokens_total 9 is left"
        ]
        if not more:
            with pytest.raises(DoesNotFit, match=r"^the judge's max_tokens_total 9 does not suffi"):
                check_judged_fits(job, run, [])
        else:
            check_judged_fits(job, run, [])

    # Votes that cannot be read keep no job from being run.
    for content in (None, b"PAR1 and no more"):
        with changed_questions(run.store, "judged.judge-", content):
            assert checked_lines(config, dated_jobs(config, TODAY))[1:] == unknown[1:]
            check_judged_fits(job, run, [])

    # Votes that are there are not expected again.
    run_stages(run)
    judged(run, job.grader, "gold")
    assert expected_votes(planned_runs(job, run)[0], run, job.grader, "gold") == NO_NEEDS


@contextmanager
def changed_questions(place: str, prefix: str, content: bytes | None) -> Iterator[None]:
    """A store in which the problem sets of the runs with such names are damaged meanwhile, or not there."""
    store, kept = open_store(place), dict[Path, bytes]()
    for name in list_runs(store):
        if name.startswith(prefix):
            file = Path(place) / open_run(store, name).problem_set
            kept[file] = file.read_bytes()
            file.unlink()
            if content is not None:
                file.write_bytes(content)
    assert kept
    try:
        yield
    finally:
        for file, before in kept.items():
            file.unlink(missing_ok=True)
            file.write_bytes(before)


def mean_of_all(folder: Path) -> float:
    """Mean tokens of a trajectory of the first round over the runs of the store that are no judge's."""
    store = open_store(str(folder / "store"))
    forecast = stored_tokens_of(
        store, open_run(store, "earlier").problem_set, "scripted?words=20", None
    )
    return sum(forecast.values()) / len(forecast)


def test_a_sweep_counts_the_votes_by_which_the_best_of_its_pool_is_chosen(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", PROBLEMS)
    stored_mean(tmp_path, tmp_path / "store")

    def swept(limit: int) -> SweepConfig:
        run = {
            "problems": str(problems), "engine": "scripted", "model": "scripted?words=20",
            "store": str(tmp_path / "store"), "max_tokens_total": limit, "run_id": "mine",
        }  # fmt: skip
        return validated(SweepConfig, {"run": run, "arms": ("single", "bon:2")})

    def check(limit: int) -> None:
        config = swept(limit)
        planned = begin_sweep(config)
        shared = sweep_budget(config, planned)
        assert shared is not None
        check_sweep_fits(config, planned, [shared])

    earlier = scripted_config(
        tmp_path / "store", problems, run_id="judged", seed_root="three", widths=(),
        replicates=2, model="scripted?words=20",
    )  # fmt: skip
    run_stages(earlier)
    pool = math.ceil(20 * mean_of_all(tmp_path))
    check(pool)  # nothing tells how long its votes are
    votes, tokens = judged(earlier, "judge", "opinion")
    said = rf"20 trajectories, and about {votes} votes of a judge, of the length of stored ones"
    with pytest.raises(DoesNotFit, match=said):
        check(pool)
    with pytest.raises(DoesNotFit, match=said):
        check(math.floor(pool + tokens) - 2)
    check(math.ceil(pool + tokens))


def test_a_job_that_does_not_fit_into_its_own_budget_is_named_before(tmp_path: Path) -> None:
    write_problems(tmp_path / "problems.jsonl", PROBLEMS)
    mean = stored_mean(tmp_path, tmp_path / "store")
    small: dict[str, object] = {"seed_root": "two", "max_tokens_total": 100}
    config = night(
        tmp_path, {}, small, {"seed_root": "three", "max_hours": 1}, {**small, "partial": True}
    )
    said = (
        f"30 trajectories of the length of stored ones take about {30 * mean:,.4g}, and 100 of its own "
        "max_tokens_total 100 is left"
    )
    assert checked_lines(config, dated_jobs(config, TODAY)) == [
        f"job job-1: is expected not to fit, and will not be run then: {said}",
        f"job job-3: is expected to be stopped: {said}",
    ]
    arms = with_arms(night(tmp_path, small), "single", "low")
    (line,) = checked_lines(arms, dated_jobs(arms, TODAY))
    assert line.startswith("job job-0: is expected not to fit, and will not be run then: 50 traj")
    assert line.endswith("and 100 of the sweep's max_tokens_total 100 is left")


def test_votes_that_do_not_fit_into_their_own_budget_are_refused_before_any_is_generated(
    tmp_path: Path,
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", PROBLEMS)
    first = scripted_config(
        tmp_path / "store", problems, run_id="first", widths=(2,), model="scripted?words=20"
    )
    store = open_store(first.store)
    for name in ("first", "second", "third"):
        run_stages(first.model_copy(update={"run_id": name, "seed_root": name}))

    def votes_on(run_id: str, limit: int, against: Against = "gold") -> RunConfig:
        changes = {"max_tokens_total": limit}
        return begin_judging(
            store, open_run(store, run_id), "judge:k=1,n=2", against, changes
        ).config

    # Nothing tells how long they are, so that the budget is spent.
    with pytest.raises(BudgetSpent):
        finish(votes_on("third", 9))
    votes, tokens = judged(first, "judge:k=1,n=2", "gold")
    few = votes_on("second", 9)
    before = journal_size(first.store)
    with pytest.raises(
        DoesNotFit, match=r"^max_tokens_total 9 does not suffice: \d+ trajectories "
    ):
        finish(few)
    assert journal_size(first.store) == before
    said = re.search(r"(\d+) trajectories .* about ([\d,]+)", str(refused(few)))
    assert said is not None
    assert float(said[2].replace(",", "")) == pytest.approx(int(said[1]) * tokens / votes, rel=0.01)
    # Opinions are other votes, of whose length nothing tells.
    with suppress(BudgetSpent):
        finish(votes_on("second", 9, "opinion"))
    assert journal_size(first.store) > before
    finish(few.model_copy(update={"max_tokens_total": 10**6}))


def refused(config: RunConfig) -> DoesNotFit:
    with pytest.raises(DoesNotFit) as fault:
        finish(config)
    return fault.value
