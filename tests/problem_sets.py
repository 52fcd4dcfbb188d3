"""A row or more of every shape of problem set, with problems of our own."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from typing import Any

Row = dict[str, Any]

ADD = [{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]
ADD_HIDDEN = [{"input": "40 2\n", "output": "42\n", "testtype": "stdin"}]
DOUBLE = [{"input": "[1, 2]\n2", "output": "[2, 4]", "testtype": "functional"}]


def packed(text: Any) -> str:
    """As LiveCodeBench packs its private tests."""
    return base64.b64encode(zlib.compress(pickle.dumps(text))).decode()


ROWS: dict[str, list[Row]] = {
    "GSM8K": [
        {
            "question": "Ada has 3 bags of 6 nuts. How many nuts has she?",
            "answer": "Each bag has 6 nuts.\nSo she has 3 * 6 = <<3*6=18>>18 nuts.\n#### 18",
        },
        {"question": "A town of 500 doubles twice.", "answer": "500 * 4 = 2,000\n#### 2,000"},
    ],
    "MATH": [
        {
            "problem": "What is $7^2$?",
            "solution": "We have $7 \\cdot 7 = \\boxed{49}.$",
            "answer": "49",
            "subject": "Prealgebra",
            "level": 1,
            "unique_id": "test/prealgebra/17.json",
        },
        {
            "problem": "Halve $\\frac{1}{2}$.",
            "solution": "It is $\\boxed{\\frac{1}{4}}.$",
            "level": "Level 2",
            "type": "Algebra",
        },
    ],
    "NeMo-Skills": [
        {
            "id": "own-0",
            "problem": "Add the first three primes.",
            "reference_solution": "$2+3+5=\\boxed{010}$",
            "expected_answer": "10",
            "domain": None,
        }
    ],
    "contest": [
        {
            "problem_idx": 1,
            "problem": "How many sides has a hexagon?",
            "answer": 6,
            "problem_type": ["Geometry"],
        }
    ],
    "titled columns": [
        {"ID": "2031-I-4", "Year": 2031, "Problem": "What is $3^3$?", "Answer": 27},
        {
            "Problem ID": "own algebra/001",
            "Problem": "Find $x$ with $x - 1 = 1$.",
            "Short Answer": "2",
            "Category": "Algebra",
            "Subcategory": "Equations",
            "Source": "own",
        },
    ],
    "multiple choice": [
        {
            "id": "own_7",
            "question": "Which of these is a metal?",
            "choices": {"label": ["1", "2", "3"], "text": ["wood", "iron", "glass"]},
            "answerKey": "2",
        },
        {
            "question": "Which is even?",
            "choices": ["3", "5", "8", "9"],
            "answer": 2,
            "subject": "x",
        },
        {
            "question_id": 70,
            "question": "Which number is prime?",
            "options": ["4", "6", "8", "9", "10", "12", "14", "15", "16", "17"],
            "answer": "J",
            "answer_index": 9,
            "category": "math",
        },
        {"question": "Which is a fruit?", "A": "pear", "B": "stone", "C": "nail", "answer": "A"},
        {
            "question": "Which is warm?",
            "options": {"B": "ice", "A": "fire"},
            "answer": "fire",
            "answer_idx": "A",
        },
    ],
    "GPQA": [
        {
            "Record ID": "recOwn1",
            "Question": "Which particle has no charge?\n",
            "Correct Answer": "the neutron\n",
            "Incorrect Answer 1": "the proton",
            "Incorrect Answer 2": "the electron",
            "Incorrect Answer 3": "the positron",
            "Subdomain": "Physics",
        }
    ],
    "HumanEval": [
        {
            "task_id": "Own/0",
            "prompt": 'def add_one(x):\n    """Return x plus one.\n    >>> add_one(1)\n    2\n    """\n',
            "canonical_solution": "    return x + 1\n",
            "test": "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(-1) == 0\n",
            "entry_point": "add_one",
        }
    ],
    "MBPP": [
        {
            "task_id": 11,
            "text": "Write a function that doubles a number.",
            "code": "def double(x):\n    return 2 * x",
            "test_list": ["assert double(2) == 4", "assert double(0) == 0"],
            "test_setup_code": "",
            "challenge_test_list": ["assert double(-1) == -2"],
        },
        {
            "source_file": "own.ipynb",
            "task_id": 12,
            "prompt": "Write a function that gives the root of a number.",
            "code": "import math\ndef root(x):\n    return math.sqrt(x)",
            "test_imports": ["import math"],
            "test_list": ["assert math.isclose(root(4), 2)"],
        },
    ],
    "LiveCodeBench": [
        {
            "question_title": "Sum",
            "question_content": "Read two numbers and print their sum.",
            "platform": "atcoder",
            "question_id": "own1_a",
            "contest_id": "own1",
            "contest_date": "2031-01-01T00:00:00",
            "starter_code": "",
            "difficulty": "easy",
            "public_test_cases": json.dumps(ADD),
            "private_test_cases": packed(json.dumps(ADD_HIDDEN)),
            "metadata": "{}",
        },
        {
            "question_title": "Scale",
            "question_content": "Multiply every number of a list.",
            "platform": "leetcode",
            "question_id": "9001",
            "starter_code": "class Solution:\n    def scale(self, xs, k):\n        ",
            "difficulty": "easy",
            "public_test_cases": json.dumps(DOUBLE),
            "private_test_cases": json.dumps(DOUBLE),
            "metadata": json.dumps({"func_name": "scale"}),
        },
    ],
    "PaCoRe-Train": [
        {
            "conversation": [{"role": "user", "content": "What is 8 + 9?"}],
            "responses": ["17", "It is 17."],
            "ground_truth": "17",
        },
        {
            "conversation": [{"role": "user", "content": "Print the sum of two numbers."}],
            "responses": ["print(sum(map(int, input().split())))"],
            "ground_truth": json.dumps({"inputs": ["1 2"], "outputs": ["3"]}),
        },
    ],
    "verl": [
        {
            "data_source": "own/sums",
            "prompt": [{"role": "user", "content": "What is 9 + 9?"}],
            "ability": "math",
            "reward_model": {"style": "rule", "ground_truth": "18"},
            "extra_info": {"index": 0, "split": "train"},
        },
        {
            "data_source": "own/programs",
            "prompt": [{"role": "user", "content": "Print the product of two numbers."}],
            "ability": "code",
            "reward_model": {
                "style": "rule",
                "ground_truth": json.dumps({"inputs": ["2 3"], "outputs": ["6"]}),
            },
            "extra_info": {"index": 1, "split": "train"},
        },
    ],
    "prompt and label": [
        {
            "prompt": [{"role": "user", "content": "What is 7 + 7?"}],
            "label": "14",
            "metadata": {"source": "own"},
        }
    ],
    "MultiChallenge": [
        {
            "QUESTION_ID": "6f1",
            "AXIS": "INFERENCE_MEMORY",
            "CONVERSATION": [
                {"role": "user", "content": "I eat no nuts."},
                {"role": "assistant", "content": "I shall remember."},
                {"role": "user", "content": "Suggest a dessert."},
            ],
            "TARGET_QUESTION": "Is the dessert free of nuts?",
            "PASS_CRITERIA": "YES",
        }
    ],
    "ShareGPT": [
        {
            "id": "own-chat",
            "conversations": [
                {"from": "system", "value": "Be brief."},
                {"from": "human", "value": "Hello."},
                {"from": "gpt", "value": "Hello!"},
                {"from": "human", "value": "What is 5 + 5?"},
                {"from": "gpt", "value": "10"},
            ],
        }
    ],
    "conversation": [
        {
            "id": "parts",
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is 6 + 6?"},
                        {"type": "text", "text": "Answer with a number."},
                    ],
                },
            ],
            "answer": "12",
        }
    ],
    "plain": [{"id": "sum", "problem": "What is 2 + 5?", "answer": "7", "source": "own"}],
}

ALL_ROWS = [(name, row) for name, rows in ROWS.items() for row in rows]
