"""Messages about nights, sent by a real Prefect server to a real receiver."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from pacore.errors import BadInput
from tasks.deployment import set_webhook
from tests.conftest import Pacore
from tests.fixtures.pipeline import write_problems

SECRET = "token-of-the-webhook"

WAIT_SECONDS = 180


class Receiver(HTTPServer):
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.messages: list[dict[str, Any]] = []
        self.has_more = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/{SECRET}"

    def of(self, *flow_runs: str) -> list[dict[str, Any]]:
        """Messages about these flow runs: the server may still report nights of other tests."""
        return [one for one in self.messages if one["flow_run"] in flow_runs]

    def wait_for(self, *flow_runs: str) -> list[dict[str, Any]]:
        """Wait for a message about any of them."""
        with self.has_more:
            self.has_more.wait_for(lambda: bool(self.of(*flow_runs)), WAIT_SECONDS)
            return self.of(*flow_runs)


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.has_more:
            self.server.messages.append(json.loads(body))
            self.server.has_more.notify_all()
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()


@pytest.mark.slow
def test_a_night_that_needs_someone_leaves_one_message_and_one_that_went_well_leaves_none(
    tmp_path: Path, prefect_api: str, command: Pacore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    problems = write_problems(tmp_path / "problems.jsonl", 6)
    job = "    run: {problems: %s, engine: scripted, widths: [2], store: %s%s}\n"
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    store = tmp_path / "store"
    good.write_text("jobs:\n  - name: good-one\n" + job % (problems, store, ""))
    other = ', model: "scripted?words=7", max_tokens_total: 50, partial: true'
    bad.write_text("jobs:\n  - name: short-one\n" + job % (problems, store, other))
    with receiving() as receiver:
        set_webhook(prefect_api, "http://127.0.0.1:9/elsewhere")
        assert not set_webhook(prefect_api, receiver.url), "the address replaces the one before"
        assert command("nightly", str(good)).returncode == 0
        assert command("nightly", str(bad)).returncode == 5
        (message,) = receiver.wait_for("nightly-good-one", "nightly-short-one")
    assert message["state"] == "Incomplete"
    assert message["flow_run"] == "nightly-short-one"
    assert "short-one INCOMPLETE: " in message["message"]
    start = "pacore · nightly-short-one · Incomplete · short-one INCOMPLETE: "
    assert message["text"].startswith(start)
    assert message["look"] == "pacore nightly show"
    assert SECRET not in json.dumps(message)


@pytest.mark.parametrize("url", ["hooks.example.org/x", "ftp://host/x", "http:///x", ""])
def test_an_address_that_is_none_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(BadInput, match="is no URL such as") as refused:
        set_webhook("http://127.0.0.1:1/api", url)
    assert not url or url not in str(refused.value)
