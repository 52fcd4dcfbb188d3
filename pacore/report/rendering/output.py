"""Where the result of a query goes: its form, and a file that is there only once it is whole."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pacore.errors import BadInput, PacoreError, Refused

TEXT_FORMS = ("table", "csv", "spreadsheet", "json", "jsonl")
COLUMNAR_FORMS = ("parquet", "arrow")
"""Forms that keep the types of columns; they are bytes, and need a file."""

ENDINGS = {
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
"""The form that a file's ending stands for; ``.feather`` is Arrow's name for its own files."""


def form_of(form: str | None, output: str | None) -> str:
    """The form of a result, given ``--format`` and ``--output``; either may be missing.

    Raises BadInput for a file whose ending says nothing, and for bytes without a file.
    """
    if output is None:
        if form in COLUMNAR_FORMS:
            raise BadInput(f"--format {form}: needs --output FILE")
        return form or TEXT_FORMS[0]
    found = form or ENDINGS.get(Path(output).suffix.lower())
    if found is None:
        endings = ", ".join(ENDINGS)
        raise BadInput(f"--output {output}: ends in none of {endings}; --format says what to write")
    return found


def check_output(output: str, is_replaced: bool) -> Path:
    """The file that ``output`` names, links followed, if it can be written there.

    Raises BadInput for what cannot be a file, Refused for one that is there unless ``is_replaced``.
    """
    named = f"--output {output}"
    if "://" in output:
        raise BadInput(f"{named}: is a URL; name a local file")
    target = Path(output).resolve()
    if not target.parent.is_dir():
        raise BadInput(f"{named}: there is no folder {Path(output).parent}")
    if target.is_dir():
        raise BadInput(f"{named}: is a folder; name a file")
    if target.exists() and not target.is_file():
        raise BadInput(f"{named}: is no plain file")
    if target.exists() and not is_replaced:
        raise Refused(f"{named}: is there already; --overwrite replaces it")
    return target


@contextmanager
def written_whole(output: str, is_replaced: bool) -> Iterator[str]:
    """A file beside ``output`` to write to, which takes that name once the context ends without an error.

    Otherwise it is deleted, and what was there before is untouched. Raises as `check_output` does,
    and PacoreError where the folder takes no file.
    """
    target = check_output(output, is_replaced)
    partial = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        try:
            partial.touch(exist_ok=False)
        except OSError as fault:
            raise PacoreError(f"--output {output}: cannot be written: {fault.strerror}") from fault
        yield str(partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        # Somebody may have written it while the query ran.
        check_output(output, is_replaced)
        partial.replace(target)
    finally:
        with suppress(OSError):
            partial.unlink()
