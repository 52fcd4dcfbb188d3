"""Recognises what is not a text's own statement: quotations, examples, and suppositions."""

from __future__ import annotations

# ruff: noqa: RUF001 - characters of other scripts are what this file is about
import re

from pacore.core.grading.extraction.patterns import LanguagePatterns, Words, grammar

HYPOTHETICAL = Words(
    r"(?:^|[:;,(–—])\W*(?:if|suppose|assuming|unless|even if|falls|wenn|si|se|если|如果|假如|もし)\b"
    r".*\b(?:would|could|might|wäre|serait|sería|seria|sarebbe|был бы)\b"
    r"|\b(?:would|could|might)\b.*\b(?:if|unless)\b"
)

SUPERSEDED = Words(
    r"\b(?:previously|originally|initially|earlier|at first)\b.*\bwas\b"
    r"|\bwas\b.*\b(?:before|until|at first|originally|initially|previously)\b"
)
"""A sentence about an earlier state."""

_SOMEBODY = (
    r"(?:references?|refs?\.?|responses?|trajector(?:y|ies)|students?|candidates?|authors?|users?"
    r"|someone|others?"
    r"|problem|question|text|références?|referenz(?:en)?|referencias?|referências?|riferiment[oi]"
    r"|ссылк\w+|источник\w*|referensi)"
)

_SAYS = (
    r"(?:say|claim|state|give|suggest|conclude|report|get|obtain|find|arrive at|think|believe|assert"
    r"|propose|offer"
    r"|mention|indicate|show)s?|said|claimed|stated|gave|suggested|concluded|reported|got|obtained|found"
    r"|arrived at|thought|believed|sagt|sagen|behauptet|dit|affirme|dice|dicen|afirma|diz|говорит"
    r"|утверждает"
)

ATTRIBUTED = Words(
    r"^\W*(?:the |in |as )?(?:(?:original|given|other|first|second|third) )?"
    rf"{_SOMEBODY}\b[^.;:]{{0,60}}?\b(?:{_SAYS})\b"
    rf"|^\W*according to (?:\w+ ){{0,2}}{_SOMEBODY}\b"
)
"""A sentence that begins with a statement of somebody else."""

CITED = Words(rf"\W*{_SOMEBODY}\s?#?(?:\d+|\b[A-J])\s*:")
"""``Reference 3: …``"""

QUOTING = Words(
    rf"\b{_SOMEBODY}\b[^.;:]{{0,60}}?\b(?:{_SAYS})(?:\s+(?:that|que|che|что))?,?"
    r"(?:\s+(?:dass|the|its|his|her|their|an?|final|correct|la|el|le|il|die))*\s*$"
    rf"|\baccording to (?:\w+ ){{0,2}}{_SOMEBODY}[^:]{{0,60}}$"
    rf"|\b{_SOMEBODY}\s?#?(?:\d{{0,2}}|\b[A-J])(?:'s|’s)\s(?:\w+\s)?$"
    r"|\b(?:previous|earlier|initial|original|old|other|wrong|incorrect|preliminary|intermediate"
    r"|tentative|partial|candidate|given|expected|provided|suggested|proposed|step\s\d+"
    r"|alternative|possible|potential|any|an|no)\s(?:\w+\s)?$"
    rf"|\b{_SOMEBODY}\s?#?(?:\d+|\b[A-J])\s*:"
    r"|\b(?:in|selon|según|segundo|secondo|laut|согласно|menurut|theo|volgens|według|enligt)\s+(?:\w+\s+){0,2}?"
    rf"{_SOMEBODY}\s?#?\d[^:]{{0,60}}$"
    r"|\b(?:options|candidates|possibilities|choices|guesses|suggestions|proposals) for (?:\w+\s){0,3}$"
    r"|参考$|(?:参考(?:答案)?|文献|参照|참조)\s?\d*\s?(?:说|認為|认为|給出|给出|的|によると|は)[^。]{0,20}$"
)
"""Ends before a noun for an answer of somebody else: "Reference 2 says that the", "the previous"."""

OTHERS = Words(rf"\b(?:{_SOMEBODY}|people|many|most|some|you|they|he|she)\b")

NUMBERED = Words(rf"\b{_SOMEBODY}\s?#?\d")

QUOTED = Words(rf"(?:\b(?:in|of|from|by|for|given|to) (?:the )?|\(){_SOMEBODY}\s?#?\d")

ADOPTED = Words(
    r"\b(?:agree|agrees|correct|correctly|right|rightly|consistent|confirm|confirms|confirmed|consensus)\b"
)

_EXAMPLE = Words(
    r"^\W*examples?\b[^:]{0,20}:|\b(?:for example|e\.g\.?|for instance|such as|like this"
    r"|in the (?:form(?:at)?|style)"
    r"|format|template|placeholder|your (?:final )?answer|the line|write|zum beispiel|par exemple"
    r"|por ejemplo|por exemplo|ad esempio|например|örneğin|misalnya|ví dụ|contoh)\b"
    r"|例如|比如|たとえば|例えば|예를 들어|格式"
)

