"""What an export holds, as records: a row of each format, and what its checks need of the manifest.

Rows are written from these records and read as them. Reading is strict: a field that is missing, of another
type or not one of the format is BadInput, which names the file, the line and the field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from pacore.core.problem import ROLES
from pacore.core.validation import first_fault
from pacore.errors import BadInput
from pacore.text import visible

ChatTurn = dict[str, str]
"""A turn as chat templates take it: ``role``, ``content``, and perhaps ``reasoning_content``."""


def _are_turns(turns: list[ChatTurn]) -> list[ChatTurn]:
    for turn in turns:
        if turn.get("role") not in ROLES or "content" not in turn:
            raise ValueError("must be turns, each with a role and a content")
        if not turn.keys() <= {"role", "content", "reasoning_content"}:
            raise ValueError("must be turns, which have no other fields")
    return turns


ChatTurns = Annotated[list[ChatTurn], Field(min_length=1), AfterValidator(_are_turns)]

Texts = Annotated[list[str], Field(min_length=1)]


class ExportRow:
    """What the records of rows inherit from; each is a frozen dataclass with slots."""

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    @property
    def as_json(self) -> dict[str, object]:
        """The JSON object of a row."""
        assert is_dataclass(self)
        return asdict(self)


@dataclass(frozen=True, slots=True)
class PoolDetails:
    """``extra_info`` of a pool: the problem, and its messages with their scores and trajectories.

    ``observation`` is the place, from the end, of the turn that P(x, M) replaces. ``pool_observed``
    trajectories have a score and ``pool_right`` are right; those without a message are not listed.
    """

    index: int
    split: str
    problem_id: str
    stage: str
    problem: str
    turns: list[ChatTurn]
    observation: int
    grader: str
    message_pool: list[str]
    message_acc: list[float]
    message_ids: list[str]
    pool_right: int
    pool_observed: int
    pool_model: str
    source: str
    licence: str
    pacore_version: str

    @property
    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ExportedPool:
    """A problem with its pool of messages, as verl reads it; ``prompt`` is empty where it was not read."""

    data_source: str
    prompt: list[ChatTurn]
    ability: str
    reward_model: dict[str, str]
    extra_info: PoolDetails

    @classmethod
    def of(cls, row: Mapping[str, Any], file: str) -> ExportedPool:
        """A row of a pool file, with or without its prompt. Raises BadInput for a field that is missing."""
        try:
            given = row["extra_info"]
            details = PoolDetails(**{one.name: given[one.name] for one in fields(PoolDetails)})
            return cls(
                row["data_source"],
                row.get("prompt", []),
                row["ability"],
                row["reward_model"],
                details,
            )
        except KeyError as missing:
            raise BadInput(f"{file}: is no pool file: it has no {missing.args[0]}") from None

    @property
    def gold(self) -> str:
        return self.reward_model["ground_truth"]

    @property
    def grader(self) -> str:
        return self.extra_info.grader


@dataclass(frozen=True, slots=True)
class TrainRow(ExportRow):
    """A row as those of the published PaCoRe-Train; ``grader`` is named where the problem names one."""

    id: str
    conversation: ChatTurns
    responses: Texts
    ground_truth: str
    grader: str | None = None

    @property
    def as_json(self) -> dict[str, object]:
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Visit(ExportRow):
    """A visit to a problem: the epoch, the trajectories of M in the prompt's order, how many are right."""

    problem_id: str
    epoch: int
    message_ids: Texts
    right_messages: int


@dataclass(frozen=True, slots=True)
class OpenRlhfRow(ExportRow):
    """A visit as OpenRLHF reads it; ``label`` has the gold answer and the grader."""

    prompt: ChatTurns
    label: str
    problem_id: str
    epoch: int
    message_ids: Texts
    right_messages: int


@dataclass(frozen=True, slots=True)
class SlimeRow(ExportRow):
    """A visit as slime reads it; ``label`` has the gold answer and the grader."""

    prompt: ChatTurns
    label: str
    metadata: Visit


@dataclass(frozen=True, slots=True)
class GrpoRow(ExportRow):
    """A visit as TRL's GRPO reads it."""

    prompt: ChatTurns
    gold: str
    grader: str
    problem_id: str
    epoch: int
    message_ids: Texts
    right_messages: int


@dataclass(frozen=True, slots=True)
class SftRow(ExportRow):
    """A prompt and a right trajectory of it, as TRL's SFT reads it."""

    prompt: ChatTurns
    completion: ChatTurns
    problem_id: str
    trajectory_id: str
    message_ids: Texts
    gold: str
    grader: str
    score: float
    completion_tokens: int | None


@dataclass(frozen=True, slots=True)
class PreferenceRow(ExportRow):
    """A right and a wrong trajectory of one prompt, as TRL reads preferences; ids are of the right one."""

    prompt: ChatTurns
    chosen: ChatTurns
    rejected: ChatTurns
    rejected_id: str
    rejected_score: float
    problem_id: str
    trajectory_id: str
    message_ids: Texts
    gold: str
    grader: str
    score: float
    completion_tokens: int | None


LINE_ROWS: Mapping[str, type[ExportRow]] = {
    "pacore-train": TrainRow,
    "openrlhf": OpenRlhfRow,
    "slime": SlimeRow,
    "trl-grpo": GrpoRow,
    "trl-sft": SftRow,
    "trl-preference": PreferenceRow,
}
"""What a line of the data file is, by the format; the other formats have pools alone."""


@dataclass(frozen=True, slots=True)
class StatedSettings:
    """Of the settings of an export: the range of |M|."""

    sizes: tuple[int, int]


@dataclass(frozen=True, slots=True)
class StatedExport:
    """Of the manifest what is needed where an export is used; see `TrainingManifest`."""

    format: str
    rows: int
    data: str
    pools: str | None
    versions: dict[str, str]
    settings: StatedSettings


_Kind = TypeVar("_Kind")
_Row = TypeVar("_Row", bound=ExportRow)


_adapters: dict[type, TypeAdapter[Any]] = {}


def _adapter(kind: type) -> TypeAdapter[Any]:
    """What checks records of a kind; making one takes milliseconds, so each is kept."""
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def strict_record(kind: type[_Kind], data: str | bytes, place: str) -> _Kind:
    """The record that a JSON object is. Raises BadInput, which names ``place`` and the field."""
    try:
        record: _Kind = _adapter(kind).validate_json(data, strict=True)
    except ValidationError as invalid:
        raise BadInput(f"{place}: {visible(str(first_fault(invalid)))}") from None
    return record


def line_places(path: Path) -> Iterator[tuple[str, bytes]]:
    """Each line of a file of JSON lines, with its place: the file's name and its number."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            yield f"{path.name}:{number}", line


def read_lines(path: Path, kind: type[_Row]) -> Iterator[_Row]:
    """The rows of a file of JSON lines. Raises as `strict_record`."""
    for place, line in line_places(path):
        yield strict_record(kind, line, place)


def stated_export(folder: Path) -> StatedExport:
    """What the manifest of an export says. Raises as `strict_record`."""
    return strict_record(StatedExport, (folder / "training.json").read_bytes(), "training.json")
