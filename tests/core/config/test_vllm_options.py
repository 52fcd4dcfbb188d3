"""Arguments of a vLLM server: which are identity, how they are read, and which are refused."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pacore.core.config.run import RunConfig, differences, identity_digest
from pacore.core.config.vllm_options import (
    CONTENT,
    OPERATIONAL,
    OWN,
    SEVERAL,
    SHORT,
    identity_options,
    read_options,
    server_arguments,
)
from pacore.engine.checkpoint import checkpoint_dtype
from pacore.engine.vllm.server import MODULE, Launch, lacks_bfloat16, slow_dtype
from pacore.errors import BadInput, Refused
from pacore.runs.problems import begin
from pacore.store.run import Run
from tests.fixtures.pipeline import write_problems

OF_EARLIER_VERSIONS = {
    "swap-space", "max-num-partial-prefills", "max-long-partial-prefills", "max-seq-len-to-capture",
    "disable-frontend-multiprocessing", "disable-log-requests",
}  # fmt: skip


SHAPE_TEXT = (
    "--dtype=float32", "--quantization=awq", "--kv-cache-dtype=fp8", '--hf-overrides={"a": 1}',
    "--chat-template=chat.jinja", "--reasoning-parser=qwen3", "--max-model-len=8192",
    "--generation-config=auto", "--tokenizer=other", "--lora-modules=a=b",
    '--speculative-config={"method": "ngram"}', "--load-format=dummy", "--seed=3",
    "--trust-remote-code", "--an-option-of-tomorrow=1",
)  # fmt: skip

words = st.from_regex(r"[a-z0-9./{\[][a-z0-9 =./]{0,8}", fullmatch=True)


single = st.sampled_from([*sorted(OPERATIONAL - SEVERAL), "dtype", "max-model-len", "future"])


given_options = st.dictionaries(single, st.booleans() | words, max_size=5)


def written(options: dict[str, bool | str], random: Random) -> list[str]:
    """The options as some person may type them: any order, any spelling."""
    names = list(options)
    random.shuffle(names)
    found: list[str] = []
    for name in names:
        value = options[name]
        spelled = name.replace("-", "_") if random.random() < 0.5 else name
        if isinstance(value, bool):
            found.append(f"--{spelled}" if value else f"--no-{spelled}")
        elif random.random() < 0.5:
            found.append(f"--{spelled}={value}")
        else:
            found += [f"--{spelled}", value]
    return found


def config(*options: str, engine: str = "vllm") -> RunConfig:
    return RunConfig.model_validate(
        {"problems": "p.jsonl", "model": "m/m", "engine": engine, "vllm_options": options}
    )


@pytest.mark.parametrize("option", SHAPE_TEXT)
def test_an_option_that_shapes_text_is_identity(option: str) -> None:
    name = option.removeprefix("--").partition("=")[0]
    assert list(identity_options([option])) == [name]
    assert identity_digest(config(option).identity("d")) != identity_digest(config().identity("d"))


@pytest.mark.parametrize("name", sorted(OPERATIONAL))
def test_an_option_of_capacity_or_speed_changes_no_id(name: str) -> None:
    for option in (f"--{name}", f"--{name}=2", f"--no-{name}"):
        assert identity_options([option]) == {}
        assert config(option).recipe == config().recipe


def test_a_recipe_without_engine_options_has_the_digest_it_had_before_there_were_any() -> None:
    recipe = config("--enforce-eager").recipe
    assert "engine_options" not in recipe.as_json()
    assert recipe.digest == "a13a834fb2039356bad5566575c42807719647e2d5b421ea51a32451d7768616"


@given(given_options, st.randoms(use_true_random=False))
def test_order_and_spelling_make_no_difference(
    options: dict[str, bool | str], random: Random
) -> None:
    one, other = written(options, random), written(options, random)
    assert read_options(one) == read_options(other)
    assert list(read_options(one)) == sorted(options)
    assert config(*one).recipe.digest == config(*other).recipe.digest


@given(given_options, st.randoms(use_true_random=False))
def test_what_vllm_is_given_reads_the_same_again(
    options: dict[str, bool | str], random: Random
) -> None:
    read = read_options(written(options, random))
    arguments = server_arguments(written(options, random))
    assert read_options(arguments) == read
    assert all(argument.startswith("--") for argument in arguments)


def test_a_single_argument_may_hold_an_option_with_its_value() -> None:
    assert read_options(["--dtype float32"]) == read_options(["--dtype=float32"])
    assert read_options(["--lora-modules a=b"]) == {"lora-modules": ["a=b"]}
    assert read_options(["--watermark", "-1"]) == {"watermark": "-1"}


def test_json_is_compared_as_data() -> None:
    assert read_options(['--hf-overrides={"b":1,"a":[2]}']) == read_options(
        ["--hf-overrides", '{ "a": [2], "b": 1 }']
    )
    assert read_options(["--chat-template={{ x }}"]) == {"chat-template": "{{ x }}"}
    assert read_options(["--x=[NaN]"]) == {"x": "[NaN]"}


@pytest.mark.parametrize("name", sorted(OWN))
def test_an_option_that_is_pacores_own_is_refused_by_name(name: str) -> None:
    for option in (f"--{name}", f"--{name}=1", f"--{name.replace('-', '_')}"):
        with pytest.raises(BadInput) as refused:
            read_options([option])
        assert option.partition("=")[0] in str(refused.value)
        assert "\n" not in str(refused.value)
    with pytest.raises(ValidationError, match=f"--{name} cannot be given here"):
        config(f"--{name}=1")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--por=9000"], "--por cannot be given here"),
        (["-h"], "-h cannot be given here"),
        (["other-model"], "'other-model' is no option"),
        (["--enforce-eager", "a", "b"], "--enforce-eager takes one value, not 2"),
        (["--dtype=a", "--dtype", "b"], "--dtype is given twice"),
        (["--x", "--no-x"], "--x is given twice"),
        (["--no-x=1"], "--no-x takes no value"),
        (["-z", "1"], "'-z' is not known"),
        (["--"], "'--' is no option"),
        ([""], "'' is no option"),
    ],
)
def test_what_could_be_read_otherwise_by_vllm_is_refused(arguments: list[str], named: str) -> None:
    """A word that is no value would be another model's name; of two values one would be taken."""
    with pytest.raises(BadInput, match=re.escape(named)):
        read_options(arguments)


