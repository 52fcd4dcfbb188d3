"""A tiny model learns from an export, by the data set and the reward that travel with it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_tiny_model_learns_to_synthesise_from_what_the_pipeline_exports(
    tmp_path: Path, prefect_api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Here, as collecting the tests would else cost each worker 6 s for PyTorch.
    import torch

    from examples.loop.__main__ import Rewards, episodes_from, prepare, render, tokenizer_of
    from examples.loop.learn import Learner, Settings, accuracy, reinforce, warm_start
    from examples.loop.model import encode_prompts, make_actor

    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    data = prepare(tmp_path, training=300, held_out=120)
    tokenizer = tokenizer_of(data)
    held_out = data.held_out_episodes
    assert len(held_out) == 120
    prompts = encode_prompts(tokenizer, [render(one.problem, one.messages) for one in held_out])
    assert not any(tokenizer.unk_token_id in prompt for prompt in prompts)
    assert max(map(len, prompts)) < 80
    seen = list(islice(episodes_from(data.episodes, 0), 500))
    assert {len(one.messages) for one in seen} == set(range(4, 9))
    assert 200 < len({one.problem for one in seen}) < 300, "stage 1 left some out"
    assert len({one.messages for one in seen}) > 450, "message sets are drawn anew at each visit"
    learner = Learner(make_actor(tokenizer, 0), tokenizer, render, Rewards())
    settings = Settings(steps=32)
    warm_start(learner, episodes_from(data.episodes, 0), settings)
    before = mean(accuracy(learner, held_out))
    assert before > data.mean_message / 2, "else rewards are too rare to learn from"
    curve = reinforce(learner, episodes_from(data.episodes, 500_000), settings)
    torch.set_num_threads(threads)
    after = mean(accuracy(learner, held_out))
    assert after > before + 0.10
    assert after > data.mean_message
    assert curve.ended[-1] > 0.9


def mean(values: list[float]) -> float:
    return sum(values) / len(values)
