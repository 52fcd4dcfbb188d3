"""The rows of each format, made of examples: of pools, and of trajectories that were sampled from messages.

What an example gives no row for is counted with the reason.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, get_type_hints

from pacore import __version__
from pacore.core.grading.choose import run_grading
from pacore.core.grading.spec import parse_spec
from pacore.core.identity import digest
from pacore.core.problem import Turn
from pacore.core.prompt import with_system
from pacore.core.trajectory import CLOSE, OPEN
from pacore.store.run import Run
from pacore.store.schema import DOUBLE, INT64, STRING, TableSchema, list_of, required, struct_of
from pacore.training.examples import RIGHT, SynthesisTrajectory, TrainingExample
from pacore.training.exports.formats import RowOptions, ThinkingForm
from pacore.training.handoff.episodes import Episodes, prompt_of
from pacore.training.handoff.records import (
    ChatTurn,
    ExportedPool,
    ExportRow,
    GrpoRow,
    OpenRlhfRow,
    PoolDetails,
    PreferenceRow,
    SftRow,
    SlimeRow,
    TrainRow,
    Visit,
)
from pacore.training.handoff.reward import make_label

ABILITIES = {"math": "math", "numeric": "math", "code": "code"}


@dataclass
class Selection:
    """How many problems and trajectories gave rows, and how many did not, by the reason; ``most_messages``
    has the largest pool of a problem that gave one.
    """

    most_messages: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    trajectories: Counter[str] = field(default_factory=Counter)
    sources: Counter[tuple[str, str]] = field(default_factory=Counter)

    KEPT = "kept"

    def keep(self, example: TrainingExample) -> None:
        self.problems[self.KEPT] += 1
        self.most_messages = max(self.most_messages, len(example.messages))
        self.sources[example.source or "unknown", example.licence or "unknown"] += 1


_TURNS = list_of(struct_of(role=STRING, content=STRING))

_KINDS = {
    int: INT64,
    str: STRING,
    list[float]: list_of(DOUBLE),
    list[str]: list_of(STRING),
    list[ChatTurn]: _TURNS,
}

_DETAILS = struct_of(**{name: _KINDS[hint] for name, hint in get_type_hints(PoolDetails).items()})

POOLS = TableSchema(
    "pools",
    ExportedPool,
    (
        required("data_source", STRING),
        required("prompt", _TURNS),
        required("ability", STRING),
        required("reward_model", struct_of(style=STRING, ground_truth=STRING)),
        required("extra_info", _DETAILS, "extra_info.as_json"),
    ),
    # A row is read alone, and with it its group.
    group_rows=16,
)


class Asked(NamedTuple):
    """A problem as a run asks it: its turns with the run's system prompt, the place from the end of the
    turn that P(x, M) replaces, its gold answer, and the grader's spec.
    """

    turns: tuple[Turn, ...]
    observation: int
    gold: str
    grader: str

    @classmethod
    def of(cls, run: Run, example: TrainingExample) -> Asked | None:
        """None where no rule grades the problem: without a gold answer, and with a judge."""
        by = run_grading(example.problem)
        if by is None:
            return None
        given = example.problem.turns
        place = run.plan.observation(given) - len(given)
        system = getattr(run.recipe, "system", None)
        return cls(with_system(given, system), place, by[1], by[0])

    @property
    def as_json(self) -> list[ChatTurn]:
        return [turn.as_json() for turn in self.turns]


NO_GRADER, NO_MESSAGES, NO_SYNTHESES = (
    "no gold answer that rules can grade",
    "no message with a score in its pool",
    "no trajectory that was sampled from messages",
)


def pool_rows(
    run: Run, examples: Iterable[TrainingExample], options: RowOptions, selection: Selection
) -> Iterator[ExportedPool]:
    """A row for each problem with a gold answer and messages, in their order."""
    with_pools = _with_pools(run, examples, selection)
    for number, (example, asked) in enumerate(with_pools):
        yield _pool_row(run, example, asked, options, number)


def _with_pools(
    run: Run, examples: Iterable[TrainingExample], selection: Selection
) -> Iterator[tuple[TrainingExample, Asked]]:
    for example in examples:
        asked = Asked.of(run, example)
        if asked is None or not example.messages:
            selection.problems[NO_MESSAGES if asked else NO_GRADER] += 1
        else:
            selection.keep(example)
            yield example, asked


def _pool_row(
    run: Run, example: TrainingExample, asked: Asked, options: RowOptions, number: int
) -> ExportedPool:
    pool = [one.text or "" for one in example.messages]
    extra = PoolDetails(
        index=number,
        split="train",
        problem_id=example.problem.problem_id,
        stage=options.stage,
        problem=example.problem.statement,
        turns=asked.as_json,
        observation=asked.observation,
        grader=asked.grader,
        message_pool=pool,
        message_acc=[float(one.score or 0) for one in example.messages],
        message_ids=[one.trajectory_id for one in example.messages],
        pool_right=example.right,
        pool_observed=example.observed,
        pool_model=run.recipe.model,
        source=example.source or "",
        licence=example.licence or "",
        pacore_version=__version__,
    )
    return ExportedPool(
        f"pacore/{example.source or 'problems'}",
        longest_prompt(extra, options.sizes[1]),
        ABILITIES.get(parse_spec(asked.grader).name, "text"),
        {"style": "rule", "ground_truth": asked.gold},
        extra,
    )


def longest_prompt(extra: PoolDetails, most: int) -> list[ChatTurn]:
    """The prompt with the ``most`` longest messages, in the order of the pool: no drawn one is longer."""
    pool = extra.message_pool
    by_length = sorted(range(len(pool)), key=lambda number: (-len(pool[number]), number))
    messages = [pool[one] for one in sorted(by_length[:most])]
    return prompt_of(extra.turns, extra.observation, messages)


def train_rows(
    run: Run, examples: Iterable[TrainingExample], selection: Selection
) -> Iterator[TrainRow]:
    """Rows as those of the published PaCoRe-Train: the conversation, the pool, the gold answer."""
    for example, _ in _with_pools(run, examples, selection):
        problem = example.problem
        yield TrainRow(
            problem.problem_id,
            [turn.as_json() for turn in problem.turns],
            [one.text or "" for one in example.messages],
            str(problem.gold),
            problem.grader,
        )


def scheduled_rows(pools: str, options: RowOptions) -> Iterator[ExportRow]:
    """The visits of a schedule in their order, drawn from a pool file as verl's data set draws them."""
    episodes = Episodes([pools], options.rows, options.seed, options.sizes)
    for item in range(len(episodes)):
        one = episodes[item]
        gold, grader = one.row.gold, one.row.grader
        visit = (one.row.extra_info.problem_id, one.epoch, one.message_ids, one.right)
        if options.form == "trl-grpo":
            yield GrpoRow(one.prompt, gold, grader, *visit)
        elif options.form == "slime":
            yield SlimeRow(one.prompt, make_label(gold, grader), Visit(*visit))
        else:
            yield OpenRlhfRow(one.prompt, make_label(gold, grader), *visit)


