"""What a local checkpoint is called and recorded as."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.config.run import RunConfig
from pacore.engine.checkpoint import checkpoint_folder, checkpoint_revision, served_name
from pacore.engine.opening import resolve_recipe
from pacore.errors import BadInput

FILES = {
    "config.json": "{}",
    "tokenizer.json": "[1]",
    "chat_template.jinja": "{{ messages }}",
    "model.safetensors": "weights",
    "additional_chat_templates/tools.jinja": "{{ tools }}",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_copy_elsewhere_under_another_name_has_the_same_revision(tmp_path: Path) -> None:
    first = checkpoint_revision(write(tmp_path / "first", FILES))
    second = checkpoint_revision(write(tmp_path / "far" / "second", dict(reversed(FILES.items()))))
    assert first == second
    assert len(first) == 64


@pytest.mark.parametrize("name", FILES)
def test_another_byte_in_any_file_is_another_revision(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path, FILES)
    before = checkpoint_revision(folder)
    write(folder, {name: FILES[name] + " "})
    assert checkpoint_revision(folder) != before


@given(texts=st.lists(st.text("ab", max_size=3), min_size=2, max_size=2))
def test_bytes_moved_from_one_file_to_another_are_another_revision(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    def revision(left: str, right: str) -> str:
        files = {"config.json": "{}", "a.safetensors": left, "b.safetensors": right}
        return checkpoint_revision(write(tmp_path_factory.mktemp("checkpoint"), files))

    left, right = texts
    moved = revision(left + "c", right) == revision(left, "c" + right)
    assert not moved


def test_a_file_under_another_name_is_another_revision(tmp_path: Path) -> None:
    folder = write(tmp_path, FILES)
    before = checkpoint_revision(folder)
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    assert checkpoint_revision(folder) != before


def test_what_no_server_reads_takes_no_part(tmp_path: Path) -> None:
    folder = write(tmp_path, FILES)
    before = checkpoint_revision(folder)
    write(folder, {"README.md": "read me", ".cache/config.json": "{}", ".gitattributes": ""})
    assert checkpoint_revision(folder) == before


def test_weights_behind_links_count_like_weights(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole", FILES)
    linked = write(tmp_path / "linked", {**FILES, "model.safetensors": ""})
    (linked / "model.safetensors").unlink()
    (linked / "model.safetensors").symlink_to(whole / "model.safetensors")
    assert checkpoint_revision(linked) == checkpoint_revision(whole)


def test_a_folder_without_a_configuration_is_no_checkpoint(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", {"model.safetensors": "weights"})
    with pytest.raises(BadInput, match=r"model.*no config\.json"):
        checkpoint_revision(folder)
    with pytest.raises(BadInput, match=r"model.*no config\.json"):
        checkpoint_folder(str(folder))


def settled(folder: Path) -> Path:
    """The files as they are minutes later: what is older than its last change may be known."""
    time.sleep(2.1)
    return folder


@pytest.mark.slow
def test_a_known_checkpoint_is_not_read_again_and_a_changed_one_is(tmp_path: Path) -> None:
    known = tmp_path / "known"
    folder = settled(write(tmp_path / "model", FILES))
    first = checkpoint_revision(folder, known)
    (kept,) = known.iterdir()
    record = json.loads(kept.read_text())
    assert record["digest"] == first
    kept.write_text(json.dumps({**record, "digest": "d" * 64}))
    assert checkpoint_revision(folder, known) == "d" * 64
    for damage in ("", "[]", "{", json.dumps({**record, "digest": 3})):
        kept.write_text(damage)
        assert checkpoint_revision(folder, known) == first
    weights = folder / "model.safetensors"
    was = weights.stat()
    weights.write_text("WEIGHTS")
    os.utime(weights, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert (weights.stat().st_size, weights.stat().st_mtime_ns) == (was.st_size, was.st_mtime_ns)
    assert checkpoint_revision(folder, known) not in (first, "d" * 64)
    settled(folder)
    second = checkpoint_revision(folder, known)
    assert json.loads(kept.read_text())["digest"] == second == checkpoint_revision(folder)


def test_a_checkpoint_that_changed_a_moment_ago_is_not_taken_for_known(tmp_path: Path) -> None:
    known = tmp_path / "known"
    folder = write(tmp_path / "model", FILES)
    checkpoint_revision(folder, known)
    assert not known.exists()


def vllm_config(model: Path, *options: str) -> RunConfig:
    return RunConfig(problems="p", engine="vllm", model=str(model), vllm_options=options)


def test_a_file_that_an_option_names_counts_as_what_is_in_it(tmp_path: Path) -> None:
    model = write(tmp_path / "model", FILES)
    one, copy, other = (tmp_path / f"{name}.jinja" for name in ("one", "copy", "other"))
    for path, text in ((one, "same"), (copy, "same"), (other, "different")):
        path.write_text(text)
    digests = {
        path: resolve_recipe(vllm_config(model, f"--chat-template={path}")).digest
        for path in (one, copy, other)
    }
    assert digests[one] == digests[copy] != digests[other]
    adapters = [
        resolve_recipe(vllm_config(model, "--lora-modules", f"a={write(tmp_path / name, FILES)}"))
        for name in ("adapter", "moved")
    ]
    assert adapters[0] == adapters[1]
    (named,) = cast(list[str], adapters[0].engine_options["lora-modules"])
    assert named.startswith("a=sha256:")


@pytest.mark.parametrize("value", ["auto", "vllm", "", "{{ messages }}", "x" * 5000])
def test_an_option_that_names_no_file_counts_as_its_text(tmp_path: Path, value: str) -> None:
    config = vllm_config(write(tmp_path / "model", FILES), f"--chat-template={value}")
    assert resolve_recipe(config).engine_options == {"chat-template": value}


def test_a_local_model_is_served_under_its_folders_name(tmp_path: Path) -> None:
    folder = write(tmp_path / "SmolLM2-135M-Instruct", FILES)
    assert served_name(str(folder)) == "SmolLM2-135M-Instruct"
    assert served_name(f"{folder}/") == "SmolLM2-135M-Instruct"
    assert served_name(f"{folder}/../{folder.name}/.") == "SmolLM2-135M-Instruct"


def test_a_name_on_the_hub_stays_as_it_is() -> None:
    assert (
        served_name("HuggingFaceTB/SmolLM2-135M-Instruct") == "HuggingFaceTB/SmolLM2-135M-Instruct"
    )
    assert checkpoint_folder("HuggingFaceTB/SmolLM2-135M-Instruct") is None


@pytest.mark.parametrize("model", ["./absent", "/absent/model", "~/absent", ".models/absent"])
def test_a_path_to_nowhere_is_bad_input_that_names_it(model: str) -> None:
    with pytest.raises(BadInput, match="no such folder") as raised:
        served_name(model)
    assert model in str(raised.value)
