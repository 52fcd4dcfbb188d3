"""Installing: pip's settings said as uv's. And the demo's model: what is written of its GGUF file."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.demo.prepare_model import Gguf, Tensor, _bfloat16, _rotated
from infra.uv_environment import settings_in, uv_environment
from tests.conftest import ROOT

BEST = {"UV_INDEX_STRATEGY": "unsafe-best-match"}


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], {}),
        (["global.index-url='https://a/simple'"], {"UV_INDEX_URL": "https://a/simple"}),
        (
            ["global.index-url='https://a/simple'", "install.index-url='https://b/simple'"],
            {"UV_INDEX_URL": "https://b/simple"},
        ),
        (
            [":env:.index-url='https://c/simple'", "global.index-url='https://a/simple'"],
            {"UV_INDEX_URL": "https://c/simple"},
        ),
        (
            ["global.extra-index-url='\\nfile:///a/simple\\n  https://u:p@b/simple'"],
            {"UV_EXTRA_INDEX_URL": "file:///a/simple https://u:p@b/simple"},
        ),
        ([":env:.find-links='/a /b'"], {"UV_FIND_LINKS": "/a,/b"}),
        (["global.trusted-host='a b:8080'"], {"UV_INSECURE_HOST": "a b:8080"}),
        ([":env:.cert='/etc/ca.pem'"], {"SSL_CERT_FILE": "/etc/ca.pem"}),
        (
            ["global.proxy='http://p:1'", "global.timeout='60'"],
            {"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://p:1", "UV_HTTP_TIMEOUT": "60"},
        ),
        (["global.keyring-provider='auto'"], {}),
        (["global.keyring-provider='subprocess'"], {"UV_KEYRING_PROVIDER": "subprocess"}),
        (["global.no-index='false'"], {}),
        (["list.format='columns'", "download.index-url='https://no/'", "nonsense", "a.b=c="], {}),
    ],
)  # fmt: skip
def test_pips_settings_are_said_as_uvs(lines: list[str], found: dict[str, str]) -> None:
    assert uv_environment(settings_in(lines)) == BEST | found


@pytest.mark.parametrize("name", ["no-index", "only-binary", "no-binary", "require-hashes"])
def test_what_uv_has_no_variable_for_is_left_to_pip(name: str) -> None:
    with pytest.raises(ValueError, match=f"^pip is configured with {name}$"):
        uv_environment(settings_in([f"global.{name}='1'"]))


def test_variables_that_are_set_already_stand() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "infra" / "uv_environment.py")],
        input="global.index-url='https://a/simple'\nglobal.find-links='/a'\n",
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "UV_INDEX_URL": "https://mine/simple", "UV_FIND_LINKS": ""},
    )
    assert done.stdout.splitlines() == ["UV_INDEX_STRATEGY=unsafe-best-match", "UV_FIND_LINKS=/a"]


def packed(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def small_gguf(tensor: Tensor, data: bytes) -> bytes:
    """A file with three fields, one of them a list of texts, and one tensor."""
    fields = (
        packed("a") + struct.pack("<If", 6, 0.5),
        packed("b") + struct.pack("<IIQ", 9, 8, 2) + packed("x y") + packed("Ġ"),
        packed("c") + struct.pack("<IIQ3i", 9, 5, 3, 1, -2, 3),
    )
    dimensions = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape[::-1])
    whole = struct.pack("<4sIQQ", b"GGUF", 3, 1, len(fields)) + b"".join(fields)
    whole += packed(tensor.name) + dimensions + struct.pack("<IQ", tensor.kind, tensor.offset)
    return whole + b"\0" * (-len(whole) % 32) + data


def read(path: Path, tensor: Tensor, data: bytes) -> Gguf:
    import mmap

    path.write_bytes(small_gguf(tensor, data))
    with path.open("rb") as file:
        return Gguf(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def test_the_metadata_and_tensors_of_a_gguf_file_are_read(tmp_path: Path) -> None:
    plain = np.arange(6, dtype="<f4")
    gguf = read(tmp_path / "f32", Tensor("w", (2, 3), 0, 0), plain.tobytes())
    assert gguf.metadata == {"a": 0.5, "b": ["x y", "Ġ"], "c": [1, -2, 3]}
    assert gguf.tensors == [Tensor("w", (2, 3), 0, 0)]
    assert (gguf.weights(gguf.tensors[0]) == plain.reshape(2, 3)).all()


def test_blocks_of_four_and_eight_bits_are_unpacked(tmp_path: Path) -> None:
    nibbles = np.arange(32) % 16
    halves = (nibbles[:16] | nibbles[16:] << 4).astype("u1").tobytes()
    four = np.array([0.5, -1.0], dtype="<f2").tobytes() + halves
    gguf = read(tmp_path / "q4", Tensor("w", (32,), 3, 0), four)
    assert (gguf.weights(gguf.tensors[0]) == 0.5 * nibbles - 1.0).all()
    eight = np.array([2.0], dtype="<f2").tobytes() + np.arange(-16, 16, dtype="i1").tobytes()
    gguf = read(tmp_path / "q8", Tensor("w", (32,), 8, 0), eight)
    assert (gguf.weights(gguf.tensors[0]) == 2.0 * np.arange(-16, 16)).all()
    with pytest.raises(ValueError, match="is of type 14, which is not read here"):
        gguf.weights(Tensor("w", (32,), 14, 0))


def test_the_rows_of_a_head_come_in_halves_and_not_in_pairs() -> None:
    rows = np.arange(8, dtype=np.float32).reshape(8, 1)
    assert _rotated(rows, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_bfloat16_is_rounded_as_torch_rounds(weights: list[float]) -> None:
    import torch

    given_ = np.array(weights, dtype=np.float32)
    expected = torch.from_numpy(given_).to(torch.bfloat16).view(torch.int16).numpy().tobytes()
    assert _bfloat16(given_) == expected
