"""Proxies: loopback never goes through one, endpoints elsewhere as the environment says."""

from __future__ import annotations

import asyncio
import os
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from botocore.utils import get_environ_proxies
from hypothesis import given
from hypothesis import strategies as st
from websockets.proxy import get_proxy
from websockets.uri import parse_uri

from pacore.core.engine import EngineFault
from pacore.core.trajectory import Generation
from pacore.engine.http import HttpEngine
from pacore.engine.transport import Trust
from pacore.errors import EngineUnavailable
from pacore.proxies import SET_ASIDE, is_loopback, keep_loopback_direct, proxy_for
from tests.conftest import Pacore
from tests.engine.test_tls import certificate, https
from tests.fixtures.faulty_server import MODEL, FaultyServer
from tests.fixtures.http_tries import closed_port, outcome
from tests.fixtures.pipeline import write_problems
from tests.fixtures.recording_proxy import RecordingProxy
from tests.fixtures.s3_server import BUCKET, S3Server
from tests.fixtures.served import served

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


PROXY = "http://proxy.example:3128"


PASSWORD = "canary-proxy-password"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, *(name.upper() for name in VARIABLES), SET_ASIDE):
        # Set first, so that what a test adds is taken away again.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


LOOPBACK = [
    "127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "[::1]", "0:0:0:0:0:0:0:1", "localhost",
    "LOCALHOST", "localhost.", "vllm.localhost", "a.b.localhost", "::ffff:127.0.0.1",
]  # fmt: skip


