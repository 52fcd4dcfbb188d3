"""Grading: what an answer is worth beside the gold answer.

`grade_fast` decides by exact rules; `pacore.sandbox.mathematics` asks computer algebra about the rest, in
processes that can be killed.
"""

from pacore.core.grading.choose import choose_grader, gold_answer, run_grading
from pacore.core.grading.mathematics.grader import grade_math
from pacore.core.grading.rules import RULES_VERSION, grade_fast, plain_key, short
from pacore.core.grading.verdict import (
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
