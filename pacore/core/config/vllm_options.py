"""Arguments of a vLLM server, parsed: which shape what it generates, and which only how fast. Pure.

An option is operational only if it is in `OPERATIONAL`: with it a server needs more or less
memory, hardware or time, logs more or less, and samples a request from the same distribution, up to
the rounding that another batch or another device brings along anyway. Everything else is identity,
unknown options included: an id that changes without need costs a generation, one that wrongly stays the
same attributes another model's text to this one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from pacore.core.identity import canonical_json
from pacore.errors import BadInput

Options = Mapping[str, JsonValue]
"""Options by name without dashes in front: True or False for a switch, text or JSON for a value, a
list of texts for several values. Sorted, so that equal options are equal as JSON."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


OPERATIONAL = _names(
    """
    gpu-memory-utilization device-memory-utilization kv-cache-memory-bytes num-gpu-blocks-override
    block-size swap-space cpu-offload-gb kv-offloading-size kv-offloading-backend offload-backend
    offload-group-size offload-num-in-group offload-prefetch-step

    max-num-seqs max-num-batched-tokens max-num-scheduled-tokens max-num-active-seqs
    max-num-queued-reqs max-num-queued-tokens max-num-partial-prefills max-long-partial-prefills
    long-prefill-token-threshold enable-chunked-prefill enable-prefix-caching
    prefix-caching-hash-algo scheduling-policy async-scheduling stream-interval

    tensor-parallel-size pipeline-parallel-size data-parallel-size data-parallel-size-local
    data-parallel-backend data-parallel-address data-parallel-rpc-port decode-context-parallel-size
    prefill-context-parallel-size enable-expert-parallel distributed-executor-backend
    distributed-timeout-seconds disable-custom-all-reduce max-parallel-loading-workers nnodes
    node-rank master-addr master-port device-ids numa-bind numa-bind-nodes numa-bind-cpus

    enforce-eager cudagraph-capture-sizes max-cudagraph-capture-size max-seq-len-to-capture
    optimization-level performance-mode

    download-dir safetensors-load-strategy safetensors-prefetch-num-threads
    safetensors-prefetch-block-size use-tqdm-on-load api-server-count renderer-num-workers
    disable-frontend-multiprocessing shutdown-timeout

    disable-log-stats disable-log-requests enable-log-requests enable-log-outputs enable-log-deltas
    enable-prompt-tokens-details max-log-len log-level log-config-file log-error-stack
    otlp-traces-endpoint collect-detailed-traces show-hidden-metrics-for-version kv-cache-metrics
    kv-cache-metrics-sample cudagraph-metrics enable-mfu-metrics enable-server-load-tracking
    """
)
"""Capacity; scheduling; hardware; compilation; loading; logs. Of this version of vLLM and of some
before. Not among them, though one may expect it: ``max-model-len``, which ends generations."""

OWN = {
    "model": "give --model",
    "served-model-name": "it follows from --model",
    "revision": "give --revision",
    "config": "a file may hold any option; give each by itself",
    "hf-token": "options are stored with the run; set HF_TOKEN in the environment",
    "help": "run vLLM itself for it",
    **dict.fromkeys(
        _names("""
        host port uds root-path api-key headless grpc grpc-port middleware uvicorn-log-level
        disable-uvicorn-access-log disable-access-log-for-endpoints enable-ssl-refresh ssl-keyfile
        ssl-certfile ssl-ca-certs ssl-cert-reqs ssl-ciphers
        """),
        "pacore sets it itself",
    ),
}
"""Options that are not the user's to give here, and what to do instead."""

SHORT = {
    "-O": "optimization-level", "-ac": "attention-config", "-asc": "api-server-count",
    "-cc": "compilation-config", "-dc": "diffusion-config", "-dcp": "decode-context-parallel-size",
    "-dp": "data-parallel-size", "-dpa": "data-parallel-address", "-dpb": "data-parallel-backend",
    "-dpl": "data-parallel-size-local", "-dpp": "data-parallel-rpc-port",
    "-ep": "enable-expert-parallel", "-h": "help", "-n": "nnodes",
    "-pcp": "prefill-context-parallel-size", "-pp": "pipeline-parallel-size", "-q": "quantization",
    "-r": "node-rank", "-sc": "speculative-config", "-tp": "tensor-parallel-size",
}  # fmt: skip

