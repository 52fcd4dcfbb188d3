"""vLLM's own ways to be used, and the plain client, each as a process that stays and measures on request.

    python -m benchmarks.real.subjects async .models/SmolLM2-135M-Instruct

Each line of its input is a configuration, as JSON; for each it sends the requests of that and prints a
line ``MEASURED`` with the seconds from the first request to the last answer, the tokens, and the steps
that an engine in this process has made since it started. ``async`` and ``batch`` are `AsyncLLM` and
``vllm run-batch`` on it, ``generate`` is `LLM.generate`, ``throughput`` what ``vllm bench throughput``
measures, which sends no seeds. ``plain`` is the plain client of `benchmarks.endpoint.clients` and
``serve`` what ``vllm bench serve`` measures, both over HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.endpoint.clients import PlainClient
from benchmarks.real.server import OPTIONS, STEPS, fast_dtype
from benchmarks.real.workloads import requests_of
from pacore.core.config.run import RunConfig
from pacore.core.trajectory import Request
from pacore.engine.chat.wire_format import STANDARD_FORMAT

ROUTE = "/v1/chat/completions"

Measure = Callable[[RunConfig], Awaitable[tuple[float, int]]]
"""Seconds and tokens of the requests of a configuration."""


def _engine_options(model: str) -> list[str]:
    # As the owned engine's, and without what only servers have.
    return [
        f"--model={model}", f"--dtype={fast_dtype()}", "--generation-config=vllm",
        "--no-enable-chunked-prefill", *OPTIONS,
    ]  # fmt: skip


def _sampling(request: Request) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    recipe = request.recipe
    return SamplingParams(
        temperature=recipe.temperature, top_p=recipe.top_p, seed=request.seed,
        max_tokens=recipe.max_tokens, output_kind=RequestOutputKind.FINAL_ONLY,
    )  # fmt: skip


def _prompt(tokenizer: Any, request: Request) -> Any:
    turns = [turn.as_json() for turn in request.turns]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    return {"prompt_token_ids": tokenizer.encode(text, add_special_tokens=False)}


def _tokens(finished: Sequence[Any]) -> int:
    return sum(len(output.token_ids) for one in finished for output in one.outputs)


def _options_parser() -> Any:
    from vllm.utils import argparse_utils

    made: Any = argparse_utils.FlexibleArgumentParser
    return made()


def _steps() -> float:
    from prometheus_client import REGISTRY

    return sum(
        sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == STEPS
    )


def through_async_llm(model: str, url: str) -> dict[str, Measure]:  # noqa: ARG001 - as the others
    """`AsyncLLM`, and ``vllm run-batch`` on the same engine."""
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.entrypoints.launchers import run_batch
    from vllm.v1.engine.async_llm import AsyncLLM

    parser = run_batch.make_arg_parser(_options_parser())
    batch = parser.parse_args(["-i", "-", "-o", "-", *_engine_options(model)])
    engine = AsyncLLM.from_engine_args(AsyncEngineArgs.from_cli_args(batch))

    async def alone(config: RunConfig) -> tuple[float, int]:
        await engine.reset_prefix_cache()
        requests = requests_of(config)
        began = time.monotonic()
        tokenizer = engine.get_tokenizer()

        async def one(request: Request) -> Any:
            sampled, name = _sampling(request), request.trajectory_id
            return [
                one async for one in engine.generate(_prompt(tokenizer, request), sampled, name)
            ][-1]

        finished = await asyncio.gather(*map(one, requests))
        return time.monotonic() - began, _tokens(finished)

    async def as_batch(config: RunConfig) -> tuple[float, int]:
        await engine.reset_prefix_cache()
        with TemporaryDirectory() as folder:
            asked, answered = Path(folder) / "in.jsonl", Path(folder) / "out.jsonl"
            with asked.open("w") as file:
                for request in requests_of(config):
                    body = {**STANDARD_FORMAT.body(request), "model": model}
                    line = {"custom_id": request.trajectory_id, "method": "POST", "url": ROUTE}
                    file.write(json.dumps({**line, "body": body}) + "\n")
            batch.input_file, batch.output_file = str(asked), str(answered)
            began = time.monotonic()
            await run_batch.run_batch(engine, batch)
            seconds = time.monotonic() - began
            bodies = [json.loads(line)["response"]["body"] for line in answered.open()]
        return seconds, sum(body["usage"]["completion_tokens"] for body in bodies)

    return {"async": alone, "batch": as_batch}


def through_llm(model: str, url: str) -> dict[str, Measure]:  # noqa: ARG001 - as the others
    """`LLM.generate`, and the same without seeds, as ``vllm bench throughput`` does it."""
    from vllm import LLM
    from vllm.engine.arg_utils import EngineArgs

    parser = EngineArgs.add_cli_args(_options_parser())
    engine = LLM.from_engine_args(
        EngineArgs.from_cli_args(parser.parse_args(_engine_options(model)))
    )

    def generate(config: RunConfig, has_seeds: bool) -> tuple[float, int]:
        engine.reset_prefix_cache()
        requests = requests_of(config)
        began = time.monotonic()
        tokenizer = engine.get_tokenizer()
        prompts = [_prompt(tokenizer, request) for request in requests]
        sampled = [_sampling(request) for request in requests]
        for one in sampled:
            one.seed = one.seed if has_seeds else None
        finished = engine.generate(prompts, sampled, use_tqdm=False)
        return time.monotonic() - began, _tokens(finished)

    async def seeded(config: RunConfig) -> tuple[float, int]:
        return generate(config, has_seeds=True)

    async def unseeded(config: RunConfig) -> tuple[float, int]:
        return generate(config, has_seeds=False)

    return {"generate": seeded, "throughput": unseeded}


def over_http(model: str, url: str) -> dict[str, Measure]:
    """The plain client, and ``vllm bench serve``, against a server."""

    async def plain(config: RunConfig) -> tuple[float, int]:
        requests, client = requests_of(config), PlainClient(url, is_pooled=True)
        began = time.monotonic()
        made = await asyncio.gather(*map(client.generate, requests))
        seconds = time.monotonic() - began
        await client.close()
        return seconds, sum(one.completion_tokens or 0 for one in made)

    async def serve(config: RunConfig) -> tuple[float, int]:
        from transformers import AutoTokenizer
        from vllm.benchmarks.datasets import SampleRequest
        from vllm.benchmarks.serve import TaskType, benchmark

        tokenizer: Any = AutoTokenizer.from_pretrained(model)
        samples = []
        for request in requests_of(config):
            body = STANDARD_FORMAT.body(request)
            said = body.pop("messages")
            assert isinstance(said, list) and request.recipe.max_tokens is not None
            samples.append(
                SampleRequest(
                    "", 0, request.recipe.max_tokens, request_id=request.trajectory_id,
                    chat_messages=said, request_overrides=body,
                )
            )  # fmt: skip
        done = await benchmark(
            task_type=TaskType.GENERATION, endpoint_type="openai-chat",
            api_url=f"{url}/chat/completions", base_url=url.removesuffix("/v1"),
            model_id=config.model, model_name=config.model,
            tokenizer=tokenizer, input_requests=samples, logprobs=None,
            request_rate=float("inf"), burstiness=1.0, disable_tqdm=True, num_warmups=0,
            profile=False, selected_percentile_metrics=[], selected_percentiles=[],
            ignore_eos=False, goodput_config_dict={}, max_concurrency=None, lora_modules=None,
            extra_headers=None, extra_body=None, ready_check_timeout_sec=0,
        )  # fmt: skip
        return float(done["duration"]), int(done["total_output_tokens"])

    return {"plain": plain, "serve": serve}


KINDS = {"async": through_async_llm, "llm": through_llm, "http": over_http}


async def _measure(kind: str, model: str, url: str) -> None:
    known = KINDS[kind](model, url)
    print("READY", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        subject, config = json.loads(line)
        seconds, tokens = await known[subject](RunConfig.model_validate(config))
        print("MEASURED", json.dumps([seconds, tokens, _steps()]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("model")
    parser.add_argument("url", nargs="?", default="")
    given = parser.parse_args()
    asyncio.run(_measure(given.kind, given.model, given.url))


if __name__ == "__main__":
    main()
