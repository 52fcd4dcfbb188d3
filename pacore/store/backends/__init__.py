"""Where the bytes of a store are: a folder, object storage, and other people's files to read."""