ELSEWHERE = [
    "128.0.0.1", "10.0.0.1", "example.com", "localhost.example.com", "notlocalhost", "0.0.0.0",
    "::2", "127.0.0.1.example.com", "", "1.127.0.0",
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_is_known_by_any_of_its_names_and_goes_through_no_proxy(host: str) -> None:
    assert is_loopback(host)
    shown = f"[{host.strip('[]')}]" if ":" in host else host
    everything = {"http_proxy": PROXY, "https_proxy": PROXY, "all_proxy": "socks5://x:1"}
    assert proxy_for(f"http://{shown}:8000/v1", everything) is None
    assert proxy_for(f"https://{shown}/v1", everything) is None


@pytest.mark.parametrize("host", ELSEWHERE)
def test_nothing_else_is_loopback(host: str) -> None:
    assert not is_loopback(host)


@given(st.text())
def test_any_text_is_a_host_or_none(host: str) -> None:
    assert is_loopback(host) in (True, False)


@pytest.mark.parametrize(
    ("environment", "url", "expected"),
    [
        ({"http_proxy": PROXY}, "http://host/v1", PROXY),
        ({"HTTP_PROXY": PROXY}, "http://host/v1", PROXY),
        ({"http_proxy": PROXY, "HTTP_PROXY": "http://other:1"}, "http://host/v1", PROXY),
        ({"http_proxy": PROXY}, "https://host/v1", None),
        ({"https_proxy": PROXY}, "https://host/v1", PROXY),
        ({"all_proxy": PROXY}, "https://host/v1", PROXY),
        ({"ALL_PROXY": PROXY}, "http://host/v1", PROXY),
        ({"all_proxy": "http://other:1", "https_proxy": PROXY}, "https://host/v1", PROXY),
        ({"http_proxy": "proxy.example:3128"}, "http://host/v1", PROXY),
        ({"http_proxy": " "}, "http://host/v1", None),
        ({}, "http://host/v1", None),
    ],
)
def test_the_usual_variables_name_the_proxy_of_an_endpoint_elsewhere(
    environment: dict[str, str], url: str, expected: str | None
) -> None:
    found = proxy_for(url, environment)
    assert (found.url if found else None) == expected


@pytest.mark.parametrize(
    ("exempt", "host"),
    [
        ("*", "host.example"),
        ("host.example", "host.example"),
        ("example", "host.example"),
        (".example", "host.example"),
        ("*.example", "host.example"),
        ("other, HOST.example ", "host.example"),
        ("host.example:8000", "host.example"),
        ("http://host.example", "host.example"),
        ("10.0.0.0/8", "10.1.2.3"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3:8000", "10.1.2.3"),
        ("192.168.0.0/16,10.1.0.0/16", "10.1.2.3"),
        ("fd00::/8", "[fd00::7]"),
        ("[fd00::7]:8000", "[fd00::7]"),
    ],
)
def test_no_proxy_exempts_domains_addresses_networks_and_ports(exempt: str, host: str) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        environment = {"http_proxy": PROXY, name: exempt}
        assert proxy_for(f"http://{host}:8000/v1", environment) is None
        assert proxy_for("http://elsewhere.test:8000/v1", {**environment, name: "a,b"}) is not None


@pytest.mark.parametrize(
    "exempt",
    ["ample", "xample.", "host.example:9000", "host.example.org", "10.1.2.4", "11.0.0.0/8"],
)
def test_no_proxy_exempts_nothing_that_only_looks_alike(exempt: str) -> None:
    environment = {"http_proxy": PROXY, "no_proxy": exempt}
    for host in ("host.example", "10.1.2.3"):
        assert proxy_for(f"http://{host}:8000/v1", environment) is not None


@pytest.mark.parametrize("kind", ["socks5", "socks5h", "socks4", "ftp"])
def test_a_proxy_of_another_kind_is_an_error_that_names_the_variable(kind: str) -> None:
    address = f"{kind}://user:{PASSWORD}@proxy.example:1080"
    with pytest.raises(EngineUnavailable) as refused:
        proxy_for("http://host/v1", {"all_proxy": address})
    assert f"all_proxy names a proxy of the kind {kind}" in str(refused.value)
    assert PASSWORD not in str(refused.value)


LOCAL_URLS = ("http://127.0.0.1:4200/api", "http://localhost:8333/", "http://x.localhost:1/")


@pytest.mark.parametrize("socks", [False, True])
def test_every_library_is_told_that_loopback_is_reached_straight(
    monkeypatch: pytest.MonkeyPatch, socks: bool
) -> None:
    monkeypatch.setenv("http_proxy", PROXY)
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("no_proxy", "corp.example")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.9:4200/api")
    if socks:
        monkeypatch.setenv("ALL_PROXY", "socks5://proxy.example:1080")
    keep_loopback_direct(os.environ)
    client = httpx.Client()
    for url in (*LOCAL_URLS, "http://127.0.0.9:4200/api"):
        host = url.split("/")[2]
        assert urllib.request.proxy_bypass(host)
        assert get_environ_proxies(url) == {}
        assert get_proxy(parse_uri(f"ws://{host}/events")) is None
        transport = client._transport_for_url(httpx.URL(url))
        assert transport is client._transport
    assert urllib.request.proxy_bypass("host.corp.example")
    assert not urllib.request.proxy_bypass("host.example")


@pytest.mark.parametrize("address", ["nonsense://", "ftp://proxy.example:21", "SOCKS4://x:1"])
def test_a_proxy_of_no_kind_that_is_known_is_named_only_where_it_would_be_used(
    address: str,
) -> None:
    environment = {"http_proxy": address}
    keep_loopback_direct(environment)
    assert "http_proxy" not in environment
    assert proxy_for("http://127.0.0.1:8000/v1", environment) is None
    with pytest.raises(EngineUnavailable, match="pacore goes through http and https proxies only"):
        proxy_for("http://model.example/v1", environment)


def test_a_socks_proxy_that_was_set_aside_is_still_known() -> None:
    environment = {"all_proxy": "socks5://proxy.example:1080"}
    keep_loopback_direct(environment)
    assert "all_proxy" not in environment
    assert proxy_for("http://127.0.0.1:1/v1", environment) is None
    with pytest.raises(EngineUnavailable, match="socks5"):
        proxy_for("http://host/v1", environment)


def test_without_a_proxy_the_environment_stays_as_it_is() -> None:
    environment = {"PATH": "/bin", "no_proxy": "x"}
    keep_loopback_direct(environment)
    assert environment == {"PATH": "/bin", "no_proxy": "x"}


def test_once_more_changes_nothing() -> None:
    environment = {"http_proxy": PROXY}
    keep_loopback_direct(environment)
    before = dict(environment)
    keep_loopback_direct(environment)
    assert environment == before


# Against a real proxy.


def engine_for(endpoint: str, trust: Trust | None = None) -> HttpEngine:
    return HttpEngine(
        [endpoint],
        MODEL,
        api_key=None,
        concurrency=4,
        timeout_seconds=20.0,
        connect_timeout_seconds=5.0,
        trust=trust or Trust(),
    )


async def through(
    endpoint: str, trust: Trust | None = None
) -> Generation | EngineFault | EngineUnavailable:
    engine = engine_for(endpoint, trust)
    try:
        await engine.describe()
        return await outcome(engine)
    except EngineUnavailable as unavailable:
        return unavailable
    finally:
        await engine.close()


def port_of(server: FaultyServer) -> int:
    return int(server.root.rpartition(":")[2])


def test_an_endpoint_elsewhere_is_reached_through_the_proxy_with_its_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        async with FaultyServer() as server, RecordingProxy(port_of(server)) as proxy:
            monkeypatch.setenv("http_proxy", f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}")
            made = await through("http://model.example/v1")
            assert isinstance(made, Generation), made
            assert "POST http://model.example/v1/chat/completions HTTP/1.1" in proxy.asked
            assert all(given and given.startswith("Basic ") for given in proxy.credentials)

    asyncio.run(run())


def test_an_https_endpoint_is_reached_by_a_tunnel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = certificate(tmp_path, "model.example")

    async def run() -> None:
        async with https(file) as server, RecordingProxy(port_of(server)) as proxy:
            monkeypatch.setenv("https_proxy", f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}")
            trust = Trust(ca_file=str(file))
            made = await through("https://model.example/v1", trust)
            assert isinstance(made, Generation), made
            assert {line.split(" ")[0] for line in proxy.asked} == {"CONNECT"}
            assert all(given and given.startswith("Basic ") for given in proxy.credentials)

    asyncio.run(run())


def test_an_endpoint_on_loopback_is_reached_straight(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with FaultyServer() as server, RecordingProxy(port_of(server)) as proxy:
            for name in VARIABLES[:3]:
                monkeypatch.setenv(name, proxy.url)
            for host in ("127.0.0.1", "localhost"):
                made = await through(f"http://{host}:{port_of(server)}/v1")
                assert isinstance(made, Generation), made
            assert not proxy.asked

    asyncio.run(run())


def test_an_endpoint_that_no_proxy_names_is_not_asked_for_at_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        async with FaultyServer() as server, RecordingProxy(port_of(server)) as proxy:
            monkeypatch.setenv("http_proxy", proxy.url)
            monkeypatch.setenv("no_proxy", ".example")
            assert isinstance(await through("http://model.example/v1"), EngineUnavailable)
            assert not proxy.asked

    asyncio.run(run())


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("trouble", ["refuses", "is down"])
def test_a_proxy_in_trouble_is_named_without_its_credentials(
    monkeypatch: pytest.MonkeyPatch, scheme: str, trouble: str
) -> None:
    async def run() -> None:
        async with FaultyServer() as server, RecordingProxy(port_of(server), "no") as proxy:
            port = proxy.port if trouble == "refuses" else closed_port()
            monkeypatch.setenv(f"{scheme}_proxy", f"http://user:{PASSWORD}@127.0.0.1:{port}")
            found = await through(f"{scheme}://model.example/v1")
            assert isinstance(found, EngineUnavailable)
            assert PASSWORD not in str(found)
            assert "user" not in str(found)
            if (scheme, trouble) != ("http", "refuses"):
                assert f"({scheme}_proxy)" in str(found)
                assert f"127.0.0.1:{port}" in str(found)

    asyncio.run(run())


@contextmanager
def recording(behind_port: int) -> Iterator[RecordingProxy]:
    """A recording proxy in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    proxy = RecordingProxy(behind_port)
    asyncio.run_coroutine_threadsafe(proxy.__aenter__(), loop).result()
    try:
        yield proxy
    finally:
        leaving = proxy.__aexit__(None, None, None)
        asyncio.run_coroutine_threadsafe(leaving, loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder whose second server finds the database that the first one made."""
    return tmp_path_factory.mktemp("home")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["http", "socks5"])
def test_everything_local_works_at_once_behind_a_proxy_and_without_no_proxy(
    kind: str,
    tmp_path: Path,
    home: Path,
    pacore: Pacore,
    s3_server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A model server, a Prefect server that is started, and an object store, all on loopback."""
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PACORE_HOME", str(home))
    with served(FaultyServer()) as server, recording(port_of(server)) as proxy:
        for name in ("http_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("all_proxy", f"{kind}://127.0.0.1:{proxy.port}")
        done = pacore(
            "run", "--problems", str(problems), "--endpoint", server.endpoint, "--model", MODEL,
            "--widths", "2", "--store", f"s3://{BUCKET}/proxied-{kind}", "--run-id", "mine",
        )  # fmt: skip
        address = pacore("server", "status").stdout.strip()
        stopped = pacore("server", "stop")
        assert done.returncode == 0, done.stderr
        assert address.startswith("http://127.0.0.1:")
        assert stopped.returncode == 0
        assert proxy.asked == []


@pytest.mark.slow
def test_a_socks_proxy_between_here_and_the_endpoint_is_one_clear_line(
    tmp_path: Path, pacore: Pacore, monkeypatch: pytest.MonkeyPatch, prefect_api: str
) -> None:
    assert prefect_api
    monkeypatch.setenv("ALL_PROXY", f"socks5h://user:{PASSWORD}@127.0.0.1:{closed_port()}")
    done = pacore(
        "run", "--problems", str(write_problems(tmp_path / "p.jsonl", 1)), "--model", MODEL,
        "--endpoint", "http://model.example/v1", "--widths", "1", "--store", str(tmp_path / "s"),
    )  # fmt: skip
    assert done.returncode not in (0, 3)
    assert "names a proxy of the kind socks5h" in done.stderr
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stderr + done.stdout
