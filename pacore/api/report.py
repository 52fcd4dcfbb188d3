"""What a function of the API gives: records to work with, and pages that show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from pacore.errors import Refused
from pacore.report.rendering.markup import MARKUP
from pacore.report.rendering.sheet import Sheet, to_json
from pacore.report.rendering.terminal import to_text

if TYPE_CHECKING:
    from pacore.report.rendering.plots import Figure

Data_co = TypeVar("Data_co", covariant=True)

Form = Literal["table", "markdown", "html", "latex", "json"]


@dataclass(frozen=True, slots=True, repr=False)
class Report(Generic[Data_co]):
    """A result: ``data`` are its records, ``sheets`` the pages that show them.

    `str` gives what a terminal shows, and a notebook shows it as HTML. ``drawing`` makes its figure.
    ``records`` are what is written as JSON where the pages show more than ``data``.
    """

    data: Data_co
    sheets: Sequence[Sheet]
    drawing: Callable[[], Figure] | None = None
    records: object = None

    def __str__(self) -> str:
        return "\n\n".join(map(to_text, self.sheets))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.written("html")

    def written(self, form: Form) -> str:
        """The result in a form, without an ending line break: for a terminal, as markup, or its records as
        JSON.
        """
        if form == "table":
            return str(self)
        if form == "json":
            return to_json(self.data if self.records is None else self.records)
        return "\n".join(map(MARKUP[form], self.sheets)).rstrip("\n")

    def figure(self) -> Figure:
        """The figure of the result, of matplotlib. Raises Refused for a result that has none."""
        if self.drawing is None:
            raise Refused("this report has no figure")
        return self.drawing()
