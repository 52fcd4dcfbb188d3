"""The budget of a run at a start: what it has spent before, and whether what is left of it suffices."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pacore.core.config.run import RunConfig
from pacore.core.plan import Shard
from pacore.core.problem import Problem
from pacore.errors import BadInput, BudgetSpent, DoesNotFit, StoreError
from pacore.runs.dispatch.budget import NOTHING, Allowance, Amount, Budget, SpendingLimits
from pacore.runs.planning.expected import stored_tokens
from pacore.runs.planning.forecast import Forecast, Forecaster, recorded_stops
from pacore.runs.planning.together import (
    NO_NEEDS,
    Needs,
    RuleNeed,
    RunToMake,
    Together,
    least_need,
    no_need_known,
    price_in,
    price_of,
)
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_files
from pacore.store.journal import Entry, Journal
from pacore.store.run import Run, is_closed, list_runs, open_run, problems_of, votes_prefix

_COLUMNS = (
    "trajectory_id", "reused", "prompt_tokens", "cached_prompt_tokens", "completion_tokens",
    "wasted_tokens", "problem_id",
)  # fmt: skip


@dataclass
class SharedBudget:
    """A budget that several runs share, which are made one after the other; ``whose`` it is begins its name
    in texts.

    What its runs have spent is read from their stores, so that it does not matter which process spent it.
    ``began`` is when all of them began, by the monotonic clock. With ``is_partial`` a run begins although
    it is expected not to fit. ``is_of_runs`` where its limits are those that each of the runs was given:
    they are then no limits of each run beside it.
    """

    whose: str
    limits: SpendingLimits
    prices: str | None = None
    is_partial: bool = False
    is_of_runs: bool = False
    began: float = field(default_factory=time.monotonic)
    _names: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _judged: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _ended: dict[tuple[str, str], Amount] = field(default_factory=dict)

    @staticmethod
    def of_runs(whose: str, config: RunConfig) -> SharedBudget | None:
        """The budget that a configuration gives to all runs made of it together; None where it has none."""
        limits = replace(_limits_of(config), problem_tokens=None)
        if limits == SpendingLimits():
            return None
        return SharedBudget(whose, limits, config.prices, config.partial, is_of_runs=True)

    def include(self, config: RunConfig, *, has_judge: bool = False) -> None:
        """Have a run share the budget, begun or not, and with ``has_judge`` the runs of votes about it."""
        self._names[config.store].add(str(config.run_id))
        if has_judge:
            # A judge's run is named after its questions, which are not known before.
            self._judged[config.store].add(votes_prefix(str(config.run_id)))

    def allowance(self, store: Backend | None = None, run_id: str | None = None) -> Allowance:
        """What the runs have spent together, but for one of them where it is given. Raises StoreError."""
        found = NOTHING
        for other_store, other in self._begun():
            if store is None or (other_store.url, other) != (store.url, run_id):
                found += self._spent_by(other_store, other)
        return Allowance(
            self.limits, found, self.began, self.whose, self.is_partial, self.is_of_runs
        )

    def has_spent_on(self, runs: Sequence[RunToMake]) -> bool:
        """Whether some runs have spent anything so far. Raises StoreError."""
        own = {(open_store(one.config.store).url, one.config.run_id) for one in runs}
        return any(
            self._spent_by(store, name).tokens > 0
            for store, name in self._begun()
            if (store.url, name) in own
        )

    def shown(self) -> str:
        """What the runs have spent together of each limit, in a line. Raises StoreError."""
        return ", ".join(self.allowance().shown(time.monotonic()))

    def _begun(self) -> Iterator[tuple[Backend, str]]:
        """The runs that were begun so far, each with its store."""
        for place, own in self._names.items():
            try:
                store = open_store(place)
            except BadInput:
                # Its runs cannot be made, and have spent nothing.
                continue
            for name in list_runs(store):
                if name in own or name.startswith(tuple(self._judged[place])):
                    yield store, name

    def _spent_by(self, store: Backend, run_id: str) -> Amount:
        """What a run has spent so far, which is read once of one that has ended."""
        place = store.url, run_id
        if (known := self._ended.get(place)) is not None:
            return known
        is_ended, run = is_closed(store, run_id), open_run(store, run_id)
        prices = None if self.limits.money is None else self.prices
        account = Budget(self.limits, price_in(prices, run.recipe.model))
        if is_ended:
            spent = _published_total(store, run, account)
            self._ended[place] = spent
            return spent
        _look(store, run, account)
        return account.spent


def budget_of(
    config: RunConfig,
    store: Backend,
    run: Run,
    shared_budgets: Sequence[SharedBudget] = (),
    rule_need: RuleNeed = no_need_known,
) -> Budget | None:
    """The account that a run starts with; None where it has neither a budget nor prices.

    What the run has spent is in its tables, and in the journal where they are not complete yet; both are
    read. What it needs under a stopping rule is what ``rule_need`` expects, else the least that the rule
    can do with. Raises DoesNotFit for a run that is expected not to be complete within its budget, of which
    nothing is spent yet, unless ``config.partial``; BudgetSpent where nothing is left and something is to
    be generated, or where it is expected not to be complete within what others have left in one of
    ``shared_budgets``; BadInput for a price table without the model.
    """
    limits, price = _limits_of(config), price_of(config)
    for shared in shared_budgets:
        limits = limits.without(shared.limits) if shared.is_of_runs else limits
        price = price or price_in(shared.prices, config.model)
    if limits == SpendingLimits() and price is None and not shared_budgets:
        return None
    allowances = tuple(shared.allowance(store, run.run_id) for shared in shared_budgets)
    account = Budget(limits, price, allowances)
    found = _look(store, run, account)
    if found.total("to_generate"):
        _check_left(account)
        if not account.spent.tokens and not config.partial:
            _check(account, _needs(account, store, run, found, rule_need))
    return account


def _look(store: Backend, run: Run, account: Budget) -> Forecast:
    """Put down what a run has spent so far; returns what it would generate still."""
    seen: set[str] = set()

    def see(entry: Entry, problem_id: str) -> None:
        if entry.run_id == run.run_id and entry.trajectory_id not in seen:
            seen.add(entry.trajectory_id)
            account.spend(account.amount_of(entry.generation), problem_id)

    forecaster = Forecaster(run.plan, run.recipe, Journal(store), on_entry=see)
    stop_of = recorded_stops(store, run)
    found = forecaster.forecast(_problems(store, run), len(run.shards), stop_of=stop_of)
    for trajectory_id, (amount, problem_id) in _published(store, run, account):
        if trajectory_id not in seen:
            seen.add(trajectory_id)
            account.spend(amount, problem_id)
    return found


def _expected_tokens(store: Backend, run: Run, found: Forecast) -> float | None:
    return found.tokens_by(lambda: stored_tokens(store, run))


def _limits_of(config: RunConfig) -> SpendingLimits:
    return SpendingLimits(
        config.max_tokens_total, config.max_cost, config.max_hours, config.max_tokens_problem
    )


def _published_total(store: Backend, run: Run, account: Budget) -> Amount:
    """What the run's tables say that it has spent itself."""
    amounts = dict(_published(store, run, account)).values()
    return sum((amount for amount, _ in amounts), NOTHING)


