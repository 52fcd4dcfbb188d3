"""Grading: what an answer is worth beside the gold answer.

`grade_fast` decides by exact rules and `refuses` keeps from computer algebra what it cannot be
trusted with; `decide` is the two together. `pacore.sandbox` asks computer algebra about the rest,
in processes that can be killed.
"""

from pacore.grading.keys import plain_key
from pacore.grading.rules import (
    RULES_VERSION,
    choose_grader,
    decide,
    gold_answer,
    grade_fast,
    prepared,
    refuses,
    run_grading,
)
from pacore.grading.score import (
    CORRECT,
    CRASH,
    NO_ANSWER,
    TIMEOUT,
    WRONG,
    Score,
    Verdict,
    VerdictName,
)

__all__ = [
    "CORRECT",
    "CRASH",
    "NO_ANSWER",
    "RULES_VERSION",
    "TIMEOUT",
    "WRONG",
    "Score",
    "Verdict",
    "VerdictName",
    "choose_grader",
    "decide",
    "gold_answer",
    "grade_fast",
    "plain_key",
    "prepared",
    "refuses",
    "run_grading",
]
