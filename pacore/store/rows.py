"""Rows of the tables: what each noun is as a tuple in the order of its schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pacore.core.answer import Answer
from pacore.core.grading.verdict import GradedTrajectory, Score
from pacore.core.identity import canonical_json
from pacore.core.message import Message
from pacore.core.problem import Problem, Turn
from pacore.core.trajectory import Trajectory

Row = tuple[Any, ...]


def problem_row(problem: Problem, problem_set: str) -> Row:
    turns = canonical_json([turn.as_json() for turn in problem.turns]).decode()
    metadata = canonical_json(dict(problem.metadata)).decode() if problem.metadata else None
    return (
        problem_set,
        problem.problem_id,
        problem.content_digest,
        turns,
        problem.statement,
        problem.gold,
        problem.grader,
        metadata,
    )


def problem_of(row: Mapping[str, Any]) -> Problem:
    turns = tuple(Turn(turn["role"], turn["content"]) for turn in json.loads(row["turns"]))
    metadata = json.loads(row["metadata"]) if row["metadata"] else {}
    return Problem(row["problem_id"], turns, row["gold"], row["grader"], metadata)


def trajectory_row(trajectory: Trajectory) -> Row:
    place, made, thought = trajectory.place, trajectory.generation, trajectory.thought
    return (
        place.problem_id,
        place.replicate,
        place.slot,
        place.draw,
        trajectory.attempt,
        trajectory.trajectory_id,
        trajectory.seed,
        trajectory.prompt_digest,
        made.finish_reason,
        thought.status,
        thought.conclusion,
        made.prompt_tokens,
        made.completion_tokens,
        made.usage_source,
        made.wasted_tokens,
        made.tries,
        thought.thinking_closed,
        len(thought.reasoning or ""),
        trajectory.content_characters,
        made.error,
        trajectory.reused,
        trajectory.text_run_id,
        made.engine,
        made.engine_version,
        made.served_model,
        made.fingerprint,
        made.latency_seconds,
        trajectory.generated_at,
        trajectory.prompt_messages,
        trajectory.max_tokens,
        trajectory.retry_of,
        made.cached_prompt_tokens,
        None if trajectory.prompt_positions is None else list(trajectory.prompt_positions),
        made.finish_said,
        made.unread,
        made.wire,
    )


def text_row(trajectory: Trajectory) -> Row:
    place = trajectory.place
    return (
        place.problem_id,
        place.replicate,
        place.slot,
        trajectory.trajectory_id,
        trajectory.thought.reasoning,
        trajectory.generation.content,
    )


def message_row(message: Message) -> Row:
    return (
        message.problem_id,
        message.replicate,
        message.position,
        message.trajectory_id,
        message.text,
        len(message.text),
        message.compactor,
    )


def answer_row(answer: Answer) -> Row:
    return (
        answer.problem_id,
        answer.replicate,
        answer.answer,
        answer.method,
        answer.trajectory_id,
        answer.finish_reason,
        answer.status,
        answer.reason,
        answer.failed_round,
    )


def score_row(score: Score) -> Row:
    return (
        score.problem_id,
        score.replicate,
        score.trajectory_id,
        score.grader,
        score.grader_version,
        score.verdict,
        score.score,
        score.gold,
        score.answer,
    )


def verdict_row(graded: GradedTrajectory) -> Row:
    return (
        graded.problem_id,
        graded.replicate,
        graded.slot,
        graded.trajectory_id,
        graded.grading,
        graded.grader,
        graded.grader_version,
        graded.verdict.verdict,
        graded.verdict.score,
        graded.answer,
        graded.method,
        graded.answer_key,
        graded.verdict.detail,
    )


ROW_OF: dict[str, Callable[[Any], Row]] = {
    "trajectories": trajectory_row,
    "trajectory_texts": text_row,
    "messages": message_row,
    "answers": answer_row,
    "scores": score_row,
    "verdicts": verdict_row,
}