CHECKING = Words(r"\b(?:check|verify|test)\s(?:our|the|my|this|your)\s(?:\w+\s)?answer\b")
"""A sentence that checks the answer stated before it."""

# An apostrophe after a letter begins no quotation: "Here's the".
_IN_QUOTATION = re.compile(r"(?:[\"“‘`「]|(?<!\w)')\s*(?:\w+\s){0,2}$")

_OTHER_NOUN = Words(
    r"\s(?:to|for|of|in|from)\s(?:the\s)?(?:(?:first|second|previous|last)\s)?(?:step|part)\b|\s?(?:choices?|options?|key|sheet|box|format|section|below|above)\b"
)

_SPEECH = Words(
    r"\b(?:(?:say|claim|think|believe|assert|argue|suspect|guess|expect)(?:s|ed)?|said|thought"
    r"|told (?:me|us|you|him|her|them))"
    r"(?:\s+that)?(?:\s+(?:the|its|my|our|an?|final|correct|right))*\s*$"
)

_OWN_SPEECH = Words(r"\b(?:i|i['’](?:d|ll)|we|let me|safe to|fair to|can be)\b")

_CLAUSE_CHARACTERS = 80

_BOUNDARY = re.compile(r"[,:;.，、；。](?!\d)")


def clause_before(text: str) -> str:
    """The beginning, in a text that precedes it, of the current clause."""
    return _BOUNDARY.split(text[-_CLAUSE_CHARACTERS:])[-1]


def clause_after(text: str, start: int) -> str:
    """The rest of the clause from ``start`` on."""
    return _BOUNDARY.split(text[start : start + _CLAUSE_CHARACTERS])[0]


_COMMITTING = Words(
    r"\b(?:(?:conclud|find|know|see|get|think|believ|say|show|mean|follow|confirm|agree|determin|obtain"
    r"|establish|verif|deduc|infer|implie|giv|tell|indicat|suggest|reveal|prov|stat|ensur|clear|calculat"
    r"|comput|report|reali[sz]|notice|yield|turns? out|consensus)\w*|imply|found|got|thought|said|gave"
    r"|obvious|evident|certain|sure|confident|convinced|note)\b\W*(?:\w+\W+)?$"
)

_THAT = Words(r"(?P<governor>.*)\bthat\s+(?P<phrase>.*)$")


def is_committed(before: str, language: LanguagePatterns) -> bool:
    """Whether a sentence with the words ``before`` an answer states it, and does not only report it.

    After "that" in English it does only with a verb of finding or knowing; after any other verb ("deny
    that", "pretend that") it may mean the opposite.
    """
    clause = _THAT.match(clause_before(before)) if language is grammar("en") else None
    if clause is None or not language.gap.fullmatch(clause["phrase"]):
        return True
    governor = clause["governor"]
    return not governor.strip() or _COMMITTING.search(governor) is not None


def is_example(before: str) -> bool:
    """Whether the words ``before`` introduce an example or a format."""
    return _EXAMPLE.search(before) is not None


def is_supposed(before: str, language: LanguagePatterns) -> bool:
    """Whether an answer after the words ``before`` is part of a condition, a question or a doubt."""
    clauses = _BOUNDARY.split(before[-_CLAUSE_CHARACTERS:])
    is_hedged = len(clauses) > 1 and language.hedge.fullmatch(clauses[-2].strip())
    return bool(is_hedged or language.supposed.search(clauses[-1]))


_CONDITION = Words(
    r"^\W*(?:if|suppose|assuming|unless|wenn|falls|si|se|если|如果|假如|もし)(?:\b|(?=[\u3040-\u9fff]))[^,，]*$"
)

_LIMITED = Words(
    r"\b(?:partially|partly|almost|nearly|not quite|would be|might be|could be|may be)\W*$"
)


def is_limited(text: str, right: re.Match[str]) -> bool:
    """Whether the word "right" is part of a condition, or qualified."""
    before = text[: right.start()]
    return bool(_CONDITION.match(before) or _LIMITED.search(before))


def is_spoken_of(text: str, noun: tuple[int, int]) -> bool:
    """Whether a noun for the answer is only mentioned: in an example, as somebody's, or in quotes."""
    before = text[: noun[0]]
    if _OTHER_NOUN.match(text[noun[1] :]) or is_example(before):
        return True
    if QUOTING.search(before) and not ADOPTED.search(text):
        return True
    if _SPEECH.search(before) and not _OWN_SPEECH.search(clause_before(before)):
        return True
    opened = _IN_QUOTATION.search(before)
    return opened is not None and bool(before[: opened.start()].strip())
