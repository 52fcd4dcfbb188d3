"""Price tables: what a million tokens of a model cost; joined to runs, and never stored with them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pacore.errors import BadInput
from pacore.store.schema import DOUBLE, STRING, TableSchema, required
from pacore.text import did_you_mean


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens of a model cost: one row of the table ``prices``."""

    model: str
    currency: str
    prompt_per_million: float
    cached_prompt_per_million: float
    completion_per_million: float

    def cost(self, prompt_tokens: float, cached_tokens: float, completion_tokens: float) -> float:
        """What some tokens cost; ``cached_tokens`` are part of ``prompt_tokens``."""
        return (
            (prompt_tokens - cached_tokens) * self.prompt_per_million
            + cached_tokens * self.cached_prompt_per_million
            + completion_tokens * self.completion_per_million
        ) / 1e6


PRICES = TableSchema(
    "prices",
    Price,
    (
        required("model", STRING),
        required("currency", STRING),
        required("prompt_per_million", DOUBLE),
        required("cached_prompt_per_million", DOUBLE),
        required("completion_per_million", DOUBLE),
    ),
)

MOST_BYTES = 4 * 1024 * 1024


UNNAMED = ""
"""The model of what says nothing of its model, such as a file of pools."""

_LISTED = 8
"""Models that a message names."""

_NEEDED = ("model", "prompt_per_million", "completion_per_million")


COLUMNS = (*_NEEDED, "cached_prompt_per_million", "currency")


def read_prices(url: str) -> list[Price]:
    """The prices in a CSV file with the columns ``model``, ``prompt_per_million``,
    ``completion_per_million``, and where they are given ``cached_prompt_per_million`` (else that of
    any prompt) and ``currency`` (else USD).

    Raises BadInput naming file, line and column.
    """
    # fsspec is loaded with it, and few queries have prices.
    from pacore.store.backends.sources import open_source

    with open_source(url) as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise BadInput(f"{url}: is no price table: more than {MOST_BYTES:,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{url}: is not UTF-8") from None
    return list(_rows(url, text))


def prices_in(url: str, models: Sequence[str]) -> dict[str, Price]:
    """The prices of some models in a file, by model; those that it does not have are left out.

    `UNNAMED` has the only price that there is. Raises BadInput for a file with none of them.
    """
    rows = read_prices(url)
    prices = {price.model: price for price in rows}
    if UNNAMED in models and len(rows) == 1:
        prices[UNNAMED] = rows[0]
    found = {model: prices[model] for model in models if model in prices}
    if not found and models:
        if UNNAMED in models:
            known = ", ".join(sorted(prices)[:_LISTED]) or "no model"
            raise BadInput(
                f"{url}: has the prices of {known}, and of which model the trajectories are is not "
                "known: a column that --fields model=COLUMN names, or a table with one price alone"
            )
        near = did_you_mean(models[0], prices)
        raise BadInput(f"{url}: has no prices of model {models[0]!r}{near}")
    return found


def _rows(url: str, text: str) -> Iterator[Price]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        columns = reader.fieldnames or ()
        if missing := [name for name in _NEEDED if name not in columns]:
            raise BadInput(f"{url}:1: {missing[0]}: is missing; columns are {', '.join(COLUMNS)}")
        if unknown := [name for name in columns if name not in COLUMNS]:
            raise BadInput(f"{url}:1: {unknown[0]!r}: unknown; columns are {', '.join(COLUMNS)}")
        seen: dict[str, int] = {}
        currencies: dict[str, int] = {}
        for row in reader:
            place = f"{url}:{reader.line_num}"
            model, currency = _text(row, "model"), _text(row, "currency") or "USD"
            if not model:
                raise BadInput(f"{place}: model: is empty")
            if model in seen:
                raise BadInput(f"{place}: model: {model!r} has its prices in line {seen[model]}")
            seen[model] = reader.line_num
            currencies.setdefault(currency, reader.line_num)
            if len(currencies) > 1:
                first = next(iter(currencies))
                raise BadInput(
                    f"{place}: currency: {currency!r} beside {first!r}; take one of them"
                )
            prompt = _price(row, "prompt_per_million", place)
            is_cached = bool(_text(row, "cached_prompt_per_million"))
            cached = _price(row, "cached_prompt_per_million", place) if is_cached else prompt
            completion = _price(row, "completion_per_million", place)
            yield Price(model, currency, prompt, cached, completion)
    except csv.Error as fault:
        raise BadInput(f"{url}:{reader.line_num}: is not CSV: {fault}") from None


def _text(row: Mapping[str, str | None], name: str) -> str:
    return (row.get(name) or "").strip()


def _price(row: Mapping[str, str | None], name: str, place: str) -> float:
    written = _text(row, name)
    try:
        price = float(written)
    except ValueError:
        raise BadInput(f"{place}: {name}: {written!r} is no number") from None
    if not math.isfinite(price) or price < 0:
        raise BadInput(f"{place}: {name}: {written!r} is no price")
    return price
