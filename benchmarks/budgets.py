"""By how much runs exceed their budget, over stops at random places, and what a resume pays for again.

    python -m benchmarks.budgets --stops 50

Each run has a budget, a number of requests in flight and a length of its trajectories, drawn from the
seed. Printed are the overshoot in tokens and as a share of what could be in flight when the budget was
spent, which is the most that it may be; and, once a larger budget has completed the run, its tokens beside
those of one that had no budget: 1 where nothing was generated twice.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import Figure, Results, add_option
from pacore.core.config.run import RunConfig
from pacore.errors import BudgetSpent
from tests.fixtures.pipeline import finish, scripted_config, spent_tokens, write_problems

PROBLEMS, WIDTHS = 30, (8,)

CONCLUSION_WORDS = 20
"""More than a scripted conclusion has."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A run that its ``budget`` of tokens stopped, with at most ``slots`` requests in flight.

    ``spent`` at the stop, ``longest`` the tokens of the longest trajectory it may have, ``resumed`` the
    tokens of the run once a larger budget has completed it, and ``whole`` those of a run without one.
    """

    budget: int
    slots: int
    longest: int
    spent: float
    resumed: float
    whole: float

    @property
    def overshoot(self) -> float:
        """Tokens beyond the budget; 0 where it was not reached."""
        return max(0.0, self.spent - self.budget)

    @property
    def share(self) -> float:
        """The overshoot as a share of the most that was in flight."""
        return self.overshoot / (self.slots * self.longest)


def _is_finished(config: RunConfig) -> bool:
    """Whether a run comes to its end within its budget."""
    try:
        finish(config)
    except BudgetSpent:
        return False
    return True


def stop_at_random(draw: random.Random, folder: Path) -> Stop | None:
    """Stop a run at a random place and complete it; None where its budget sufficed."""
    words, slots = draw.randint(10, 80), draw.choice([1, 2, 4, 8, 16, 32])
    problems = write_problems(folder / "problems.jsonl", PROBLEMS)
    config = scripted_config(
        folder / "whole", problems, widths=WIDTHS, run_id="run", shard_size=5, concurrency=slots,
        model=f"scripted?words={words}&latency_ms=2", partial=True,
    )  # fmt: skip
    finish(config)
    whole = spent_tokens(config)
    budget = draw.randint(1, int(whole) - 1)
    stopped = config.model_copy(
        update={"store": str(folder / "stopped"), "max_tokens_total": budget}
    )
    if _is_finished(stopped):
        return None
    spent = spent_tokens(stopped)
    if not _is_finished(stopped.model_copy(update={"max_tokens_total": 10**12})):
        raise SystemExit("a run with budget left did not come to its end")
    return Stop(budget, slots, words + CONCLUSION_WORDS, spent, spent_tokens(stopped), whole)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--stops", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    add_option(parser)
    given = parser.parse_args()
    results = Results("budgets", given.results)
    draw, stops = random.Random(given.seed), list[Stop]()
    while len(stops) < given.stops:
        with tempfile.TemporaryDirectory() as folder:
            if (stop := stop_at_random(draw, Path(folder))) is not None:
                stops.append(stop)
                print(
                    f"budget {stop.budget:>7,}  in flight {stop.slots:>2}  spent {stop.spent:>9,.0f}  "
                    f"overshoot {stop.overshoot:>6,.0f} ({stop.share:.2f} of what was in flight)  "
                    f"completed {stop.resumed / stop.whole:.4f} of a run without a budget",
                    flush=True,
                )
    workload = f"{len(stops)} random stops"
    for metric, unit, values in (
        ("overshoot", "tokens", [stop.overshoot for stop in stops]),
        ("overshoot of what was in flight", "share", [stop.share for stop in stops]),
        (
            "tokens once completed",
            "of a run without a budget",
            [s.resumed / s.whole for s in stops],
        ),
    ):
        results.add(Figure(workload, "pacore", metric, unit, values))


if __name__ == "__main__":
    main()
