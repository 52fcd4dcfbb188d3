"""Warm start and reinforcement learning of the synthesis step (sections 2.2 and 3.1), scaled down.

One episode is one synthesis step: a prompt P(x, M) with M drawn anew at each visit, a reply, and the
reward of its message as the only one. PPO is strictly on-policy: every batch of replies gives one step, by
generalised advantage estimation with lambda = gamma = 1, so that the advantage of every token is the
reward less the critic's value; without KL or entropy terms. GRPO has the mean reward of the prompt's
replies in the critic's place.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch.nn.functional import cross_entropy, log_softmax, mse_loss
from transformers import DynamicCache, LlamaForCausalLM, PreTrainedTokenizerFast

from examples.loop.model import Critic, encode_prompts

LONGEST_REPLY = 12


class Episode(NamedTuple):
    """A problem, its message set M in the order of the prompt, and its gold answer."""

    problem: str
    messages: tuple[str, ...]
    gold: str


@dataclass(frozen=True)
class Learner:
    """A model with its tokenizer, how P(x, M) is rendered, and the reward of a reply with a gold answer."""

    actor: LlamaForCausalLM
    tokenizer: PreTrainedTokenizerFast
    render: Callable[[str, Sequence[str]], str]
    reward: Callable[[str, str], float]

    def prompt(self, episode: Episode) -> str:
        return self.render(episode.problem, episode.messages)


@dataclass(frozen=True)
class Settings:
    """How long and how fast is learned; the paper's batch is 16 prompts with 64 replies each."""

    warm_steps: int = 250
    warm_batch: int = 32
    identical_steps: int = 80
    warm_rate: float = 6e-3
    steps: int = 180
    prompts: int = 16
    replies: int = 16
    rate: float = 1e-3
    critic_only_steps: int = 5
    method: Literal["ppo", "grpo"] = "ppo"
    seed: int = 0
    permute_rewards: bool = False


class Replies(NamedTuple):
    """Replies to prompts, each prompt's together: token ids of shape (replies, tokens), and which count."""

    tokens: torch.Tensor
    mask: torch.Tensor


@dataclass
class Curve:
    """The mean reward of each step's batch, and the share of replies that came to their end."""

    rewards: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)


