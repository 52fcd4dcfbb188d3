"""What a local checkpoint is called and recorded as."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.engine.checkpoint import checkpoint_folder, checkpoint_revision, served_name
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