def test_a_word_after_a_switch_reaches_vllm_as_its_value_and_never_as_a_model() -> None:
    assert server_arguments(["--enforce-eager", "other-model"]) == ["--enforce-eager=other-model"]


def test_options_for_an_engine_that_starts_no_server_are_refused() -> None:
    with pytest.raises(ValidationError, match="engine scripted starts no vLLM server"):
        RunConfig.model_validate(
            {"problems": "p", "engine": "scripted", "vllm_options": ["--enforce-eager"]}
        )


def test_another_option_is_a_difference_named_by_itself() -> None:
    bare, short, long = (
        config(*options).identity("d")
        for options in ([], ["--max-model-len=512"], ["--max-model-len=1024", "--dtype=half"])
    )
    assert differences(bare, short) == ["recipe.engine_options.max-model-len: None -> '512'"]
    assert differences(short, long) == [
        "recipe.engine_options.dtype: None -> 'half'",
        "recipe.engine_options.max-model-len: '512' -> '1024'",
    ]
    assert differences(short, bare) == ["recipe.engine_options.max-model-len: '512' -> None"]


def test_a_run_refuses_to_go_on_with_other_options_that_shape_text_and_no_others(
    tmp_path: Path,
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")

    def begun(*options: str) -> Run:
        fields = {
            "problems": str(write_problems(tmp_path / "problems.jsonl", 2)),
            "model": str(tmp_path / "model"),
            "store": str(tmp_path / "store"),
        }
        return begin(
            RunConfig.model_validate(
                {**fields, "engine": "vllm", "run_id": "mine", "vllm_options": options}
            )
        )

    run = begun("--dtype=half", "--max-num-seqs=4")
    assert run.recipe.engine_options == {"dtype": "half"}
    assert begun("--gpu-memory-utilization", "0.5", "--dtype", "half") == run
    with pytest.raises(Refused, match=r"recipe\.engine_options\.dtype: 'half' -> 'float32'"):
        begun("--dtype=float32")
    with pytest.raises(Refused, match=r"recipe\.engine_options\.dtype: 'half' -> None"):
        begun()


def test_the_tables_of_options_do_not_contradict_each_other() -> None:
    assert not OPERATIONAL & OWN.keys()
    assert not OPERATIONAL & CONTENT
    assert not SEVERAL & OWN.keys()


@pytest.mark.slow
def test_the_tables_of_options_are_those_of_the_installed_vllm() -> None:
    said = subprocess.run(
        [sys.executable, "-P", "-m", MODULE, "--help=all"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    ).stdout
    lines = [line for line in said.splitlines() if re.match(r"  -\S", line)]
    known = set(re.findall(r"--([a-z0-9][\w-]*)", "\n".join(lines)))
    several = {
        match[1] for line in lines if (match := re.match(r"  --([\w-]+) (\S+) \[\2 \.\.\.\]", line))
    }
    assert OPERATIONAL - known <= OF_EARLIER_VERSIONS
    assert OWN.keys() - known <= {"help"}
    assert known >= CONTENT
    assert several == SEVERAL | {"api-key", "served-model-name"}
    for short, name in SHORT.items() - {("-O", "optimization-level")}:
        assert any(
            re.search(rf"--{name}\b", line) and re.search(rf"(?<=\s){short}\b", line)
            for line in lines
        ), short


@pytest.mark.parametrize(
    ("cpuinfo", "lacks"),
    [
        ("processor\t: 0\nflags\t\t: fpu sse2 avx avx2\n", True),
        ("flags\t\t: avx2 avx512f avx512_vnni\nflags\t\t: avx2 avx512f avx512_vnni\n", True),
        ("flags\t\t: avx2 avx512_bf16\nflags\t\t: avx2 avx512_bf16\n", False),
        ("flags\t\t: avx2 amx_bf16 amx_tile\n", False),
        ("flags\t\t: avx2 avx512_bf16\nflags\t\t: avx2\n", True),
        ("Features\t: fp asimd sve bf16\n", False),
        ("Features\t: fp asimd\n", True),
        ("model name\t: bf16\n", False),
        ("", False),
    ],
)
def test_a_cpu_without_bfloat16_is_known_by_its_flags(cpuinfo: str, lacks: bool) -> None:
    assert lacks_bfloat16(cpuinfo) == lacks


def test_a_dtype_that_is_named_is_not_talked_about(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"torch_dtype": "bfloat16"}')
    for options in (("--dtype", "bfloat16"), ("--dtype=auto",)):
        assert slow_dtype(Launch(str(tmp_path), options, None, tmp_path)) is None
    (tmp_path / "config.json").write_text('{"dtype": "float32"}')
    assert slow_dtype(Launch(str(tmp_path), (), None, tmp_path)) is None


@pytest.mark.parametrize(
    ("config", "dtype"),
    [
        ('{"dtype": "float32"}', "float32"),
        ('{"torch_dtype": "bfloat16"}', "bfloat16"),
        ("{}", None),
        ('{"dtype": 1}', None),
        ("[]", None),
        ("{", None),
    ],
)
def test_the_dtype_of_a_checkpoint_is_what_its_config_says(
    tmp_path: Path, config: str, dtype: str | None
) -> None:
    (tmp_path / "config.json").write_text(config)
    assert checkpoint_dtype(tmp_path) == dtype
