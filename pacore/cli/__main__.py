"""Runs the command line as ``python -m pacore.cli``."""

import sys

from pacore.cli.main import main

sys.exit(main())
