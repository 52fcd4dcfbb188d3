"""What the published code makes of a round's responses, restated from what it is known to do.

Nothing of pacore takes part: responses are content texts in the order in which they arrived.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import jinja2

PROMPT = """\
You are given a problem and a list of reference responses. Your job is to analyze these references and provide your own response.

Original Problem:
{{ problem }}

Reference Responses:
{% for one in references %}
Reference {{ loop.index }}:
{{ one }}
{% endfor %}

Now, based on the original problem and reference responses above, please provide your own comprehensive solution.
"""  # noqa: E501 - the template's lines are as published

TEMPLATE = jinja2.Template(PROMPT)


def next_turns(turns: Sequence[Mapping[str, str]], arrived: Sequence[str]) -> list[dict[str, str]]:
    """The turns of the next round: the last turn of the user, with the references in it.

    By length, then one shuffle with seed 42; responses without content are in the shuffle and not
    among the references; of the others what follows the last closing tag is one, as it is.
    """
    ordered = sorted(arrived, key=len)
    random.Random(42).shuffle(ordered)
    references = [content.split("</think>")[-1] for content in ordered if content]
    asked = max(place for place, turn in enumerate(turns) if turn["role"] == "user")
    made = [dict(turn) for turn in turns]
    text = TEMPLATE.render(problem=made[asked]["content"], references=references)
    made[asked]["content"] = text
    return made
