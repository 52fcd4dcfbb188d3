"""Files outside a store: found below a folder or by a pattern, and opened for reading.

An address is a path or any URL that fsspec knows, chains such as ``zip://rows.csv::s3://…`` too. Why
one cannot be read is said in a line, with the package that is missing or what the server answers, and
never with an address's secrets.
"""

from __future__ import annotations

import glob
import ipaddress
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from pacore.errors import BadInput
from pacore.store.backends.faults import Kind, meaning_of
from pacore.store.backends.local import near_places
from pacore.text import secret_in, shown

_PATTERN = re.compile(r"[*?\[]")

_LOCAL, _LISTS_NOTHING = ("", "file", "local"), ("http", "https", "data")

_NO_ROWS = frozenset(("readme", "license", "licence", "dataset_infos", "dataset_info", "state"))
"""Files other than rows in repositories of data sets, by their names without their endings."""

_FOREIGN: tuple[tuple[str, str], ...] = (
    ("aiohttp", "ClientError"),
    ("httpx", "HTTPError"),
    ("httpx2", "HTTPError"),
    ("requests.exceptions", "RequestException"),
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("huggingface_hub.errors", "HfHubHTTPError"),
    ("gcsfs.retry", "HttpError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("azure.core.exceptions", "AzureError"),
    ("paramiko.ssh_exception", "SSHException"),
    ("smbprotocol.exceptions", "SMBException"),
    ("zipfile", "BadZipFile"),
    ("tarfile", "TarError"),
)
"""What file systems raise besides OSError, by the module of the library it comes from."""

_PACKAGES = {"smbclient": "smbprotocol", "gdrive_fs": "gdrive_fsspec", "dropbox": "dropboxdrivefs"}
"""Packages that are not called as the module in them."""

_UNREACHED = re.compile(
    "ClientConnector.*|(Connect|Proxy|NewConnection|EndpointConnection|Connection|NameResolution)Error"
    "|gaierror|.*Connect(ion)?Timeout(Error)?|ServerTimeoutError|ConnectionRefusedError|MaxRetryError"
)


def source_faults() -> tuple[type[BaseException], ...]:
    """What reading other people's files raises, of the libraries that are loaded by now."""
    loaded = [(sys.modules[module], name) for module, name in _FOREIGN if module in sys.modules]
    return (OSError, *(getattr(module, name) for module, name in loaded if hasattr(module, name)))


def _opening_faults() -> tuple[type[BaseException], ...]:
    """And what their file systems raise for an address that they cannot take."""
    return (ImportError, ValueError, KeyError, NotImplementedError, *source_faults())


@contextmanager
def open_source(url: str) -> Iterator[BinaryIO]:
    """Open someone else's file for reading, local or any fsspec URL.

    Raises BadInput naming the URL when it cannot be opened.
    """
    try:
        if _scheme(url) in _LOCAL:
            # Not through fsspec, which cannot read from a pipe.
            opened: Any = _local_path(url).open("rb")
        else:
            import fsspec

            # An archive is closed with its file system, which has to last as long as the file.
            files, path = fsspec.core.url_to_fs(url, **_options(url))
            opened = files.open(path, "rb")
    except _opening_faults() as fault:
        raise BadInput(unread(url, fault)) from fault
    with opened:
        yield cast(BinaryIO, opened)


def _options(url: str) -> dict[str, Any]:
    """Requests to web servers use the proxy that the environment names; those to this machine do not."""
    if _scheme(url) not in ("http", "https"):
        return {}
    host = urlsplit(url).hostname or ""
    try:
        is_here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = host == "localhost" or host.endswith(".localhost")
    return {} if is_here else {"client_kwargs": {"trust_env": True}}


def _scheme(url: str) -> str:
    """The scheme of an address, in lower case; empty for a path."""
    return url.partition("://")[0].lower() if "://" in url else ""


def _local_path(url: str) -> Path:
    return Path(url.partition("://")[2] if "://" in url else url).expanduser()


def source_files(url: str, is_wanted: Callable[[str], bool]) -> list[str]:
    """The files an address names: itself, or those below a folder or of a pattern, sorted.

    Of folders and patterns only files are taken whose name ``is_wanted``, none that is hidden or
    begins with ``_``. Raises BadInput where nothing is left, and where the place cannot be listed.
    """
    scheme = _scheme(url)
    if scheme in _LISTS_NOTHING:
        return [url]
    try:
        listed = _local_files(url) if scheme in _LOCAL else _remote_files(url)
    except _opening_faults() as fault:
        raise BadInput(unread(url, fault)) from fault
    if listed is None:
        return [url]
    found = sorted(one for one, below in listed if _is_shown(below) and is_wanted(below))
    if not found:
        raise BadInput(f"{_named(url)}: {_nothing(url, [below for _, below in listed])}")
    return found


def _nothing(url: str, there: list[str]) -> str:
    """That an address names no file of rows, and what it does name."""
    names = sorted({PurePosixPath(below).name for below in there})
    is_pattern = _PATTERN.search(url) is not None
    what = f"there is {', '.join(names[:5])}{', …' if names[5:] else ''}"
    if not names:
        what = "nothing matches" if is_pattern else "it is empty"
    kind = "no file" if is_pattern else "a folder without a file"
    return f"{kind} of rows (JSONL, JSON, CSV, TSV or Parquet); {what}"


def _is_shown(path: str) -> bool:
    parts = PurePosixPath(path).parts
    is_hidden = any(part.startswith((".", "_")) for part in parts)
    return not is_hidden and PurePosixPath(path).name.partition(".")[0].lower() not in _NO_ROWS


Listed = list[tuple[str, str]]
"""Files by their address, each with its path below what was listed."""


def _local_files(url: str) -> Listed | None:
    """None for an address of one file. A file whose name looks like a pattern is that file."""
    place = _local_path(url)
    if place.is_dir():
        return [(str(path), str(path.relative_to(place))) for path in _walked(place)]
    if not _PATTERN.search(str(place)) or place.exists():
        return None
    found = [Path(one) for one in glob.iglob(str(place), recursive=True)]
    # A folder that a pattern names stands for what is in it, unless the pattern goes into it itself.
    below = [path for folder in found if folder.is_dir() for path in _walked(folder)]
    paths = {path for path in found if path.is_file()} | set(() if "**" in str(place) else below)
    return [(str(path), _below(str(place), str(path))) for path in paths]


def _walked(folder: Path) -> Iterator[Path]:
    return (Path(there) / name for there, _, names in os.walk(folder) for name in names)


def _below(pattern: str, path: str) -> str:
    """A path without the part of its pattern that says where to look."""
    fixed = pattern[: _PATTERN.search(pattern).start()] if _PATTERN.search(pattern) else pattern  # type: ignore[union-attr]  # searched twice
    return path[fixed.rfind("/") + 1 :]


def _remote_files(url: str) -> Listed | None:
    """None for an address of one file, which is what one is that ends as files do."""
    import fsspec

    files, path = fsspec.core.url_to_fs(url)
    first, chained, rest = url.partition("::")
    if _PATTERN.search(first):
        found = [(one, _below(path, one)) for one in files.glob(path)]
    elif PurePosixPath(path).suffix and not path.endswith("/"):
        return None
    elif files.isdir(path):
        found = [(one, one[len(path) :].lstrip("/")) for one in files.find(path)]
    else:
        return None
    scheme = first.partition("://")[0]
    return [(f"{scheme}://{one.lstrip('/')}{chained}{rest}", below) for one, below in found]


def unread(url: str, fault: BaseException) -> str:
    """Why an address cannot be read, in one line that names it."""
    why = _why(url, fault)
    return f"{_named(url)}: {why}"


def _named(url: str) -> str:
    return shown(url) if secret_in(url) else url


def _why(url: str, fault: BaseException) -> str:
    links = list(_chain(fault))
    scheme = _scheme(url)
    if any(isinstance(link, ImportError) for link in links):
        modules = [name for link in links if (name := getattr(link, "name", None))]
        module = str(modules[-1]).partition(".")[0] if modules else "for it"
        package = _PACKAGES.get(module, module)
        return f"{scheme}:// needs the package {package}: pip install {package}"
    if isinstance(fault, ValueError) and "rotocol not known" in str(fault):
        return f"cannot be opened: nothing here knows {scheme}://"
    names = [kind.__name__ for link in links for kind in type(link).__mro__]
    if any(name == "OfflineModeIsEnabled" for name in names):
        return "cannot be opened: HF_HUB_OFFLINE is set, so nothing is fetched from the hub"
    if (status := next(filter(None, map(_status, links)), None)) is not None:
        return _of_status(status, scheme)
    if scheme in ("s3", "s3a"):
        meaning = meaning_of(fault)
        return (
            "no such file" if meaning.kind == Kind.ABSENT else f"cannot be opened: {meaning.reason}"
        )
    if any(_UNREACHED.fullmatch(name) for name in names):
        return "cannot be opened: the server cannot be reached; is this machine offline?"
    if isinstance(fault, FileNotFoundError | KeyError):
        return "no such file" + (near_places(str(_local_path(url))) if scheme in _LOCAL else "")
    return f"cannot be opened: {_own_words(fault, is_local=scheme in _LOCAL)}"


def _chain(fault: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while fault is not None and id(fault) not in seen:
        seen.add(id(fault))
        yield fault
        fault = fault.__cause__ or fault.__context__


def _status(link: BaseException) -> int | None:
    """The HTTP status that a fault comes from, where it says one."""
    for holder, name in (
        (link, "status"),
        (getattr(link, "response", None), "status_code"),
        (link, "code"),
    ):
        found = getattr(holder, name, None)
        if isinstance(found, int) and 400 <= found < 600:
            return found
    return None


def _of_status(status: int, scheme: str) -> str:
    if status in (404, 410):
        return "no such file"
    if status in (401, 403):
        login = "; log in with `hf auth login`, and accept the data set's terms" * (scheme == "hf")
        return f"cannot be opened: access is refused (HTTP {status}){login}"
    return f"cannot be opened: the server answers HTTP {status}"


def _own_words(fault: BaseException, *, is_local: bool) -> str:
    """The text of a fault; of a remote one its class alone, since its text may have a signed URL in it."""
    if isinstance(fault, OSError) and fault.strerror:
        return fault.strerror[:1].lower() + fault.strerror[1:]
    if type(fault).__name__ in ("BadZipFile", "ReadError"):
        return "the archive is damaged or cut short"
    words = str(fault).splitlines()
    is_own = is_local or type(fault) in (ValueError, NotImplementedError)
    return words[0][:200] if is_own and words else f"it fails with {type(fault).__name__}"
