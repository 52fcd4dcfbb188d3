"""The configuration of a run: as a page with the command lines that repeat and resume it, and as a
paragraph for a paper.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from pacore.core.config.command import changed_fields, resume_command_line, run_command_line
from pacore.core.config.fields import Declared
from pacore.core.config.run import RunConfig, declarations
from pacore.core.plan import Plan
from pacore.core.recipe import ImportedRecipe, Recipe
from pacore.report.rendering.sheet import TEXT, Facts, Heading, Part, Passage, Sheet, table
from pacore.runs.settings import config_of
from pacore.store.backends.protocol import Backend
from pacore.store.run import BUDGET_STATUS, Run, headline, is_closed, last_budget_stop, open_run


def configuration_sheet(store: Backend, run_id: str, store_url: str) -> Sheet:
    """When and with what a run was started: settings that differ from their default, and command lines.

    Raises Refused for an unknown run.
    """
    run = open_run(store, run_id)
    sections: list[list[Part]] = [[Facts(list(_facts(store, run)))]]
    if not run.is_imported:
        config = config_of(run, {"store": store_url})
        sections.append(_settings(config))
        sections.append([Heading("command"), Passage(run_command_line(config), is_folded=False)])
        if not is_closed(store, run_id):
            line = resume_command_line(store_url, run_id)
            is_spent = last_budget_stop(store, run_id) is not None
            heading = "to finish it, with a larger budget" if is_spent else "to finish it"
            sections.append([Heading(heading), Passage(line, is_folded=False)])
    return Sheet(headline(run), sections)


def _facts(store: Backend, run: Run) -> Iterator[tuple[str, str]]:
    stop = last_budget_stop(store, run.run_id)
    open_ = (
        f"{BUDGET_STATUS}, {stop.why} ({stop.stopped_at:%Y-%m-%d %H:%M} UTC)" if stop else "open"
    )
    rest = "results are those of the shards that are committed, pacore status has all"
    yield "state", "complete" if is_closed(store, run.run_id) else f"{open_}; {rest}"
    yield "started", run.created_at[:19].replace("T", " ") + " UTC"
    yield "problems", f"{run.problems:,} ({run.problem_set}), in {len(run.shards):,} shards"
    yield "identity", run.identity_digest[:12]
    versions = {"pacore": run.producer.get("pacore"), "git": run.producer.get("git_revision")}
    yield "made by", ", ".join(f"{name} {value}" for name, value in versions.items() if value)
    if run.is_imported:
        yield "origin", "imported: its trajectories were made elsewhere"


def _settings(config: RunConfig) -> list[Part]:
    declared = declarations()
    rows = [
        (name, _written(value), declared[name]) for name, value in changed_fields(config).items()
    ]
    return [
        Heading("settings other than the defaults"),
        table(
            rows,
            ("setting", TEXT, lambda row: row[0]),
            ("value", TEXT, lambda row: row[1]),
            ("part of", TEXT, lambda row: _part(row[2])),
        ),
    ]


def _part(declared: Declared) -> str:
    """What a setting belongs to, in words: a change of those of the identity makes another run."""
    return {
        Declared.RECIPE: "identity (recipe)",
        Declared.PLAN: "identity (plan)",
        Declared.OPTIONS: "identity, in part",
    }.get(declared, "operation")


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def methods(store: Backend, run_id: str) -> str:
    """A paragraph for a paper: the exact settings of a run. Raises Refused for an unknown run."""
    run = open_run(store, run_id)
    sentences = [*_made(run), *_sampled(run.recipe), *_rounds(run.plan), _software(run)]
    return " ".join(sentences)


def _made(run: Run) -> Iterator[str]:
    plan, name = run.plan, PurePosixPath(run.problem_set).stem
    widths = ", ".join(map(str, (*plan.widths, 1)))
    replicates = (
        "" if plan.replicates == 1 else f", repeated {plan.replicates:,} times independently"
    )
    how = (
        "solved by Parallel Coordinated Reasoning (arXiv:2601.05593) with the trajectory "
        f"configuration K = [{widths}]{replicates}"
        if plan.widths
        else f"answered by {plan.replicates:,} independent trajectories each, without synthesis"
    )
    yield (
        f"The {run.problems:,} problems of the set {name.partition('@')[0]} (SHA-256 of its content "
        f"{run.identity['problem_set'][:12]}) were {how}."
    )
    if plan.pool is not None:
        yield f"Round 1 was drawn from a pool of {plan.pool:,} trajectories a problem."


def _sampled(recipe: Recipe) -> Iterator[str]:
    revision = f" (revision {recipe.revision})" if recipe.revision else ""
    if isinstance(recipe, ImportedRecipe):
        yield f"The trajectories, of {recipe.model}, were made elsewhere and imported."
        return
    limits = {
        "temperature": recipe.temperature,
        "top-p": recipe.top_p,
        "top-k": recipe.top_k,
        "min-p": recipe.min_p,
    }
    sampling = [f"{name} {value:g}" for name, value in limits.items() if value is not None]
    most = "as many tokens as the context window holds"
    if recipe.max_tokens is not None:
        most = f"at most {recipe.max_tokens:,} tokens"
    yield (
        f"Trajectories were sampled from {recipe.model}{revision} with {', '.join(sampling)} and {most}, "
        f"each with a seed of its own that follows from its prompt and the seed root {recipe.seed_root!r}."
    )
    if recipe.omit:
        yield f"Not sent to the server: {', '.join(recipe.omit)}."
    if recipe.system:
        yield f"System prompt: {recipe.system!r}."
    for name, options in (
        ("chat template", recipe.chat_template_options),
        ("the inference server", recipe.engine_options),
    ):
        if options:
            yield f"Options of {name}: {json.dumps(dict(options), ensure_ascii=False)}."


MESSAGES = {
    "conclusion": "the conclusion of each trajectory, without its reasoning",
    "verbatim": "each trajectory in full",
    "reference": "what follows the last </think> of each trajectory, as in the published code",
    "answer": "the answer of each trajectory alone",
    "summary": "a summary that the model wrote of each trajectory",
}


SELECTED = {
    "own": "drawn for it at random",
    "random": "drawn at random for all of the round",
    "shortest": "the shortest",
    "longest": "the longest",
    "majority": "those whose answers most messages have",
    "spread": "one of each answer, the most frequent first",
}


def _rounds(plan: Plan) -> Iterator[str]:
    if not plan.widths:
        return
    yield f"A round passes to the next {MESSAGES[plan.compaction]}."
    if plan.summary_tokens is not None:
        yield f"Summaries have at most {plan.summary_tokens:,} tokens."
    if plan.subset is not None:
        yield f"Each trajectory of a later round sees {plan.subset:,} of the messages, {_chosen(plan)}."
    if plan.workspace_tokens is not None:
        yield f"The model distils them into one text of at most {plan.workspace_tokens:,} tokens."
    if plan.truncated == "tail":
        yield f"Of a trajectory that was cut, its last {plan.tail_tokens:,} tokens are passed on."
    if plan.min_messages != 1:
        yield f"A round needs {plan.min_messages} messages; with fewer: {plan.on_shortfall}."
    if plan.stopping is not None:
        yield f"A round stops early by the rule {plan.stopping}."


def _chosen(plan: Plan) -> str:
    if plan.select == "trained":
        return f"those that a linear scorer ranks first ({plan.scorer})"
    return SELECTED[plan.select]


def _software(run: Run) -> str:
    packages = run.producer.get("packages")
    named = {} if not isinstance(packages, dict) else packages
    is_served = run.config.get("engine") == "vllm"
    versions = [
        f"{name} {value}"
        for name, value in named.items()
        if value and (is_served or not name.startswith("vllm"))
    ]
    return f"Software: pacore {run.producer.get('pacore')}, {', '.join(versions)}."
