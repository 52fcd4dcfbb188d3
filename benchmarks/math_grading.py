"""The grader ``math`` on labelled pairs, and what it costs where some answers are hostile.

    python -m benchmarks.math_grading [--pairs 1000] [--hostile 0.01]

Prints a table of verdicts beside what is right for both sets of pairs, for pacore's grader and for
math-verify alone (with the gold answer in a box, each pair in a process that can be killed); then the
seconds that 1,000 pairs take, with and without hostile ones among them.
"""

from __future__ import annotations

import argparse
import logging
import random
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError

from math_verify import parse, verify
from pebble import ProcessPool

from pacore.grading import CRASH, TIMEOUT, Verdict
from pacore.grading.score import VERDICTS
from pacore.sandbox import SHARED_GRADER, grade_answers, grader_version
from tests.labelled import Pair, read_pairs

SETS = ("math_pairs", "math_pairs_held_out")
TIMEOUT_SECONDS = 5.0


def alone(gold: str, answer: str) -> bool:
    """What math-verify says by itself."""
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    read_gold = parse(f"\\boxed{{{gold}}}", parsing_timeout=None)
    read_answer = parse(f"\\boxed{{{answer}}}", parsing_timeout=None)
    return bool(verify(read_gold, read_answer, timeout_seconds=None))


def by_math_verify(pairs: Sequence[Pair]) -> list[Verdict]:
    found = []
    with ProcessPool(max_workers=2) as pool:
        asked = [
            None
            if pair.answer is None
            else pool.schedule(alone, (pair.gold, pair.answer), timeout=TIMEOUT_SECONDS)
            for pair in pairs
        ]
        for future in asked:
            if future is None:
                found.append(Verdict("no_answer", 0.0))
            elif (fault := future.exception()) is not None:
                found.append(TIMEOUT if isinstance(fault, FutureTimeoutError) else CRASH)
            else:
                found.append(Verdict("correct" if future.result() else "wrong", None))
    return found


def table(name: str, pairs: Sequence[Pair], verdicts: Sequence[Verdict]) -> None:
    counted = Counter((pair.same, v.verdict) for pair, v in zip(pairs, verdicts, strict=True))
    print(f"\n{name}: {len(pairs)} pairs")
    print(f"  {'should be':10}" + "".join(f"{verdict:>11}" for verdict in VERDICTS))
    for same in (True, False):
        cells = "".join(f"{counted[same, verdict]:>11}" for verdict in VERDICTS)
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
    for name in SETS:
        pairs = read_pairs(name)
        table(f"pacore, {name}", pairs, grade_answers([p.item for p in pairs], TIMEOUT_SECONDS))
        table(f"math-verify alone, {name}", pairs, by_math_verify(pairs))
    every = read_pairs(SETS[0])
    clean = seconds(mixture(every, chosen.pairs, 0.0))
    mixed = seconds(mixture(every, chosen.pairs, chosen.hostile))
    print(
        f"\n{chosen.pairs:,} pairs: {clean:.1f} s; {chosen.hostile:.0%} of them hostile: {mixed:.1f} s"
    )
    print(f"ratio {mixed / clean:.2f}")
    SHARED_GRADER.close()


if __name__ == "__main__":
    main()
