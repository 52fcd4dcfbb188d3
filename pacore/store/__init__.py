"""The store: bytes under keys, written whole or not at all.

Keys are ``/``-separated names below a root. Nothing is ever written through an open handle that a
reader could see: `put`, `put_file` and `put_new` take whole values. A local folder and object
storage are the two backends of one small protocol; nothing above it knows which it works on.
"""

from pacore.store.backends.local import LocalBackend
from pacore.store.backends.objects import ObjectBackend
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend, Reader, Stored
from pacore.store.backends.sources import open_source, source_faults, source_files, unread

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
