"""Grading: what an answer is worth beside the gold answer.

`grade_fast` decides by exact rules; `pacore.sandbox` asks computer algebra about the rest, in processes
that can be killed.
"""

from pacore.grading.keys import plain_key, short
from pacore.grading.mathematics import grade_math
from pacore.grading.rules import (
    RULES_VERSION,
    choose_grader,
    gold_answer,
    grade_fast,
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
    crash,
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
    "crash",
    "gold_answer",
    "grade_fast",
    "grade_math",
    "plain_key",
    "run_grading",
    "short",
]