def warm_start(learner: Learner, episodes: Iterator[Episode], settings: Settings) -> float:
    """Teach to reply with one of the messages, whichever: how to copy, and nothing of which is right.

    The loss counts the digits of every reference but the first too, which the references before it
    foretell: it is this that makes copying begin. Its messages are one message at first, and become those
    of the episode after ``identical_steps``. Returns the loss of the last steps.
    """
    actor, draw = learner.actor, random.Random(f"warm {settings.seed}")
    optimizer = torch.optim.AdamW(actor.parameters(), lr=settings.warm_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, settings.warm_steps)
    losses = []
    for step in range(settings.warm_steps):
        change = (step - settings.identical_steps) / max(1, settings.warm_steps // 2)
        batch = []
        for _ in range(settings.warm_batch):
            problem, messages, _gold = next(episodes)
            base = draw.choice(messages)
            seen = [one if draw.random() < change else base for one in messages]
            batch.append((learner.render(problem, seen), draw.choice(seen)))
        loss = _supervised_loss(actor, learner.tokenizer, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(actor.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    last = losses[-20:]
    return float(sum(last) / len(last))


def _supervised_loss(
    actor: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, batch: Sequence[tuple[str, str]]
) -> torch.Tensor:
    prompts = encode_prompts(tokenizer, [prompt for prompt, _ in batch])
    replies = tokenizer([reply for _, reply in batch], add_special_tokens=False)["input_ids"]
    headings = {tokenizer.convert_tokens_to_ids(f"\nReference {n}:\n") for n in range(1, 25)}
    digits = {tokenizer.convert_tokens_to_ids(digit) for digit in "0123456789"}
    longest = max(len(p) + len(r) + 1 for p, r in zip(prompts, replies, strict=True))
    ids = torch.full((len(batch), longest), tokenizer.pad_token_id)
    labels = torch.full((len(batch), longest), -100)
    for row, (prompt, reply) in enumerate(zip(prompts, replies, strict=True)):
        whole = [*prompt, *reply, tokenizer.eos_token_id]
        ids[row, : len(whole)] = torch.tensor(whole)
        labels[row, len(prompt) : len(whole)] = torch.tensor(whole[len(prompt) :])
        second = [place for place, token in enumerate(prompt) if token in headings][1:2]
        for start in second:
            for place in range(start, len(prompt)):
                if prompt[place] in digits:
                    labels[row, place] = prompt[place]
    logits = actor(input_ids=ids, attention_mask=ids != tokenizer.pad_token_id).logits
    return cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


class _Prompts(NamedTuple):
    """Prompts of a batch, filled up on the left."""

    ids: torch.Tensor
    mask: torch.Tensor

    @property
    def positions(self) -> torch.Tensor:
        return (self.mask.cumsum(1) - 1).clamp(min=0)

    @property
    def lengths(self) -> torch.Tensor:
        return self.mask.sum(1)


def _batched(tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str]) -> _Prompts:
    rows = encode_prompts(tokenizer, prompts)
    longest = max(map(len, rows))
    ids = torch.tensor([[tokenizer.pad_token_id] * (longest - len(row)) + row for row in rows])
    return _Prompts(ids, (ids != tokenizer.pad_token_id).long())


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not followed by mypy
def sample(
    actor: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompts: _Prompts,
    replies: int,
    generator: torch.Generator,
) -> Replies:
    """Sample ``replies`` replies to each prompt at temperature 1; they share their prompt's cache."""
    cache = DynamicCache(config=actor.config)
    found = actor.model(
        input_ids=prompts.ids,
        attention_mask=prompts.mask,
        position_ids=prompts.positions,
        past_key_values=cache,
    )
    cache.batch_repeat_interleave(replies)
    hidden = found.last_hidden_state[:, -1].repeat_interleave(replies, 0)
    mask = prompts.mask.repeat_interleave(replies, 0)
    position = prompts.lengths.repeat_interleave(replies, 0)
    has_ended = torch.zeros(len(hidden), dtype=torch.bool)
    tokens, counted = [], []
    for _ in range(LONGEST_REPLY):
        chances = torch.softmax(actor.lm_head(hidden), -1)
        token = torch.multinomial(chances, 1, generator=generator).squeeze(1)
        token = torch.where(has_ended, tokenizer.pad_token_id, token)
        tokens.append(token)
        counted.append(~has_ended)
        has_ended = has_ended | (token == tokenizer.eos_token_id)
        if has_ended.all():
            break
        mask = torch.cat((mask, torch.ones(len(mask), 1, dtype=torch.long)), 1)
        found = actor.model(
            input_ids=token[:, None],
            attention_mask=mask,
            position_ids=position[:, None],
            past_key_values=cache,
        )
        hidden, position = found.last_hidden_state[:, -1], position + 1
    return Replies(torch.stack(tokens, 1), torch.stack(counted, 1))


def _states(body: torch.nn.Module, prompts: _Prompts, replies: Replies) -> torch.Tensor:
    """The last hidden state before each token of the replies, of shape (replies, tokens, hidden)."""
    each = len(replies.tokens) // len(prompts.ids)
    cache = DynamicCache(config=body.config)
    first = body(
        input_ids=prompts.ids,
        attention_mask=prompts.mask,
        position_ids=prompts.positions,
        past_key_values=cache,
    ).last_hidden_state[:, -1:]
    first = first.repeat_interleave(each, 0)
    sent = replies.tokens[:, :-1]
    if not sent.shape[1]:
        return first
    cache.batch_repeat_interleave(each)
    mask = prompts.mask.repeat_interleave(each, 0)
    mask = torch.cat((mask, torch.ones_like(sent)), 1)
    begin = prompts.lengths.repeat_interleave(each, 0)[:, None]
    rest = body(
        input_ids=sent,
        attention_mask=mask,
        position_ids=begin + torch.arange(sent.shape[1])[None],
        past_key_values=cache,
    ).last_hidden_state
    return torch.cat((first, rest), 1)


def reinforce(
    learner: Learner,
    episodes: Iterator[Episode],
    settings: Settings,
    on_step: Callable[[int, float], None] = lambda *_: None,
) -> Curve:
    """Learn from rewards for ``settings.steps`` steps.

    With ``permute_rewards`` the rewards of a batch are dealt out at random, a control that must not learn.
    """
    actor, tokenizer = learner.actor, learner.tokenizer
    generator = torch.Generator().manual_seed(settings.seed)
    critic = Critic(actor)
    actor_optimizer = torch.optim.AdamW(actor.parameters(), lr=settings.rate, weight_decay=0.0)
    critic_optimizer = torch.optim.AdamW(critic.parameters(), lr=settings.rate, weight_decay=0.0)
    curve = Curve()
    for step in range(settings.steps):
        batch = [next(episodes) for _ in range(settings.prompts)]
        prompts = _batched(tokenizer, list(map(learner.prompt, batch)))
        replies = sample(actor, tokenizer, prompts, settings.replies, generator)
        golds = [one.gold for one in batch for _ in range(settings.replies)]
        rewards = _rewards(learner, replies, golds)
        curve.rewards.append(rewards.mean().item())
        curve.ended.append(_have_ended(tokenizer, replies).float().mean().item())
        if settings.permute_rewards:
            rewards = rewards[torch.randperm(len(rewards), generator=generator)]
        if settings.method == "ppo":
            values = critic.head(_states(critic.body, prompts, replies)).squeeze(-1)
            advantages = rewards[:, None] - values.detach()
            error = mse_loss(values, rewards[:, None].expand_as(values), reduction="none")
            _step(critic_optimizer, critic, (error * replies.mask).sum() / replies.mask.sum())
        else:
            grouped = rewards.view(settings.prompts, settings.replies)
            advantages = (
                (grouped - grouped.mean(1, keepdim=True)).view(-1, 1).expand(replies.mask.shape)
            )
        if settings.method == "grpo" or step >= settings.critic_only_steps:
            counted = advantages[replies.mask]
            advantages = (advantages - counted.mean()) / (counted.std() + 1e-6)
            logits = actor.lm_head(_states(actor.model, prompts, replies))
            chosen = log_softmax(logits, -1).gather(2, replies.tokens[..., None]).squeeze(-1)
            loss = -(advantages * chosen * replies.mask).sum() / replies.mask.sum()
            _step(actor_optimizer, actor, loss)
        on_step(step + 1, curve.rewards[-1])
    return curve


def _rewards(learner: Learner, replies: Replies, golds: Sequence[str]) -> torch.Tensor:
    """The reward of each reply with its gold answer, of shape (replies,).

    0 for one that is cut, whatever it says: it has no conclusion where the checkpoint is measured.
    """
    texts = texts_of(learner.tokenizer, replies)
    rewards = torch.tensor(list(map(learner.reward, texts, golds)))
    return rewards * _have_ended(learner.tokenizer, replies)


def _have_ended(tokenizer: PreTrainedTokenizerFast, replies: Replies) -> torch.Tensor:
    return (replies.tokens == tokenizer.eos_token_id).any(1)


def _step(optimizer: torch.optim.Optimizer, module: torch.nn.Module, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    optimizer.step()


def texts_of(tokenizer: PreTrainedTokenizerFast, replies: Replies) -> list[str]:
    """The texts of replies without special tokens."""
    found: list[str] = tokenizer.batch_decode(replies.tokens, skip_special_tokens=True)
    return found


def accuracy(
    learner: Learner, episodes: Sequence[Episode], replies: int = 8, seed: int = 1
) -> list[float]:
    """The mean reward of ``replies`` replies to each episode at temperature 1."""
    generator = torch.Generator().manual_seed(seed)
    found: list[float] = []
    for start in range(0, len(episodes), 32):
        part = episodes[start : start + 32]
        prompts = _batched(learner.tokenizer, list(map(learner.prompt, part)))
        sampled = sample(learner.actor, learner.tokenizer, prompts, replies, generator)
        golds = [one.gold for one in part for _ in range(replies)]
        rewards = _rewards(learner, sampled, golds).view(len(part), replies)
        found += rewards.mean(1).tolist()
    return found
