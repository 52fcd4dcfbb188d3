"""What a run would generate and reuse: for what makes none of it, nobody waits here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pacore.api.progress import tell
from pacore.api.report import Report
from pacore.core.config.run import RunConfig
from pacore.core.validation import validated
from pacore.evaluation.replay.planned import RuleForecast, forecast_rule
from pacore.problems.survey import ProblemSurvey
from pacore.report.plan import forecast_figure, forecast_sheet
from pacore.runs.planning.forecast import Forecast, preview
from pacore.runs.planning.reuse import Earlier
from pacore.runs.planning.together import price_of
from pacore.store.backends.opening import open_store


def unheard(_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """``forecast`` is what a run would generate and reuse, with all slots of its rounds; ``earlier`` the
    run most like it, None without one; ``under_rule`` what it is expected to generate under its stopping
    rule, None without a rule, and where nothing is to be generated.
    """

    forecast: Forecast
    earlier: Earlier | None
    under_rule: RuleForecast | None


def plan(
    config: RunConfig | Mapping[str, Any],
    on_notice: Callable[[str], None] = tell,
    on_survey: Callable[[ProblemSurvey], None] = unheard,
    on_step: Callable[[str], None] = unheard,
) -> Report[PlannedRun]:
    """What a run of ``config``, a `RunConfig` or its fields, would generate and reuse; generates nothing,
    and writes nothing. Under a stopping rule also what is expected of that, by the replay of a pool that
    the store has.

    Reads the store and, where it answers, the endpoint. ``on_notice`` is called with a line for what could
    not be found out, ``on_survey`` with the problem set as it was read, ``on_step`` with what is done next.
    Raises BadInput and Refused as a run does.
    """
    settings = settings_of(config)
    price = price_of(settings)
    found = preview(settings, on_notice, on_survey, on_step)
    store, forecast = open_store(settings.store), found.forecast
    if settings.stopping is not None:
        on_step("replaying the stopping rule over a stored pool")
    under_rule = forecast_rule(store, found.planned.identity, forecast, price)
    planned = PlannedRun(forecast, found.earlier, under_rule)
    sheet = forecast_sheet(forecast, found.earlier, under_rule)
    return Report(planned, [sheet], partial(forecast_figure, forecast))


def settings_of(config: RunConfig | Mapping[str, Any]) -> RunConfig:
    """The settings of a run, given as such or field by field. Raises BadInput for a field that is wrong."""
    return config if isinstance(config, RunConfig) else validated(RunConfig, dict(config))
