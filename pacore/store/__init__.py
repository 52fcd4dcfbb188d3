"""The store: bytes under keys, written completely or not at all.

Keys are ``/``-separated names below a root. Nothing is ever written through an open handle that a
reader could see: `put`, `put_file` and `put_new` take whole values. A local folder and object
storage are the two backends of one small protocol; nothing above it knows which it works on.
"""
