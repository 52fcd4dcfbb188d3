"""Runs the command line as ``python -m pacore.cli``."""

from pacore.cli.main import main

main()
