"""The reward of a response, R(ω) in [0, 1] (paper, section 2.2), as each trainer calls it.

It reads the answer of the response's conclusion and grades it, as `pacore grade` does: by exact rules, by
computer algebra in processes that are killed when they take too long, and programs in a sandbox. Nothing of
a response is executed outside of one. It may be called from any thread.

A grading that is killed or crashes says nothing of the response; as a trainer needs a number, its reward is
0 with ``observed`` 0.0, so that it can be counted.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

from pacore.core.grading.choose import choose_grader
from pacore.core.grading.extraction.extract import Extracted, find_answer
from pacore.core.grading.programs.tests import wanted_of
from pacore.core.grading.verdict import NO_ANSWER, Verdict
from pacore.core.problem import Problem, Turn
from pacore.core.prompt import SYNTHESIS
from pacore.core.trajectory import CLOSE, Generation, normalise
from pacore.errors import BadInput
from pacore.sandbox.grade import grade_answers

TIMEOUT_SECONDS = 5.0

Thinking = Literal["auto", "closed"]
"""Which part of a response is its conclusion.

``auto``: what comes after thoughts in tags, else all of it. ``closed``: only what comes after the tag that
closes them, for models whose chat template opens the thoughts in the prompt: where such a response was cut,
nothing shows that it is thoughts.
"""


class Reward(NamedTuple):
    """What a response is worth: ``score`` in [0, 1], 0 where ``is_observed`` is false; and the verdict."""

    score: float
    is_observed: bool
    verdict: str
    answer: str | None


def reward_of(
    response: str,
    gold: str,
    grader: str | None = None,
    thinking: Thinking = "auto",
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Reward:
    """The reward of a response; ``grader`` is a spec, without one it is chosen by the gold answer.

    ``timeout_seconds`` bounds the grading of the answer. Raises BadInput for a spec that is none, and
    PacoreError where nothing can be graded here: no process can be started, or programs not be confined.
    """
    spec = grader or choose_grader(Problem("", (Turn("user", ""),), gold))
    conclusion = conclusion_of(response, thinking)
    found = None if conclusion is None else find_answer(conclusion, spec, wanted_of(spec, gold))
    answer = found.text if isinstance(found, Extracted) else None
    verdict = NO_ANSWER if answer is None else _graded(spec, gold, answer, timeout_seconds)
    score = verdict.score
    return Reward(score or 0.0, score is not None, verdict.verdict, answer)


def _graded(spec: str, gold: str, answer: str, timeout_seconds: float) -> Verdict:
    (verdict,) = grade_answers([(spec, gold, answer)], timeout_seconds)
    return verdict


def conclusion_of(response: str, thinking: Thinking = "auto") -> str | None:
    """What a response concludes, without its thoughts; None where it does not come to that."""
    if thinking not in get_args(Thinking):
        raise BadInput(f"thinking {thinking!r}: is none of {', '.join(get_args(Thinking))}")
    if thinking == "closed" and CLOSE not in response:
        return None
    return normalise(Generation("stop", response)).conclusion


def compute_score(
    data_source: str,  # noqa: ARG001 - verl's signature
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    thinking: Thinking = "auto",
    **_: Any,
) -> dict[str, float]:
    """The reward as verl calls it: ``reward.custom_reward_function``.

    ``extra_info`` names the grader. ``score`` is the reward, ``acc`` whether the answer is right,
    ``observed`` whether the grading came to an end, and ``answered`` whether there is an answer.
    """
    found = reward_of(solution_str, ground_truth, (extra_info or {}).get("grader"), thinking)
    return {
        "score": found.score,
        "acc": float(found.score == 1),
        "observed": float(found.is_observed),
        "answered": float(found.answer is not None),
    }


def make_label(gold: str, grader: str) -> str:
    """Gold answer and grader as one text, for trainers that hand the reward nothing else."""
    return json.dumps({"gold": gold, "grader": grader}, ensure_ascii=False)


def read_label(label: str) -> tuple[str, str]:
    """Gold answer and grader of a label that `make_label` made. Raises BadInput for another."""
    try:
        read = json.loads(label)
        return str(read["gold"]), str(read["grader"])
    except (ValueError, KeyError, TypeError):
        raise BadInput(f"label {label[:60]!r}: is no label of this export") from None


def reward_func(
    queries: Sequence[str], prompts: Sequence[str], labels: Sequence[str], **_: Any
) -> dict[str, Any]:
    """The rewards as OpenRLHF calls them: ``--reward.remote_url`` names the file that has this function.

    A query is a prompt and its response in one text, decoded with special tokens.
    """
    import torch

    found = [
        reward_of(response_in(query, prompt), *read_label(label))
        for query, prompt, label in zip(queries, prompts, labels, strict=True)
    ]
    rewards = torch.tensor([one.score for one in found], dtype=torch.float)
    observed = torch.tensor([float(one.is_observed) for one in found])
    return {"rewards": rewards, "scores": rewards, "extra_logs": {"observed": observed}}


def response_in(query: str, prompt: str) -> str:
    """The response in a query. Raises BadInput where it cannot be told from the prompt: that has messages
    with answers, and their answers must not be rewarded.

    Decoding may give another text than the prompt was, but what P(x, M) ends with is in both.
    """
    response = query.removeprefix(prompt)
    if response == query and prompt:
        _, tail, response = query.rpartition(SYNTHESIS.parts.tail.strip())
        if not tail:
            raise BadInput("a query does not begin with its prompt, nor has it the end of one")
    return _SPECIAL.sub("", response)


_SPECIAL = re.compile(r"(?:\s*(?:<\|[\w ]{1,40}\|>|</s>|<eos>|<end_of_turn>))+\s*\Z")
"""Tokens that end a turn, as they are decoded."""


async def slime_reward(args: Any, sample: Any, **_: Any) -> float | list[float]:
    """The reward as slime calls it: ``--custom-rm-path``; of one sample, or of a group of them."""
    if isinstance(sample, list):
        return [float(await slime_reward(args, one)) for one in sample]  # type: ignore[arg-type]
    gold, grader = read_label(sample.label)
    return (await asyncio.to_thread(reward_of, sample.response, gold, grader)).score


def trl_reward(
    completions: Sequence[Any], gold: Sequence[str], grader: Sequence[str], **_: Any
) -> list[float | None]:
    """The rewards as TRL's GRPO calls them; None, which it leaves out, where a grading came to no end."""
    found = [
        reward_of(_said(completion), one, spec)
        for completion, one, spec in zip(completions, gold, grader, strict=True)
    ]
    return [one.score if one.is_observed else None for one in found]


def _said(completion: Any) -> str:
    """The text of a completion, which is text or the turns of a conversation."""
    return completion if isinstance(completion, str) else str(completion[-1]["content"])
