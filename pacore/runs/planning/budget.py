"""The budget of a run at a start: what it has spent before, and whether what is left of it suffices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pacore.core.config.run import RunConfig
from pacore.core.plan import Shard
from pacore.core.problem import Problem
from pacore.errors import BadInput, BudgetSpent, Refused, StoreError
from pacore.runs.dispatch.budget import Amount, Budget, SpendingLimits
from pacore.runs.planning.expected import stored_tokens
from pacore.runs.planning.forecast import Forecast, Forecaster
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_files
from pacore.store.journal import Entry, Journal
from pacore.store.parquet import read_rows
from pacore.store.run import Run, list_runs, open_run, problems_of
from pacore.text import did_you_mean
from pacore.warehouse.prices import Price, read_prices

_COLUMNS = (
    "trajectory_id", "reused", "prompt_tokens", "cached_prompt_tokens", "completion_tokens",
    "wasted_tokens",
)  # fmt: skip


def budget_of(config: RunConfig, store: Backend, run: Run) -> Budget | None:
    """The account that a run starts with; None where it has neither a budget nor prices.

    What the run has spent is in its tables, and in the journal where they are not complete yet; both are
    read. Raises Refused for a run that has spent nothing and is expected not to be complete within its
    budget, unless ``config.partial``; BudgetSpent where nothing is left and something is to be generated;
    BadInput for a price table without the model.
    """
    limits = _limits_of(config)
    price = _price_of(config)
    if limits == SpendingLimits() and price is None:
        return None
    account = Budget(limits, price)
    seen: set[str] = set()

    def see(entry: Entry) -> None:
        if entry.run_id == run.run_id and entry.trajectory_id not in seen:
            seen.add(entry.trajectory_id)
            account.spent += account.amount_of(entry.generation)

    forecaster = Forecaster(run.plan, run.recipe, Journal(store), on_entry=see)
    found = forecaster.forecast(_problems(store, run), len(run.shards))
    for trajectory_id, amount in _published(store, run, account):
        if trajectory_id not in seen:
            seen.add(trajectory_id)
            account.spent += amount
    if to_generate := found.total("to_generate"):
        _check(account, _expected(store, run, found), to_generate, is_partial=config.partial)
    return account


def part_of(config: RunConfig, others: Sequence[RunConfig], began: float) -> RunConfig:
    """The configuration of one of several runs that share a budget: with what the others leave of it.

    ``began`` is when all of them began, by the monotonic clock. Raises BudgetSpent where nothing is left.
    """
    limits = _limits_of(config)
    if limits == SpendingLimits():
        return config
    store, account = open_store(config.store), Budget(limits, _price_of(config), began=began)
    known = set(list_runs(store))
    for other in others:
        if other.run_id in known:
            run = open_run(store, str(other.run_id))
            own = dict(_published(store, run, account))
            account.spent += sum(own.values(), Amount())
    _check_left(account)
    left = {part.name: part.left for part in account.limited()}
    if limits.hours is not None:
        left["max_hours"] = account.seconds_left / 3600
    if limits.tokens is not None:
        left["max_tokens_total"] = int(left["max_tokens_total"])
    return config.model_copy(update=left)


def _limits_of(config: RunConfig) -> SpendingLimits:
    return SpendingLimits(config.max_tokens_total, config.max_cost, config.max_hours)


def _price_of(config: RunConfig) -> Price | None:
    if config.prices is None:
        return None
    prices = {price.model: price for price in read_prices(config.prices)}
    if config.model not in prices:
        near = did_you_mean(config.model, prices)
        raise BadInput(f"{config.prices}: has no prices of model {config.model!r}{near}")
    return prices[config.model]


def _problems(store: Backend, run: Run) -> Sequence[Problem]:
    return list(problems_of(store, run, Shard(0, 0, run.problems)))


def _published(store: Backend, run: Run, account: Budget) -> Iterator[tuple[str, Amount]]:
    """What each trajectory of the run's tables that it has generated itself has cost."""
    for key in current_files(store, run.run_id).get("trajectories", []):
        try:
            file = store.open(key)
        except KeyError:
            raise StoreError(f"{key}: is missing from the store") from None
        with file:
            for row in read_rows(file, _COLUMNS):
                if not row["reused"]:
                    tokens = (row["completion_tokens"] or 0) + row["wasted_tokens"]
                    cached = row["cached_prompt_tokens"] or 0
                    amount = account.amount(row["prompt_tokens"] or 0, cached, tokens)
                    yield row["trajectory_id"], amount


def _expected(store: Backend, run: Run, found: Forecast) -> float | None:
    """Tokens that are expected to be generated: each as long as those that are stored of its round, or of
    round 1 of the same problems; None where nothing is known.
    """
    if (expected := found.expected_tokens) is not None:
        return expected
    means = stored_tokens(store, run).values()
    return sum(means) / len(means) * found.total("to_generate") if means else None


def _check(account: Budget, expected: float | None, to_generate: int, *, is_partial: bool) -> None:
    _check_left(account)
    if expected is None or is_partial or account.spent.tokens:
        return
    needs = account.amount(0, 0, expected)
    for part in account.limited():
        if (needed := part.of(needs)) > part.left:
            raise Refused(
                f"{part.name} {part.limit:,.10g} does not suffice: {to_generate:,} trajectories of the "
                f"length of stored ones take about {needed:,.4g}; take a larger one, or --partial to do "
                "what it suffices for"
            )


def _check_left(account: Budget) -> None:
    """Raise BudgetSpent where nothing is left."""
    if (why := account.why_spent()) is not None:
        raise BudgetSpent(why)
