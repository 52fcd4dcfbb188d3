"""K completions of one prompt on real vLLM: one request with ``n`` = K, or K requests.

    python -m benchmarks.neighbours --runs 3

`n`: one request, whose completions have no seeds of their own. `together`: K requests with a seed each,
all at once, as pacore sends them. `leader`: the first alone, and the others when it has its first token, so
that the prefix cache surely holds the prompt. `apart`: K prompts as long that have nothing in common, which
is what no cache at all would cost. Two prompts each, the cache emptied before. ``computed`` is the share
of prompt tokens that came from no cache; the ratio of rates is to `together`.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.real.load import Asked, Given, send
from benchmarks.real.server import MODEL, OPTIONS, RealServer, fast_dtype, real_server
from benchmarks.real.workloads import prose
from benchmarks.results import Figure, Results, add_option

PROMPTS = 2

TOKENS = 32

WAYS = ("together", "n", "leader", "apart")

_TOKENS_A_SENTENCE = 25


def ask(server: RealServer, way: str, topic: str, sentences: int, width: int) -> Given:
    """Two prompts, ``width`` completions of each."""
    server.forget()
    prompts = [prose(f"{topic} {number}", sentences) for number in range(PROMPTS)]
    if way == "n":
        return send(server, [Asked(prompt, TOKENS, choices=width, seed=1) for prompt in prompts])
    if way == "apart":
        prompts = [prose(f"{topic} {number}", sentences) for number in range(PROMPTS * width)]
        return send(server, [Asked(prompt, TOKENS, seed=1) for prompt in prompts])
    asked = [Asked(prompt, TOKENS, seed=seed) for seed in range(width) for prompt in prompts]
    return send(server, asked, leaders=PROMPTS if way == "leader" else 0)


def computed(done: Given) -> float:
    """The share of prompt tokens that no cache held."""
    queries = done.counts["vllm:prefix_cache_queries_total"]
    return 1.0 - done.counts["vllm:prefix_cache_hits_total"] / queries


def measure(
    server: RealServer, prompt_tokens: int, width: int, ways: Sequence[str], runs: int
) -> dict[str, list[Given]]:
    """Every way in turn, so many times."""
    found: dict[str, list[Given]] = defaultdict(list)
    sentences = max(1, prompt_tokens // _TOKENS_A_SENTENCE)
    for run in range(runs):
        for way in ways:
            topic = f"{prompt_tokens} {width} {run} {way}"
            found[way].append(ask(server, way, topic, sentences, width))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--prompts", default="200,2000", help="their tokens")
    parser.add_argument("--widths", default="4,16")
    parser.add_argument("--ways", default=",".join(WAYS))
    add_option(parser)
    given = parser.parse_args()
    # Servers end with the benchmark, however that ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    results = Results("neighbours", given.results)
    print(
        f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors, {fast_dtype()}\n"
        f"{'prompt':>7} {'K':>3} {'way':9} {'queries':>8} {'hits':>8} {'computed':>9} {'s':>6}"
        f" {'tokens/s':>9} {'/together':>10}",
        flush=True,
    )
    with real_server(given.model, OPTIONS, cache_gib=2) as server:
        ask(server, "together", "first", 10, 4)
        for prompt_tokens in map(int, given.prompts.split(",")):
            for width in map(int, given.widths.split(",")):
                found = measure(server, prompt_tokens, width, given.ways.split(","), given.runs)
                _report(prompt_tokens, width, found, results)


def _report(
    prompt_tokens: int, width: int, found: dict[str, list[Given]], results: Results
) -> None:
    tokens = PROMPTS * width * TOKENS
    base = [tokens / one.seconds for one in found["together"]]
    for way, all_ in found.items():
        rates = [tokens / one.seconds for one in all_]
        ratio = statistics.median(rate / of for rate, of in zip(rates, base, strict=True))
        print(
            f"{prompt_tokens:7} {width:3} {way:9}"
            f" {all_[0].counts['vllm:prefix_cache_queries_total']:8.0f}"
            f" {all_[0].counts['vllm:prefix_cache_hits_total']:8.0f}"
            f" {statistics.median(map(computed, all_)):9.1%}"
            f" {statistics.median(one.seconds for one in all_):6.1f} {statistics.median(rates):9.1f}"
            f" {ratio:10.2f}   load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        results.add(
            Figure(
                f"prompt of {prompt_tokens}, K = {width}", way, "rate", "tokens/s", rates,
                "together", base, "higher",
            ),
            Figure(
                f"prompt of {prompt_tokens}, K = {width}", way, "prompt tokens computed", "share",
                list(map(computed, all_)),
            ),
        )  # fmt: skip


if __name__ == "__main__":
    main()
