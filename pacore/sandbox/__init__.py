"""Runs untrusted text: computer algebra on answers, and programs against the tests of their problem.

    programs ── process ── bubblewrap ── inside: host (pid 1) ── one process per test: the program

A program's sandbox contains the program and its input, and no expected output: verdicts are made
outside, from the program's output. So there is no exit code, file, stack frame or descriptor that a
program could forge or read in order to pass.
"""
