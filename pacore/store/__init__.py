"""The store: bytes under keys, written whole or not at all.

Keys are ``/``-separated names below a root. Nothing is ever written through an open handle that a
reader could see: `put`, `put_file` and `put_new` take whole values. A local folder and object
storage are the two backends of one small protocol; nothing above it knows which it works on.
"""

from pacore.store.local import LocalBackend
from pacore.store.objects import ObjectBackend
from pacore.store.opening import open_store
from pacore.store.protocol import Backend, Reader, Stored
from pacore.store.sources import open_source, source_faults, source_files, unread

__all__ = [
    "Backend",
    "LocalBackend",
    "ObjectBackend",
    "Reader",
    "Stored",
    "open_source",
    "open_store",
    "source_faults",
    "source_files",
    "unread",
]
