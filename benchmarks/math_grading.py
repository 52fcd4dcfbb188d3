"""The grader ``math`` on labelled pairs, and what it costs where some answers are hostile.

    python -m benchmarks.math_grading [--pairs 1000] [--hostile 0.01]

Prints a table of verdicts beside what is right for each set of pairs: those written by hand, and those
made by rule from right answers (`tests.labelled.mutated`), where the half of the rules that was known
while the grader was made, the half that was held out and the set that was held out again are apart. Then
the seconds that 1,000 pairs take, with and without hostile ones among them, and those of one pair.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence

from pacore.core.grading.verdict import VERDICT_NAMES, Verdict
from pacore.sandbox.grade import grade_answers, grader_version
from pacore.sandbox.mathematics import SHARED_GRADER
from tests.labelled import Pair, read_pairs
from tests.labelled.mutated import half, second

TIMEOUT_SECONDS = 5.0
_MADE: dict[str, Callable[[bool], list[Pair]]] = {
    "tuned half": lambda same: half(same, False),
    "held-out half": lambda same: half(same, True),
    "second held-out set": second,
}


def labelled() -> dict[str, list[Pair]]:
    """All sets of pairs, by name."""
    return {
        "by hand, tuned": read_pairs("math_pairs"),
        "by hand, held out": read_pairs("math_pairs_held_out"),
    } | {
        f"by rule, {name}": [pair for same in (True, False) for pair in choose(same)]
        for name, choose in _MADE.items()
    }


def table(name: str, pairs: Sequence[Pair], verdicts: Sequence[Verdict]) -> None:
    counted = Counter((pair.same, v.verdict) for pair, v in zip(pairs, verdicts, strict=True))
    print(f"\n{name}: {len(pairs)} pairs")
    print(f"  {'should be':10}" + "".join(f"{verdict:>11}" for verdict in VERDICT_NAMES))
    for same in (True, False):
        cells = "".join(f"{counted[same, verdict]:>11}" for verdict in VERDICT_NAMES)
        print(f"  {'correct' if same else 'wrong':10}{cells}")
    for pair, verdict in zip(pairs, verdicts, strict=True):
        if (verdict.verdict == "correct") != pair.same:
            kind = "accepted" if verdict.verdict == "correct" else "refused"
            print(f"  {kind}: {ascii(pair.gold)[:40]} ~ {ascii(pair.answer)[:40]} ({pair.why})")


def seconds(pairs: Sequence[Pair]) -> float:
    start = time.perf_counter()
    grade_answers([pair.item for pair in pairs], TIMEOUT_SECONDS)
    return time.perf_counter() - start


def mixture(pairs: Sequence[Pair], count: int, hostile: float) -> list[Pair]:
    """Different pairs, some of them hostile: of equal ones only the first is graded."""
    drawn = random.Random(7)
    usual = [pair for pair in pairs if not pair.is_hostile and pair.answer is not None]
    worst = [pair for pair in pairs if pair.is_hostile]
    bad = round(count * hostile)
    some = [drawn.choice(usual) for _ in range(count - bad)]
    some += [worst[number % len(worst)] for number in range(bad)]
    drawn.shuffle(some)
    # Spaces around an answer make it another text, and nothing else.
    return [
        pair._replace(
            gold=f"{pair.gold}{' ' * (number % 97)}", answer=f"{' ' * (number // 97)}{pair.answer}"
        )
        for number, pair in enumerate(some)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1_000)
    parser.add_argument("--hostile", type=float, default=0.01)
    chosen = parser.parse_args()
    print(f"math {grader_version('math')}")
    for name, pairs in labelled().items():
        table(name, pairs, grade_answers([pair.item for pair in pairs], TIMEOUT_SECONDS))
    every = read_pairs("math_pairs")
    clean = seconds(mixture(every, chosen.pairs, 0.0))
    mixed = seconds(mixture(every, chosen.pairs, chosen.hostile))
    print(
        f"\n{chosen.pairs:,} pairs: {clean:.1f} s; {chosen.hostile:.0%} of them hostile: {mixed:.1f} s"
    )
    print(f"ratio {mixed / clean:.2f}")
    each = sorted(seconds([pair]) for pair in mixture(every, chosen.pairs, 0.0))
    middle, late = each[len(each) // 2], each[len(each) * 99 // 100]
    print(
        f"one pair: median {1e3 * middle:.2f} ms, 99 % {1e3 * late:.1f} ms, all {1e3 * each[-1]:.0f} ms"
    )
    SHARED_GRADER.close()


if __name__ == "__main__":
    main()