SEVERAL = _names(
    """
    lora-modules lora-target-modules logits-processors ignore-patterns kv-cache-dtype-skip-layers
    cudagraph-capture-sizes numa-bind-nodes numa-bind-cpus cpu-offload-params offload-params
    collect-detailed-traces allowed-media-domains sleep-preserve-parameter-names
    """
)
"""Options that take more than one value. After any other, vLLM would read a second value as the
name of another model."""

CONTENT = _names(
    """
    chat-template tokenizer hf-config-path generation-config lora-modules speculative-config
    spec-model tool-parser-plugin reasoning-parser-plugin io-processor-plugin
    """
)
"""Options whose value may name a file or folder of this machine, and then means what is in it."""

_NUMBER = re.compile(r"-\d+(\.\d+)?")


def read_options(arguments: Sequence[str]) -> dict[str, JsonValue]:
    """Options by name, however they were written: ``--a b``, ``--a=b``, ``--a_b``, in any order.

    Raises `pacore.errors.BadInput`, in one line, for what is no option, for one that is given twice
    (which of them vLLM would take is not for pacore to guess), and for one in `OWN`.
    """
    found: dict[str, JsonValue] = {}
    for written, values in _grouped(arguments):
        name, is_on = _named(written)
        if (reason := _not_to_be_given(name)) is not None:
            raise BadInput(f"vllm_options: {written} cannot be given here: {reason}")
        if name in found:
            raise BadInput(f"vllm_options: --{name} is given twice")
        if len(values) > 1 and name not in SEVERAL:
            raise BadInput(f"vllm_options: {written} takes one value, not {len(values)}")
        if not is_on and values:
            raise BadInput(f"vllm_options: {written} takes no value")
        if name in SEVERAL:
            found[name] = [_decoded(value) for value in values]
        else:
            found[name] = _decoded(values[0]) if values else is_on
    return dict(sorted(found.items()))


def identity_options(arguments: Sequence[str]) -> dict[str, JsonValue]:
    """Those of the options that shape what is generated."""
    options = read_options(arguments)
    return {name: value for name, value in options.items() if name not in OPERATIONAL}


def server_arguments(arguments: Sequence[str]) -> list[str]:
    """The options as vLLM gets them: written so that it can only read them as they were read here."""
    written: list[str] = []
    for name, value in read_options(arguments).items():
        if isinstance(value, bool):
            written.append(f"--{name}" if value else f"--no-{name}")
        elif name in SEVERAL and isinstance(value, list):
            written += [f"--{name}", *map(_encoded, value)]
        else:
            written.append(f"--{name}={_encoded(value)}")
    return written


def _grouped(arguments: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Each option as it was written, with its values."""
    groups: list[tuple[str, list[str]]] = []
    for argument in arguments:
        if argument.startswith("-") and not _NUMBER.fullmatch(argument):
            # "--dtype float32" as one argument is an option with its value, as a person means it.
            option, *value = re.split(r"=|\s+", argument, maxsplit=1)
            groups.append((option, value))
        elif groups:
            groups[-1][1].append(argument)
        else:
            raise BadInput(f"vllm_options: {argument!r} is no option; it must begin with --")
    return groups


def _named(written: str) -> tuple[str, bool]:
    """An option's name, and whether it is switched on; ``--no-x`` is ``x``, switched off."""
    if not written.startswith("--"):
        if written not in SHORT:
            raise BadInput(f"vllm_options: {written!r} is not known; write its long form")
        return SHORT[written], True
    head, dot, rest = written[2:].partition(".")
    name = head.replace("_", "-") + dot + rest
    if not re.fullmatch(r"[a-z0-9][\w.+-]*", name):
        raise BadInput(f"vllm_options: {written!r} is no option")
    return name.removeprefix("no-"), not name.startswith("no-")


def _not_to_be_given(name: str) -> str | None:
    """Why a user may not give an option, None where that is fine; vLLM accepts the start of a name."""
    head = name.partition(".")[0]
    owned = head if head in OWN else next((own for own in OWN if own.startswith(head)), None)
    return None if owned is None else OWN[owned]


def _decoded(value: str) -> JsonValue:
    """A JSON object or list as data, so that its spelling makes no difference; all else as text."""
    if value[:1] in ("{", "["):
        try:
            decoded: JsonValue = json.loads(value)
            canonical_json(decoded)
        except (ValueError, RecursionError):
            return value
        return decoded
    return value


def _encoded(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)