def sft_rows(
    run: Run, examples: Iterable[TrainingExample], options: RowOptions, selection: Selection
) -> Iterator[SftRow]:
    """A prompt and its completion for each right trajectory that stopped by itself, as TRL's SFT reads it.

    The loss is on the completion alone. Of a problem at most ``most`` trajectories, each text once.
    """
    for example, asked in _with_syntheses(run, examples, selection):
        kept = 0
        texts: set[str] = set()
        for made in _by_content(example.syntheses, options.seed):
            why = _unfit(made, options) or (None if made.is_right else "not right")
            text = _completion(made, options.thinking)
            name = digest([made.turns, text])
            if why is None and name in texts:
                why = "said before"
            if why is None and kept == options.most:
                why = "more than are taken of one problem"
            selection.trajectories[why or Selection.KEPT] += 1
            if why is None:
                texts.add(name)
                kept += 1
                yield SftRow(
                    json.loads(made.turns), [text], made.problem_id, made.trajectory_id,
                    made.message_ids, asked.gold, asked.grader, RIGHT, made.completion_tokens,
                )  # fmt: skip
        if kept:
            selection.keep(example)
        else:
            selection.problems["no trajectory that is right and fit"] += 1


def preference_rows(
    run: Run, examples: Iterable[TrainingExample], options: RowOptions, selection: Selection
) -> Iterator[PreferenceRow]:
    """Pairs of a right and a wrong trajectory of one prompt, each in one pair at most."""
    for example, asked in _with_syntheses(run, examples, selection):
        sides: dict[str, tuple[list[SynthesisTrajectory], list[SynthesisTrajectory]]] = {}
        for made in _by_content(example.syntheses, options.seed):
            why = _unfit(made, options) or (None if made.score is not None else "no score")
            selection.trajectories[why or Selection.KEPT] += 1
            if why is None:
                sides.setdefault(made.turns, ([], []))[0 if made.is_right else 1].append(made)
        pairs = [
            pair for right, wrong in sides.values() for pair in zip(right, wrong, strict=False)
        ]
        for chosen, rejected in pairs[: options.most]:
            yield PreferenceRow(
                json.loads(chosen.turns), [_completion(chosen, options.thinking)],
                [_completion(rejected, options.thinking)], rejected.trajectory_id,
                float(rejected.score or 0), chosen.problem_id, chosen.trajectory_id,
                chosen.message_ids, asked.gold, asked.grader, RIGHT, chosen.completion_tokens,
            )  # fmt: skip
        if pairs:
            selection.keep(example)
        else:
            selection.problems["no right and wrong trajectory of one prompt"] += 1


def _with_syntheses(
    run: Run, examples: Iterable[TrainingExample], selection: Selection
) -> Iterator[tuple[TrainingExample, Asked]]:
    for example in examples:
        asked = Asked.of(run, example)
        if asked is None or not example.syntheses:
            selection.problems[NO_SYNTHESES if asked else NO_GRADER] += 1
        else:
            yield example, asked


def _by_content(syntheses: Iterable[SynthesisTrajectory], seed: int) -> list[SynthesisTrajectory]:
    """In a random order that follows from the seed and the trajectories."""
    return sorted(syntheses, key=lambda made: digest([seed, made.trajectory_id]))


def _unfit(made: SynthesisTrajectory, options: RowOptions) -> str | None:
    """Why a trajectory is none to learn from, whether it is right or wrong; None where it is."""
    if not made.is_exact:
        return "prompt cannot be proven"
    if made.finish_reason != "stop" or made.thinking_closed is False:
        return "did not stop by itself"
    if not made.conclusion:
        return "no conclusion"
    if options.max_tokens is not None and (made.completion_tokens or 0) > options.max_tokens:
        return f"longer than {options.max_tokens:,} tokens"
    return None


def _completion(made: SynthesisTrajectory, thinking: ThinkingForm) -> ChatTurn:
    """A trajectory as an assistant's turn."""
    said, thought = made.conclusion or "", (made.reasoning or "").strip()
    if not thought or thinking == "drop":
        return {"role": "assistant", "content": said}
    if thinking == "field":
        return {"role": "assistant", "reasoning_content": thought, "content": said}
    return {"role": "assistant", "content": f"{OPEN}\n{thought}\n{CLOSE}\n\n{said}"}
