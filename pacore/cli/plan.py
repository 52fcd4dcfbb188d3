"""What ``pacore plan`` does: says what a run would generate, and what it would reuse."""

from __future__ import annotations

import click

from pacore.cli.run import say_cautions
from pacore.cli.showing import tell
from pacore.core.config.run import RunConfig
from pacore.core.plan import default_shard_size, shards
from pacore.core.problem import set_digest
from pacore.engine.opening import open_engine, resolve_recipe
from pacore.errors import EngineUnavailable, Exit
from pacore.home import state_path
from pacore.problems.survey import survey_problems
from pacore.report.plan import forecast_table
from pacore.runs.dispatch.dispatcher import Dispatcher
from pacore.runs.dispatch.sampler import RetryPolicy
from pacore.runs.planning.forecast import Forecaster
from pacore.runs.planning.reuse import Planned, nearest
from pacore.runs.start import start_run
from pacore.store.backends.opening import open_store
from pacore.store.journal import Journal
from pacore.store.layout import run_key
from pacore.store.run import is_closed


def show_plan(config: RunConfig) -> int:
    """Print what a run would do, reading the store and, where it answers, the endpoint."""
    read = survey_problems(config.problems, config.limit, config.fields)
    problems = read.problems
    say_cautions(read.cautions)
    recipe = resolve_recipe(config)
    store = open_store(config.store)
    size = config.shard_size or default_shard_size(len(problems), config.plan)
    if config.run_id and store.exists(run_key(config.run_id)):
        run = start_run(store, config, recipe, problems)
        size = run.shard_size
        if is_closed(store, run.run_id):
            click.echo(f"run {run.run_id} is complete already", err=True)
    journal = Journal(store)
    dispatcher = Dispatcher(
        lambda: open_engine(config, state_path(), tell), journal, RetryPolicy(retries=0)
    )
    try:
        info, count_tokens = None, None
        if config.engine == "vllm":
            click.echo("the context window is not known: a plan starts no vLLM server", err=True)
        else:
            try:
                info, count_tokens = dispatcher.info(), dispatcher.count_prompt_tokens
            except EngineUnavailable as fault:
                click.echo(f"the context window is not known: {fault}", err=True)
        forecaster = Forecaster(config.plan, recipe, journal, info, count_tokens)
        found = forecaster.forecast(problems, len(shards(len(problems), size)))
    finally:
        dispatcher.close()
    identity = {**config.identity(set_digest(problems)), "recipe": recipe.as_json()}
    earlier = nearest(store, Planned(identity, problems), forecaster.used)
    click.echo(forecast_table(found, earlier))
    return Exit.COMPLETE
