"""Mathematics as people and models write it, read into expressions. What is not understood is not read."""
