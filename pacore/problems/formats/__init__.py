"""The formats of files that hold rows, and what their bytes say."""
