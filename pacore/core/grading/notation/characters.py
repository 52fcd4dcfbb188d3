# ruff: noqa: RUF001 - characters that look like others are what this file is about
r"""Converts characters of mathematics, with digits and signs of every script, to LaTeX in ASCII.

Only invisible characters are dropped. Unknown characters are kept, so that the parser refuses them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

DASH = "–"
"""Any dash that is no minus sign: before a number it is one, between two numbers it may be a range."""

_MINUS = "−﹣－➖"

_DASHES = "‐‑‒–—―"


def _pairs(text: str) -> dict[str, str]:
    """Reads a table of characters and their replacements; a space is added after a command."""
    words = text.split()
    written = (f"{word} " if word[-1].isalpha() else word for word in words[1::2])
    return dict(zip(words[::2], written, strict=True))


_SIGNS = _pairs(
    r"""
    π \pi ∞ \infty ≤ \le ≥ \ge ⩽ \le ⩾ \ge ≦ \le ≧ \ge ≠ \ne ≈ \approx ≃ \simeq ≅ \cong ≡ \equiv
    ∼ \sim ± \pm ∓ \mp ∪ \cup ∩ \cap ∈ \in ∉ \notin ⊂ \subset ⊆ \subseteq ∖ \setminus ∅ \emptyset
    Ø \emptyset × \times · \cdot ⋅ \cdot ∙ \cdot ∗ * ÷ \div ° ^\circ ⁄ / ∕ / ∶ : ′ ' ″ '' ’ ' ‘ '
    √ \sqrt ∛ \sqrt[3] ∜ \sqrt[4] ∨ \lor ∧ \land ¬ \neg → \to ⇒ \Rightarrow ⟹ \Rightarrow
    ⇔ \Leftrightarrow ∴ \therefore ∑ \sum ∏ \prod ∫ \int ∂ \partial ∠ \angle △ \triangle
    ⌊ \lfloor ⌋ \rfloor ⌈ \lceil ⌉ \rceil ⟨ \langle ⟩ \rangle 〈 \langle 〉 \rangle … \ldots
    ⋯ \cdots ℝ \mathbb{R} ℤ \mathbb{Z} ℚ \mathbb{Q} ℕ \mathbb{N} ℂ \mathbb{C} ℓ \ell
    ‰ \permille ℃ ^\circ\mathrm{C} ℉ ^\circ\mathrm{F} µ \mu ٫ . ٬ ,
    """
) | {"，": ", ", "、": ", ", "。": ". ", "：": ": ", "；": "; "}

_LETTERS = _pairs(
    r"""
    α \alpha β \beta γ \gamma δ \delta ε \epsilon ϵ \epsilon ζ \zeta η \eta θ \theta ϑ \theta
    ι \iota κ \kappa λ \lambda μ \mu ν \nu ξ \xi ο \omicron ρ \rho σ \sigma ς \sigma τ \tau
    υ \upsilon φ \phi ϕ \phi χ \chi ψ \psi ω \omega Γ \Gamma Δ \Delta Θ \Theta Λ \Lambda Ξ \Xi
    Π \Pi Σ \Sigma Υ \Upsilon Φ \Phi Ψ \Psi Ω \Omega
    """
)

_ROOT = re.compile(r"√\s*(\d+(?:\.\d+)?)")

_MAPPED = _LETTERS | _SIGNS | dict.fromkeys(_MINUS, "-") | dict.fromkeys(_DASHES, DASH)


def to_latex(text: str) -> str:
    r"""A text in ASCII where characters have an equivalent: ``２½π⁻¹`` as ``2\frac{1}{2}\pi ^{-1}``."""
    if text.isascii():
        return text
    spelled = "".join(map(_spell, _ROOT.sub(r"\\sqrt{\1}", text)))
    for opening, closing, command in (("\ue000", "\ue001", "^"), ("\ue002", "\ue003", "_")):
        spelled = spelled.replace(closing + opening, "")
        spelled = spelled.replace(opening, command + "{").replace(closing, "}")
    return spelled


@lru_cache(maxsize=4096)
def _spell(character: str) -> str:
    if character.isascii():
        return character
    if (mapped := _MAPPED.get(character)) is not None:
        return mapped
    category = unicodedata.category(character)
    if category == "Cf" or "\ufe00" <= character <= "\ufe0f":
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category in ("Zs", "Zl", "Zp"):
        return " "
    return _compatible(character)


def _compatible(character: str) -> str:
    """The base form of a character; of a raised or lowered one between marks."""
    form, _, codes = unicodedata.decomposition(character).partition(" ")
    if not form.startswith("<"):
        return character
    plain = "".join(_spell(chr(int(code, 16))) for code in codes.split())
    match form:
        case "<super>":
            return f"\ue000{plain}\ue001"
        case "<sub>":
            return f"\ue002{plain}\ue003"
        case "<fraction>":
            over, _, under = plain.partition("/")
            return f"\\frac{{{over}}}{{{under or '1'}}}"
        case "<circle>":
            return character
        case _:
            return plain
