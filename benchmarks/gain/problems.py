"""Problems on which one model gains by parallel trajectories: ``python -m benchmarks.gain.problems FILE``.

Each problem asks for the past tense of a verb. Eight turns before it show the form of an answer: five bare
questions and three in the synthesis template with four references, of which three are right. Untrained
models do not answer the template without such turns. Verbs of the turns are those of the development;
none of them is asked. docs/demo-gain.md has what was measured.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from pacore.core.prompt import SYNTHESIS

VERBS = Path(__file__).parent / "verbs.txt"

SEED = "demo-gain"

BARE, WITH_REFERENCES = "s", "d"

LAYOUT = "sssdsdsd"
"""The turns before the problem, in their order."""

Turn = dict[str, str]


def read_verbs() -> tuple[dict[str, str], dict[str, str]]:
    """Past tenses by verb: those seen in development, and the fresh ones."""
    seen, fresh = (
        dict(pair.split(":") for pair in part.split()[1:])
        for part in VERBS.read_text().split("\n\n")
    )
    return seen, fresh


def question(verb: str) -> str:
    return f"What is the past tense of {verb}?"


def examples(seen: dict[str, str], source: random.Random) -> list[Turn]:
    """The turns before every problem."""
    verbs = list(seen)
    source.shuffle(verbs)
    turns: list[Turn] = []
    for kind, verb in zip(LAYOUT, verbs, strict=False):
        text = question(verb)
        if kind == WITH_REFERENCES:
            references = [seen[verb]] * 3 + [seen[source.choice(verbs[len(LAYOUT) :])]]
            source.shuffle(references)
            text = SYNTHESIS.render(text, references)
        turns += [{"role": "user", "content": text}, {"role": "assistant", "content": seen[verb]}]
    return turns


def rows() -> list[dict[str, object]]:
    """The problems, always the same."""
    source = random.Random(SEED)
    seen, fresh = read_verbs()
    before = examples(seen, source)
    verbs = list(fresh)
    source.shuffle(verbs)
    return [
        {
            "id": verb,
            "messages": [*before, {"role": "user", "content": question(verb)}],
            "answer": fresh[verb],
            "grader": "text",
        }
        for verb in verbs
    ]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text("".join(json.dumps(row) + "\n" for row in rows()))
