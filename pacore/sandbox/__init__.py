"""Programs of other people's: run in a sandbox against the tests of their problem.

    testing ── sandbox ── bubblewrap ── inside: host (pid 1) ── one process a test: the program

A program's sandbox holds the program and what it is given, and nothing that says what is expected
of it: verdicts are made outside, from what comes out. So there is no exit code, file, frame or
descriptor that a program could forge or read to pass.
"""
