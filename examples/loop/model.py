"""A language model of 0.2 million parameters whose vocabulary is read from the prompts it will see.

Every stretch of text between digits is one token, as is each heading of a reference, and every digit is
one. So a prompt of the published template with eight references has about 60 tokens and not 400, and a
CPU learns from it in minutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel, PreTrainedTokenizerFast

PAD, UNKNOWN, START, REPLY, END = SPECIAL = ("<pad>", "<unk>", "<s>", "<|reply|>", "<|end|>")
HEADING = r"\nReference \d+:\n"
PIECE = re.compile(rf"{HEADING}|\d")
MOST_REFERENCES = 24

CHAT_TEMPLATE = (
    "<s>{% for message in messages %}{{ message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|reply|>{% endif %}"
)


def make_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer whose words are digits, headings of references, and all between them in ``texts``."""
    words = dict.fromkeys(SPECIAL)
    words.update(dict.fromkeys("0123456789"))
    words.update(
        dict.fromkeys(f"\nReference {number}:\n" for number in range(1, MOST_REFERENCES + 1))
    )
    for text in texts:
        words.update(dict.fromkeys(filter(None, PIECE.split(text))))
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(PIECE.pattern), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        bos_token=START,
        eos_token=END,
        additional_special_tokens=[REPLY],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )


def make_actor(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """An untrained model: 2 layers, 8 heads of size 32, which vLLM serves on a CPU too."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=8,
            num_key_value_heads=8,
            head_dim=32,
            max_position_embeddings=1024,
            rope_parameters={"rope_type": "default", "rope_theta": 500.0},
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            attn_implementation="sdpa",
        )
    )


class Critic(torch.nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
    """The value of each state of a reply: a model like the actor's with one number as its output."""

    def __init__(self, actor: LlamaForCausalLM) -> None:
        super().__init__()
        self.body = LlamaModel(actor.config)
        self.body.load_state_dict(actor.model.state_dict())
        self.head = torch.nn.Linear(actor.config.hidden_size, 1)
        torch.nn.init.zeros_(self.head.weight)
        torch.nn.init.zeros_(self.head.bias)


def save(actor: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write a folder that vLLM serves."""
    folder.mkdir(parents=True, exist_ok=True)
    actor.generation_config.eos_token_id = tokenizer.eos_token_id
    actor.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def encode_prompts(tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str]) -> list[list[int]]:
    """The token ids of prompts, each the one user turn of a conversation."""
    texts = [f"{START}{prompt}{REPLY}" for prompt in prompts]
    found: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return found
