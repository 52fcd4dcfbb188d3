"""The catalogue of what can be queried, as pages."""

from __future__ import annotations

from collections.abc import Iterable

from pacore.report.rendering.sheet import (
    ABSENT,
    Facts,
    Heading,
    Note,
    Part,
    Sheet,
    SheetColumn,
    Table,
)
from pacore.warehouse.catalog import Group, Relation

HEADINGS: dict[Group, str] = {
    "table": "tables: what happened",
    "mart": "marts: what follows from it",
    "part": "parts: what the others are made of; they may change between versions",
}


def catalog_sheet(relations: Iterable[Relation]) -> Sheet:
    """Every relation with its sentence, by group."""
    grouped: dict[Group, list[tuple[str, str]]] = {group: [] for group in HEADINGS}
    for one in relations:
        grouped[one.group].append((one.name, one.sentence))
    sections: list[list[Part]] = [
        [Heading(HEADINGS[group]), Facts(listed)] for group, listed in grouped.items()
    ]
    hint = Note("pacore tables NAME lists the columns of one", "faint")
    return Sheet(None, [*sections, [hint]])


def relation_sheet(relation: Relation) -> Sheet:
    """One relation with its columns."""
    said = [Note(text) for text in (relation.sentence, relation.notes) if text]
    return Sheet(relation.name, [[_columns(relation)]], said)


def _columns(relation: Relation) -> Part:
    if not relation.columns:
        return Note(f'its columns: pacore query "DESCRIBE {relation.name}"', "faint")
    folded = [SheetColumn(title, is_folded=True) for title in ("type", "unit", "meaning")]
    rows = [(one.name, one.type, one.unit or ABSENT, one.meaning) for one in relation.columns]
    return Table([SheetColumn("column"), *folded], rows)
