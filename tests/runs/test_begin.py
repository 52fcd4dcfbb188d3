"""What a process reads to begin a run, and that it reads it once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacore.errors import BadInput
from pacore.runs.context import close_context, context_of
from pacore.runs.problems import begin
from tests.fixtures.pipeline import scripted_config, write_problems


def test_a_run_that_this_process_has_open_is_not_read_a_second_time(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    config = scripted_config(tmp_path / "store", problems)
    run = begin(config)
    named = config.model_copy(update={"run_id": run.run_id})
    context_of(named, run.run_id)
    problems.unlink()
    try:
        assert begin(named) == run
        with pytest.raises(BadInput, match="no such file"):
            begin(named.model_copy(update={"limit": 1}))
    finally:
        close_context(named, run.run_id)
    with pytest.raises(BadInput, match="no such file"):
        begin(named)
