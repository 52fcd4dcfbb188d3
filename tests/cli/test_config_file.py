"""Configuration files: what is read from YAML and TOML, and where each mistake in them is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pacore.cli.config_options import config_from
from pacore.core.config.run import RunConfig
from pacore.errors import BadInput

GIVEN = {"problems": "p.jsonl", "engine": "scripted"}


def read(folder: Path, name: str, text: str, **flags: Any) -> RunConfig:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return config_from({**GIVEN, **flags}, str(file))


def refusal(folder: Path, name: str, text: str, **flags: Any) -> str:
    with pytest.raises(BadInput) as caught:
        read(folder, name, text, **flags)
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "seed_root: 2026-11-29\nrevision: 0123456\nsystem: no\nstop: [1.50, yes]\n"),
        ("a.YML", "seed-root: 2026-11-29\nrevision: '0123456'\nsystem: 'no'\nstop: ['1.50', 'yes']\n"),
        ("a.toml", "seed_root = 2026-11-29\nrevision = '0123456'\nsystem = 'no'\nstop = ['1.50', 'yes']\n"),
    ],
)  # fmt: skip
def test_a_field_of_text_takes_what_is_written(tmp_path: Path, name: str, text: str) -> None:
    config = read(tmp_path, name, text)
    assert (config.seed_root, config.revision, config.system, config.stop) == (
        "2026-11-29", "0123456", "no", ("1.50", "yes"),
    )  # fmt: skip


def test_a_date_inside_a_value_is_text_and_numbers_stay_numbers(tmp_path: Path) -> None:
    for name, text in (
        ("a.yaml", "chat_template_options: {day: 2026-11-29, steps: [3, 2026-11-29]}\n"),
        ("a.toml", "[chat_template_options]\nday = 2026-11-29\nsteps = [3, 2026-11-29]\n"),
    ):
        given = read(tmp_path, name, text).chat_template_options
        assert given == {"day": "2026-11-29", "steps": [3, "2026-11-29"]}


@pytest.mark.parametrize("written", ["32,4", "'32, 4'", "[32, 4]"])
def test_widths_are_written_as_on_the_command_line_or_as_a_list(
    tmp_path: Path, written: str
) -> None:
    assert read(tmp_path, "a.yaml", f"widths: {written}\n").widths == (32, 4)
    assert read(tmp_path, "a.yaml", "widths: 4\n").widths == (4,)


def test_names_may_be_those_of_the_flags_and_one_value_need_be_no_list(tmp_path: Path) -> None:
    config = read(tmp_path, "a.yaml", "max-tokens: 64\nomit: seed\n")
    assert (config.max_tokens, config.omit) == (64, ("seed",))
    text = "endpoint: http://127.0.0.1:8000/v1\nmodel: m\n"
    assert read(tmp_path, "a.yaml", text, engine="http").endpoints == ("http://127.0.0.1:8000/v1",)


def test_a_value_that_is_left_empty_is_none(tmp_path: Path) -> None:
    config = read(tmp_path, "a.yaml", "revision:\nmax_tokens: ~\n")
    assert (config.revision, config.max_tokens) == (None, None)


REFUSED = {
    "max_token: 5\n": "a.yaml:1: max_token: is not a known name "
    "(did you mean max_tokens or max_tokens_total or max_tokens_problem?)",
    "# so\n\ntemp: 5\n": "a.yaml:3: temp: is not a known name (did you mean temperature?)",
    "colour: 5\n": "a.yaml:1: colour: is not a known name; pacore run --help lists them",
    "preset: hihg\n": "a.yaml:1: preset: must be one of single, low, medium, high (did you mean high?)",
    "preset: x\n": "a.yaml:1: preset: must be one of single, low, medium, high",
    "omit: [seed, tmperature]\n": "a.yaml:1: omit: value 2: must be one of seed, temperature, top_p "
    "(did you mean temperature?)",
    "concurrency: 0\n": "a.yaml:1: concurrency: must be at least 1",
    "top_p: 2\n": "a.yaml:1: top_p: must be at most 1.0",
    "temperature: hot\n": "a.yaml:1: temperature: must be a number",
    "limit: 1.5\n": "a.yaml:1: limit: must be a whole number",
    "tls_verify: maybe\n": "a.yaml:1: tls_verify: must be true or false",
    "widths: 32;4\n": "a.yaml:1: widths: must be whole numbers with commas between them, such as 32,4",
    "model: ''\n": "a.yaml:1: model: must not be empty",
    "run_id: 2026-11-29\n": "a.yaml:1: run_id: must begin with a letter, and after it have only "
    "letters, digits and . _ - (99 at most), such as r-2026-11-29 or nightly-{date}",
    "chat_template_options: 3\n": "a.yaml:1: chat_template_options: must be an object: names, each "
    "with a value",
    "summary_tokens: 5\n": "a.yaml:1: summary_tokens: compaction conclusion makes no summaries",
    "compaction: summary\n": "--summary-tokens: compaction summary needs it, to bound a summary",
    "limit: 1\nlimit: 2\n": "a.yaml:2: limit: is given in line 1 already",
    "limit: 1\n preset: low\n": "a.yaml:2: is not YAML: mapping values are not allowed here",
    "limit: [1\n": "a.yaml:2: is not YAML: expected ',' or ']', but got '<stream end>'",
    "? [a, b]\n: 3\n": "a.yaml:1: a list or an object is no name of a field",
    "- a\n": "a.yaml: must hold fields with values, such as 'preset: low'",
    "": "a.yaml: must hold fields with values, such as 'preset: low'",
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_a_mistake_in_yaml_is_told_with_its_line_and_what_may_be_meant(
    tmp_path: Path, text: str
) -> None:
    assert refusal(tmp_path, "a.yaml", text) == REFUSED[text]


REFUSED_TOML = {
    "\nmax_token = 5\n": "a.toml:2: max_token: is not a known name "
    "(did you mean max_tokens or max_tokens_total or max_tokens_problem?)",
    'model = "scripted"\npreset = "hihg"\n': "a.toml:2: preset: must be one of single, low, medium, "
    "high (did you mean high?)",
    "limit = 1\n[fields]\nproblm = 'x'\n": "a.toml:2: fields: 'problm' (did you mean problem?) is no "
    "part of a problem; parts are problem, answer, id, grader, options, without",
    "limit = \n": "a.toml:1: is not TOML: Invalid value",
    "limit = 1\nlimit = 2\n": "a.toml:2: is not TOML: Cannot overwrite a value",
    "limit = [1": "a.toml:1: is not TOML: Unclosed array",
    "revision = 5\n": "a.toml:1: revision: must be text",
}


@pytest.mark.parametrize("text", REFUSED_TOML)
def test_a_mistake_in_toml_is_told_with_its_line_and_what_may_be_meant(
    tmp_path: Path, text: str
) -> None:
    assert refusal(tmp_path, "a.toml", text) == REFUSED_TOML[text]


def test_each_wrong_field_has_a_line_and_a_flag_is_told_as_a_flag(tmp_path: Path) -> None:
    said = refusal(tmp_path, "a.yaml", "temperature: hot\nlimit: 0\n", top_p="2")
    assert said.splitlines() == [
        "a.yaml:2: limit: must be at least 1",
        "a.yaml:1: temperature: must be a number",
        "--top-p: must be at most 1.0",
    ]


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    def said(place: Path) -> str:
        with pytest.raises(BadInput) as caught:
            config_from(GIVEN, str(place))
        return str(caught.value).replace(f"{tmp_path}/", "")

    (tmp_path / "latin.yaml").write_bytes("system: Grüße\n".encode("latin-1"))
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "run.json").write_text("{}")
    assert said(tmp_path / "none.yaml") == "--config none.yaml: no such file"
    assert (
        said(tmp_path / "latin.yaml") == "--config latin.yaml: cannot be read: it is not UTF-8 text"
    )
    assert said(tmp_path / "folder.yaml") == "--config folder.yaml: cannot be read: is a directory"
    assert said(tmp_path / "run.json") == "--config run.json: must end in .yaml, .yml or .toml"


def test_what_was_typed_into_a_field_is_never_repeated(tmp_path: Path) -> None:
    secret = "sk-9f8e7d6c5b4a"
    for text in (
        f"preset: {secret}\n", f"limit: {secret}\n", f"widths: {secret}\n", f"run_id: '{secret}!'\n",
        f"api_key_env: {secret}\n",
    ):  # fmt: skip
        assert secret not in refusal(tmp_path, "a.yaml", text)