def _problems(store: Backend, run: Run) -> Sequence[Problem]:
    return list(problems_of(store, run, Shard(0, 0, run.problems)))


def _published(
    store: Backend, run: Run, account: Budget
) -> Iterator[tuple[str, tuple[Amount, str]]]:
    """What each trajectory of the run's tables that it has generated itself has cost, and its problem."""
    from pacore.store.parquet import read_rows

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
                    yield row["trajectory_id"], (amount, row["problem_id"])


def _needs(
    account: Budget, store: Backend, run: Run, found: Forecast, rule_need: RuleNeed
) -> Needs | None:
    """What is expected to be generated; None where nothing is known."""
    count = found.total("to_generate")
    if run.plan.stopping is None:
        expected = _expected_tokens(store, run, found)
        return None if expected is None else Needs(count, account.amount(0, 0, expected))
    need = rule_need(store, run, found)
    if need is None:
        need = least_need(run.plan, found, stored_tokens(store, run).values())
    return None if need is None else Needs(count, account.amount(0, 0, need.tokens), what=need.what)


def _check(account: Budget, needs: Needs | None) -> None:
    """Raise DoesNotFit, or BudgetSpent of a shared budget, where what a run needs is not left."""
    if needs is None:
        return
    for one in account.allowances():
        if (fault := unfit(one, needs)) is not None:
            raise fault


def unfit(allowance: Allowance, needs: Needs) -> BudgetSpent | DoesNotFit | None:
    """Why what is left of an allowance is expected not to suffice; None where it may, and where it is to be
    used up nevertheless.
    """
    for part in allowance.limited():
        if allowance.is_partial or part.of(needs.amount) <= part.left:
            continue
        if allowance.whose and (allowance.spent.tokens or not allowance.is_of_runs):
            left = f"{part.title} {part.limit:,.10g} leaves {part.left:,.10g}"
            return BudgetSpent(
                f"{left}, which does not suffice: {needs.said(part)}", allowance.whose
            )
        return DoesNotFit(
            f"{part.title} {part.limit:,.10g} does not suffice: {needs.said(part)}; take a larger one, or "
            "--partial to do what it suffices for"
        )
    return None


def check_together(
    runs: Sequence[RunToMake], shared_budgets: Sequence[SharedBudget], votes: Needs = NO_NEEDS
) -> None:
    """Raise as `budget_of` does where runs that are made one after the other, and a judge's ``votes`` on
    them, are expected not to be complete within what is left in a budget that they share.

    What several of them take is generated once. Those that have spent something go on, as a run does.
    """
    if any(one.config.partial for one in runs):
        return
    needs: Needs | None = None
    for shared in shared_budgets:
        if shared.has_spent_on(runs):
            return
        needs = needs or Together().needs(runs) + votes
        if (fault := unfit(shared.allowance(), needs)) is not None:
            raise fault


def _check_left(account: Budget) -> None:
    """Raise BudgetSpent where nothing is left."""
    if (fault := account.fault()) is not None:
        raise fault
