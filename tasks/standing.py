"""Processes that are started once and left running: each has a record and a log in the state folder.

The Prefect server is one, and the worker of `pacore up` another. Only the process that was recorded is
ever signalled, not one that has its id now.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pacore.errors import ServerUnavailable
from pacore.home import state_folder, state_path, usable
from pacore.processes import ProcessMark, end_group, has_ended, is_running_here, mark_of

STOP_SECONDS = 30.0
"""How long a process has to end after SIGTERM, and again after SIGKILL."""

_started: list[subprocess.Popen[bytes]] = []
"""What this process started: it outlives it, and is kept from being waited for at its end."""


def folder_path() -> Path:
    """The folder of records, logs and the server's database; it need not exist."""
    return state_path() / "prefect"


@contextmanager
def only_one() -> Iterator[Path]:
    """Hold the lock of the folder: two commands at once start one server, and one worker."""
    folder = state_folder("prefect")
    with usable(folder):
        lock = (folder / "lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@dataclass(frozen=True, slots=True)
class Standing:
    """A standing process as its record has it.

    ``url`` is the address of the Prefect API that it is or works for, ``notes`` what else was written down.
    """

    url: str
    process: ProcessMark | None
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_running(self) -> bool:
        """Whether its process runs on this machine. Another one that has its id now does not count."""
        return self.process is not None and is_running_here(self.process)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the record and the log of one standing process are, by its name: ``server``, ``worker``."""

    name: str

    @property
    def log(self) -> Path:
        return folder_path() / f"{self.name}.log"

    @property
    def _record(self) -> Path:
        return folder_path() / f"{self.name}.json"

    def recorded(self) -> Standing | None:
        """What is recorded; None where there is nothing, or nothing that can be read."""
        try:
            record = json.loads(self._record.read_text())
            process = ProcessMark(**record["process"]) if "process" in record else None
            return Standing(str(record["url"]), process, dict(record.get("notes", {})))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
        except (ValueError, KeyError, TypeError):
            return None

    def launch(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        standing: tuple[str, Mapping[str, str]],
    ) -> subprocess.Popen[bytes]:
        """Start a process in a session of its own, in ``folder``, and record it at once: it outlives this
        one. ``standing`` is the URL and the notes of its record.

        Secrets belong in ``environment``: the command is in every list of processes, the record is a file.
        """
        with usable(folder_path()):
            with self.log.open("ab") as output:
                process = subprocess.Popen(
                    command,
                    env=dict(environment),
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            mark = mark_of(process.pid)
            known = {} if mark is None else {"process": asdict(mark)}
            url, notes = standing
            self._record.write_text(json.dumps({"url": url, **known, "notes": dict(notes)}))
        _started.append(process)
        return process

    def end(self) -> Standing | None:
        """End the process, and forget it; None where it did not run on this machine.

        Hold `only_one` meanwhile. Raises ServerUnavailable where it does not end.
        """
        found = self.recorded()
        if found is None or found.process is None or not found.is_running:
            # A record of another machine stays.
            if (
                found is None
                or found.process is None
                or has_ended(found.process, is_one_machine=True)
            ):
                self._record.unlink(missing_ok=True)
            return None
        is_gone = end_group(found.process, STOP_SECONDS)
        for process in _started:
            if process.pid == found.process.pid and is_gone:
                process.wait()
        if not is_gone:
            raise ServerUnavailable(
                f"the local Prefect {self.name} does not end: process {found.process.pid} takes no signal"
            )
        self._record.unlink()
        return found
