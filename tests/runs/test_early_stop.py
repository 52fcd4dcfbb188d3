"""A run whose first requests all fail alike stops, says what to change, and spends no attempt."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pacore.core.config.run import RunConfig
from pacore.core.engine import EngineFault, Refusal
from pacore.core.problem import Turn
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Request
from pacore.errors import EngineUnavailable
from pacore.runs.dispatch.dispatcher import Dispatcher
from pacore.runs.dispatch.sampler import FIRST_WITHOUT_CONTENT, RetryPolicy
from pacore.runs.dispatch.writers import Filled
from pacore.store.backends.opening import open_store
from pacore.store.journal import Journal
from tests.conftest import Pacore
from tests.fixtures.faulty_server import (
    MODEL,
    Behaviour,
    Connection,
    FaultyServer,
    Received,
    answers,
    completion,
    models,
)
from tests.fixtures.http_tries import CHAT, KEY, error_body
from tests.fixtures.pipeline import journal_size, run_stages, table, write_problems
from tests.fixtures.served import served
from tests.runs.test_dispatch import CountedEngine, fill

MOST = 4


NOT_FOUND = {"detail": "Not Found"}


def refused(message: str = "no", status: int = 400) -> EngineFault:
    refusal = Refusal("http://host/v1", status, message)
    return EngineFault("rejected", f"{status}: {message}", transient=False, refusal=refusal)


def requests(*draws: int, prompts: int = 3) -> list[Request]:
    turns = (Turn("user", "Count."),)
    return [Request.of(Recipe("counted"), turns, f"{d % prompts:064d}", d) for d in draws]


class Bench:
    """A dispatcher over a counted engine that refuses what it is told to."""

    def __init__(self, folder: Path, most: int = MOST, slots: int = 4) -> None:
        self.engine = CountedEngine(slots)
        self.journal = Journal(open_store(str(folder / "store")))
        retry = RetryPolicy(2, 0.01, 0.05, most)
        self.dispatcher = Dispatcher(lambda: self.engine, self.journal, retry)

    def refuse(self, *draws: int, message: str = "no") -> None:
        self.engine.faults |= {draw: refused(message) for draw in draws}

    def fill(self, *draws: int, prompts: int = 3) -> list[Filled]:
        asked = requests(*draws, prompts=prompts)
        return fill(self.dispatcher, asked)

    def journalled(self, *draws: int, prompts: int = 3) -> list[bool]:
        found = (self.journal.find(r.trajectory_id) for r in requests(*draws, prompts=prompts))
        return [entry is not None for entry in found]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.dispatcher.close()


def test_so_many_refusals_alike_with_a_certain_cause_stop_everything(bench: Bench) -> None:
    bench.engine.is_certain = True
    bench.refuse(*range(40))
    with pytest.raises(EngineUnavailable, match="the first 4 requests were all refused: no"):
        bench.fill(*range(40))
    assert len(bench.engine.asked) < 40
    assert not any(bench.journalled(*range(40)))
    with pytest.raises(EngineUnavailable, match="all refused"):
        bench.fill(99)


def test_all_shards_that_wait_hear_of_it(bench: Bench) -> None:
    bench.engine.is_certain = True
    bench.refuse(*range(60))
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(bench.fill, *range(n * 20, n * 20 + 20)) for n in range(3)]
        for one in waiting:
            with pytest.raises(EngineUnavailable):
                one.result(timeout=120)


def test_a_single_request_that_is_refused_for_certain_stops_as_well(bench: Bench) -> None:
    bench.engine.is_certain = True
    bench.refuse(0)
    with pytest.raises(EngineUnavailable, match="the first request was refused"):
        bench.fill(0)
    assert not any(bench.journalled(0))


def test_without_a_certain_cause_fewer_are_tombstones(bench: Bench) -> None:
    bench.refuse(0, 1, 2)
    assert [one.is_finished for one in bench.fill(0, 1, 2)] == [False] * 3
    assert all(bench.journalled(0, 1, 2))


def test_without_a_certain_cause_enough_stop_once_nothing_else_is_under_way(bench: Bench) -> None:
    bench.refuse(*range(6))
    with pytest.raises(EngineUnavailable):
        bench.fill(*range(6))
    assert not any(bench.journalled(*range(6)))


def test_refusals_of_one_prompt_alone_are_that_prompts(bench: Bench) -> None:
    bench.refuse(*range(6))
    filled = bench.fill(*range(6), prompts=1)
    assert [one.is_finished for one in filled] == [False] * 6
    assert all(bench.journalled(*range(6), prompts=1))


def test_a_request_that_is_served_meanwhile_makes_tombstones_of_the_others(bench: Bench) -> None:
    bench.refuse(*range(6))
    bench.engine.seconds = 0.05
    filled = bench.fill(*range(7))
    assert [one.is_finished for one in filled] == [False] * 6 + [True]


def test_refusals_that_differ_are_their_requests_own(bench: Bench) -> None:
    for draw in range(6):
        bench.refuse(draw, message=f"reason {'ABCDEF'[draw]}")
    assert [one.is_finished for one in bench.fill(*range(6))] == [False] * 6


def test_refusals_that_differ_in_numbers_alone_are_alike(bench: Bench) -> None:
    for draw in range(6):
        bench.refuse(draw, message=f"seed {draw} of '{draw}' is no good")
    with pytest.raises(EngineUnavailable):
        bench.fill(*range(6))


def test_once_something_was_served_refusals_are_tombstones(bench: Bench) -> None:
    bench.engine.is_certain = True
    bench.fill(50)
    bench.refuse(*range(8))
    assert not any(one.is_finished for one in bench.fill(*range(8)))


def test_nought_never_stops(tmp_path: Path) -> None:
    bench = Bench(tmp_path, most=0)
    bench.engine.is_certain = True
    bench.refuse(*range(8))
    assert not any(one.is_finished for one in bench.fill(*range(8)))
    bench.dispatcher.close()


def test_requests_that_are_held_give_their_places_to_others(tmp_path: Path) -> None:
    bench = Bench(tmp_path, slots=1)
    bench.refuse(*range(3))
    filled = bench.fill(*range(3), *range(100, 110))
    assert [one.is_finished for one in filled] == [False] * 3 + [True] * 10
    bench.dispatcher.close()


def test_faults_that_pass_are_no_refusals(bench: Bench) -> None:
    bench.engine.is_certain = True
    for draw in range(8):
        bench.engine.faults[draw] = EngineFault("engine_error", "busy", transient=True)
    assert all(one.is_finished for one in bench.fill(*range(8)))


# Runs against servers that are set up in another way than the run is.


def config_for(folder: Path, endpoint: str, **fields: Any) -> RunConfig:
    given = {
        "problems": str(write_problems(folder / "problems.jsonl", 6)),
        "store": str(folder / "store"),
        "model": MODEL,
        "endpoints": (endpoint,),
        "widths": (3,),
        "run_id": "mine",
        "retries": 1,
        "retry_wait_seconds": 0.01,
    }
    return RunConfig.model_validate(given | fields)


def stopped(folder: Path, endpoint: str, **fields: Any) -> str:
    """Why a run stops; nothing of it is in the journal."""
    with pytest.raises(EngineUnavailable) as said:
        run_stages(config_for(folder, endpoint, **fields))
    line = str(said.value)
    assert line.isprintable()
    assert len(line) < 1500
    assert journal_size(str(folder / "store")) == 0
    return line


def refuses(message: str, status: int = 400, **fields: Any) -> Behaviour:
    return answers(error_body(message, **fields), status)


@pytest.mark.parametrize("path", ["", "/", "/api", "/v1/v1"])
def test_an_endpoint_without_its_v1_is_told_from_one_without_a_list(
    tmp_path: Path, path: str
) -> None:
    with served(FaultyServer()) as server:
        line = stopped(tmp_path, f"{server.root}{path}")
        assert line.endswith(f"use --endpoint {server.endpoint}")
        assert not server.received(CHAT)


@pytest.mark.parametrize("suffix", ["/", "/chat/completions", "/chat/completions/", "/models"])
def test_an_endpoint_with_a_route_at_its_end_is_the_endpoint(tmp_path: Path, suffix: str) -> None:
    with served(FaultyServer()) as server:
        run_stages(config_for(tmp_path, f"{server.endpoint}{suffix}"))
        assert server.received(CHAT)


def test_a_page_for_people_is_no_interface(tmp_path: Path) -> None:
    page = answers(b"<!doctype html><title>Chat</title>", headers={"Content-Type": "text/html"})
    with served(FaultyServer({"/models": page})) as server:
        assert stopped(tmp_path, server.root).endswith(f"use --endpoint {server.endpoint}")


def test_an_interface_below_another_path_is_found(tmp_path: Path) -> None:
    routes = {"/api/v1/models": answers(models(MODEL)), "/v1/models": answers(NOT_FOUND, 404)}
    with served(FaultyServer(routes)) as server:
        line = stopped(tmp_path, server.root)
        assert line.endswith(f"use --endpoint {server.root}/api/v1")


def test_a_server_that_is_none_of_these_is_named_with_what_it_lacks(tmp_path: Path) -> None:
    missing = answers(NOT_FOUND, 404)
    with served(FaultyServer({"/v1/models": missing, CHAT: missing})) as server:
        line = stopped(tmp_path, server.endpoint)
        assert f"nothing takes chat completions at {server.endpoint}/chat/completions" in line
        assert "check --endpoint" in line


def without_list(chat: Behaviour) -> FaultyServer:
    return FaultyServer({"/v1/models": answers(NOT_FOUND, 404), CHAT: chat})


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "The model `smol` does not exist."),
        (404, "model 'smol' not found, try pulling it first"),
        (400, "No models loaded. Please load a model in the developer page."),
        (400, "smol is not a valid model ID"),
        (400, "Invalid model name passed in model=smol"),
    ],
)
def test_a_model_that_is_not_loaded_is_said_so(tmp_path: Path, status: int, message: str) -> None:
    with served(without_list(refuses(message, status))) as server:
        line = stopped(tmp_path, server.endpoint)
        assert message in line
        assert "load it, or name another with --model" in line


def test_a_model_that_is_not_on_the_list_is_named_with_those_like_it(tmp_path: Path) -> None:
    listed = answers(models("smol-lm-135m", "smol2", "other"))
    with served(FaultyServer({"/v1/models": listed})) as server:
        line = stopped(tmp_path, server.endpoint)
        assert "did you mean --model smol2" in line


def test_a_model_that_is_listed_and_takes_no_chat_is_said_so(tmp_path: Path) -> None:
    with served(FaultyServer({CHAT: answers(NOT_FOUND, 404)})) as server:
        assert "is it a chat model?" in stopped(tmp_path, server.endpoint)


def test_a_model_without_a_chat_template_is_said_so(tmp_path: Path) -> None:
    said = (
        "As of transformers v4.44, default chat template is no longer allowed, so you must provide "
        "a chat template if the tokenizer does not define one."
    )
    with served(FaultyServer({CHAT: refuses(said)})) as server:
        assert "(vLLM: --chat-template)" in stopped(tmp_path, server.endpoint)


def test_a_key_that_only_requests_need_is_asked_for(tmp_path: Path) -> None:
    with served(FaultyServer({CHAT: refuses("Missing bearer token", 401)})) as server:
        line = stopped(tmp_path, server.endpoint)
        assert "refuses the key (401); none was sent" in line
        assert "OPENAI_API_KEY, or from the variable that --api-key-env names" in line


def test_a_key_that_is_wrong_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with served(FaultyServer({CHAT: refuses(f"wrong key {KEY}", 401)})) as server:
        line = stopped(tmp_path, server.endpoint)
        assert "refuses the key (401)" in line
        assert KEY not in line


def test_an_account_without_credit_is_said_so(tmp_path: Path) -> None:
    said = refuses("You exceeded your current quota.", 429, code="insufficient_quota")
    with served(FaultyServer({CHAT: said})) as server:
        assert "has no credit" in stopped(tmp_path, server.endpoint)


def test_a_redirect_says_where_to(tmp_path: Path) -> None:
    away = answers({}, 308, {"Location": "https://llm.example/v1/chat/completions?key=abc"})
    with served(FaultyServer({CHAT: away})) as server:
        line = stopped(tmp_path, server.endpoint)
        assert "redirects to https://llm.example/v1/chat/completions" in line
        assert line.endswith("use --endpoint https://llm.example/v1")
        assert "abc" not in line


def test_a_redirect_of_the_list_says_where_to(tmp_path: Path) -> None:
    away = answers({}, 301, {"Location": "/openai/v1/models"})
    with served(FaultyServer({"/v1/models": away})) as server:
        line = stopped(tmp_path, server.endpoint)
        assert line.endswith(f"use --endpoint {server.root}/openai/v1")


def takes_no(field: str, message: str, status: int = 400, **error: Any) -> Behaviour:
    """Refuse requests that have a field, answer others."""
    refusal = answers(error_body(message, **error), status)

    async def behave(received: Received, connection: Connection) -> None:
        chat = refusal if field in received.json else answers(completion("\\boxed{7}"))
        await chat(received, connection)

    return behave


@pytest.mark.parametrize(
    ("field", "message", "status", "error"),
    [
        ("seed", "property 'seed' is unsupported", 400, {}),
        ("seed", "Unrecognized request argument supplied: seed", 400, {}),
        ("seed", "litellm.UnsupportedParamsError: openai does not support parameters: {'seed': 4}",
         500, {}),
        ("seed", '[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not '
         'permitted"}]', 422, {}),
        ("seed", "Invalid value at 'generation_config.seed' (TYPE_INT32), 4503599627370496", 400,
         {"param": "seed"}),
        ("temperature", "Unsupported value: 'temperature' does not support this. Only the default "
         "(1) value is supported.", 400, {"param": "temperature", "code": "unsupported_value"}),
        ("temperature", "temperature: Input should be less than or equal to 0.9", 400, {}),
        ("top_p", "`temperature` and `top_p` cannot both be specified for this model.", 400,
         {"param": "top_p"}),
    ],
)  # fmt: skip
def test_a_field_that_is_refused_is_left_out_only_where_one_says_so(
    tmp_path: Path, field: str, message: str, status: int, error: dict[str, Any]
) -> None:
    with served(FaultyServer({CHAT: takes_no(field, message, status, **error)})) as server:
        line = stopped(tmp_path, server.endpoint)
        assert f"--omit {field}" in line
        assert all(field in request.json for request in server.received(CHAT))
        run_stages(config_for(tmp_path, server.endpoint, run_id="without", omit=(field,)))
        sent = server.received(CHAT)[-1].json
        assert field not in sent
        assert {"model", "messages"} <= sent.keys()
    rows = table(str(tmp_path / "store"), "without", "trajectories", ["finish_reason", "attempt"])
    assert {row[1:] for row in rows} == {("stop", 0)}


def test_a_value_of_ones_own_that_is_refused_is_named_with_its_flag(tmp_path: Path) -> None:
    said = refuses("max_tokens is too large: 99999. This model supports at most 4096.",
                   param="max_tokens")  # fmt: skip
    listed = answers(models(MODEL, window_tokens=None))
    with served(FaultyServer({CHAT: said, "/v1/models": listed})) as server:
        assert "use --max-tokens with another value" in stopped(
            tmp_path, server.endpoint, max_tokens=99_999
        )
    said = refuses("unknown field: top_k")
    with served(FaultyServer({CHAT: said})) as server:
        assert "use --top-k with another value, or leave it out" in stopped(
            tmp_path, server.endpoint, top_k=5, run_id="other"
        )


def test_what_a_wrong_configuration_cost_is_no_attempt(tmp_path: Path) -> None:
    with served(FaultyServer({CHAT: refuses("bad key", 401)})) as server:
        for _ in range(4):
            stopped(tmp_path, server.endpoint, attempts=2)
    with served(FaultyServer()) as server:
        run_stages(config_for(tmp_path, server.endpoint, attempts=2))
    columns = ["attempt", "tries", "finish_reason"]
    rows = table(str(tmp_path / "store"), "mine", "trajectories", columns)
    assert {row[1:] for row in rows} == {(0, 1, "stop")}


def test_a_run_that_goes_on_keeps_what_it_has_and_stops_where_a_key_was_revoked(
    tmp_path: Path,
) -> None:
    with served(FaultyServer()) as server:
        run_stages(config_for(tmp_path, server.endpoint, limit=2, run_id="first"))
    had = journal_size(str(tmp_path / "store"))
    assert had
    revoked = served(FaultyServer({CHAT: refuses("revoked", 401)}))
    with revoked as server, pytest.raises(EngineUnavailable, match=r"\(401\)"):
        run_stages(config_for(tmp_path, server.endpoint, run_id="second"))
    assert journal_size(str(tmp_path / "store")) == had


@pytest.mark.parametrize("is_first", [True, False])
def test_one_endpoint_of_two_that_refuses_everything_does_not_spoil_the_run(
    tmp_path: Path, is_first: bool
) -> None:
    bad = without_list(refuses("The model `smol` does not exist.", 404))
    with served(bad) as refusing, served(FaultyServer()) as serving:
        config = config_for(tmp_path, serving.endpoint, concurrency=2)
        endpoints = [serving.endpoint, refusing.endpoint]
        if is_first:
            endpoints.reverse()
        run_stages(config.model_copy(update={"endpoints": tuple(endpoints)}))
        assert refusing.received(CHAT)
    rows = table(str(tmp_path / "store"), "mine", "trajectories", ["finish_reason"])
    assert {row[1] for row in rows} == {"stop"}


# A reasoning parser that does not fit.


@pytest.mark.parametrize("content", [None, "", "\n\n"])
def test_texts_that_are_reasoning_alone_stop_the_run_and_are_kept(
    tmp_path: Path, content: str | None
) -> None:
    without = answers(completion(content, reasoning="Seven. So \\boxed{7}."))
    with served(FaultyServer({CHAT: without})) as server:
        with pytest.raises(EngineUnavailable, match="reasoning parser does not fit") as said:
            run_stages(config_for(tmp_path, server.endpoint, concurrency=2))
        assert "--reasoning-parser" in str(said.value)
        assert FIRST_WITHOUT_CONTENT <= journal_size(str(tmp_path / "store")) < 18
        run_stages(config_for(tmp_path, server.endpoint, early_stop=0))
    rows = table(str(tmp_path / "store"), "mine", "trajectories", ["conclusion_status"])
    assert {row[1] for row in rows} == {"empty"}


def test_a_few_texts_without_content_among_others_stop_nothing(tmp_path: Path) -> None:
    without = answers(completion(None, reasoning="Seven."))
    with served(
        FaultyServer({CHAT: [without] * 3 + [answers(completion("\\boxed{7}"))]})
    ) as server:
        run_stages(config_for(tmp_path, server.endpoint, concurrency=1))


def test_thinking_that_was_cut_stops_nothing(tmp_path: Path) -> None:
    cut = answers(completion(None, "length", reasoning="Let me see"))
    with served(FaultyServer({CHAT: cut})) as server:
        run_stages(config_for(tmp_path, server.endpoint))


@pytest.mark.slow
def test_the_command_line_stops_with_one_line_and_without_an_accuracy(
    tmp_path: Path, command: Pacore
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 6)
    seedless = takes_no("seed", "property 'seed' is unsupported")
    with served(FaultyServer({CHAT: seedless})) as server:
        line = ["run", "--problems", str(problems), "--model", MODEL, "--widths", "3"]
        line += ["--store", str(tmp_path / "store"), "--run-id", "mine"]
        for endpoint, named in (
            (server.root, f"use --endpoint {server.endpoint}"),
            (server.endpoint, "--omit seed"),
        ):
            done = command(*line, "--endpoint", endpoint)
            assert done.returncode not in (0, 3), done.stderr
            said = [text for text in done.stderr.splitlines() if named in text]
            assert said
            assert "accuracy" not in done.stdout
            assert "Traceback" not in done.stderr
        done = command(*line, "--endpoint", server.endpoint, "--omit", "seed")
        assert done.returncode == 2
        assert "recipe.omit: None -> ['seed']" in done.stderr
        done = command(*line[:-1], "other", "--endpoint", server.endpoint, "--omit", "seed")
        assert done.returncode == 0, done.stderr
