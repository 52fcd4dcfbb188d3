"""The command line of a run: it gives the run's settings back, whatever they are."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.cli.config_options import config_from
from pacore.cli.main import command_of
from pacore.core.config.command import resume_command_line, run_command_line
from pacore.core.config.run import RunConfig
from pacore.core.plan import PRESETS

TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8
)
SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "preset": st.sampled_from(sorted(PRESETS)),
    "replicates": st.integers(1, 4096),
    "limit": st.integers(1, 10**6),
    "fields": st.fixed_dictionaries({"problem": st.sampled_from(["Q", "a,b", "x y"])}),
    "chat_template_options": st.dictionaries(TEXTS, st.booleans() | st.integers(0, 9), max_size=2),
    "system": TEXTS,
    "temperature": st.floats(0, 10),
    "stop": st.lists(TEXTS, max_size=3).map(tuple),
    "omit": st.sampled_from([(), ("seed",)]),
    "min_messages": st.just((1,)) | st.just(1),
    "tls_verify": st.booleans(),
    "run_id": st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,20}", fullmatch=True),
    "timeout_seconds": st.floats(0.1, 1e6),
}


def parsed(line: str) -> RunConfig:
    """The configuration that a shell's line gives the command ``run``."""
    program, name, *arguments = shlex.split(line)
    assert program == "pacore"
    with command_of(name).make_context(name, arguments) as context:
        return config_from(dict(context.params), context.params.pop("config_file"))


@given(st.fixed_dictionaries({}, optional=SETTINGS))
def test_the_command_line_of_a_configuration_gives_that_configuration(
    given: dict[str, Any],
) -> None:
    if "min_messages" in given and given.get("preset") in ("single", "high"):
        del given["min_messages"]
    config = RunConfig.model_validate(
        {"problems": "my problems.jsonl", "model": "m", "endpoints": ("http://a/v1", "http://b/v1")}
        | given
    )
    assert parsed(run_command_line(config)) == config


@pytest.mark.parametrize("widths", [(), (4,), (32, 4)])
def test_widths_and_options_of_a_server_are_in_the_command_line(widths: tuple[int, ...]) -> None:
    config = RunConfig(
        problems="p.jsonl", model="m", engine="vllm", widths=widths,
        vllm_options=("--dtype=float32", "--enforce-eager"),
    )  # fmt: skip
    assert parsed(run_command_line(config)) == config
    assert "--temperature" not in run_command_line(config), "defaults are left out"


def test_a_store_is_named_in_a_command_line_unless_it_is_the_default_one() -> None:
    assert resume_command_line("./store", "mine") == "pacore resume mine"
    assert resume_command_line("s3://b/a b", "mine") == "pacore resume --store 's3://b/a b' mine"


def test_date_and_time_of_the_start_are_replaced_in_utc() -> None:
    config = RunConfig(
        problems="p", engine="scripted", run_id="n-{date}-{time}", seed_root="night {date}"
    )
    late = datetime(2026, 11, 29, 23, 30, 5, tzinfo=timezone(timedelta(hours=-2)))
    dated = config.at(late)
    assert (dated.run_id, dated.seed_root) == ("n-20261130-013005", "night 20261130")
    assert dated.at(datetime.now(UTC)) is dated
    assert config.recipe.digest != dated.recipe.digest


@pytest.mark.parametrize("run_id", ["{date}", "n-{day}", "n-{date", "n-{}"])
def test_a_run_id_with_another_pattern_is_refused(run_id: str) -> None:
    with pytest.raises(ValueError, match="run_id"):
        RunConfig(problems="p", engine="scripted", run_id=run_id)


def test_the_command_is_one_that_click_knows() -> None:
    assert isinstance(command_of("resume"), click.Command)
