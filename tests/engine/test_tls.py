"""Certificates of endpoints: checked unless told otherwise, by a real HTTPS server on 127.0.0.1."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from pacore.core.config.run import RunConfig
from pacore.core.engine import Engine
from pacore.engine.opening import open_engine
from pacore.errors import BadInput, EngineUnavailable
from tests.conftest import Pacore
from tests.fixtures.faulty_server import MODEL, FaultyServer
from tests.fixtures.http_tries import KEY, REQUEST
from tests.fixtures.pipeline import write_problems
from tests.fixtures.served import served


def certificate(folder: Path, host: str = "127.0.0.1", days: int = 1) -> Path:
    """A self-signed certificate and its key for a host, both in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody you know")])
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        alternative = x509.DNSName(host)
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{host}.{days}.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def https(file: Path) -> FaultyServer:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(file)
    return FaultyServer(tls=tls)


def config_for(server: FaultyServer, **fields: object) -> RunConfig:
    given = {"problems": "p.jsonl", "model": MODEL, "endpoints": (server.endpoint,), **fields}
    return RunConfig.model_validate(given)


def with_engine(
    server: FaultyServer,
    use: Callable[[Engine], Awaitable[None]],
    folder: Path,
    **fields: object,
) -> list[str]:
    """Open an engine as a run does and use it; returns what it told the person who waits."""
    heard: list[str] = []

    async def run() -> None:
        async with server:
            engine = open_engine(config_for(server, **fields), folder, heard.append)
            try:
                await use(engine)
            finally:
                await engine.close()

    asyncio.run(run())
    return heard


async def samples(engine: Engine) -> None:
    assert (await engine.describe()).served_models == (MODEL,)
    assert (await engine.generate(REQUEST)).finish_reason == "stop"


async def is_refused(engine: Engine) -> None:
    with pytest.raises(EngineUnavailable, match="its certificate is not trusted"):
        await engine.describe()


def test_a_certificate_nobody_vouches_for_is_refused_before_the_key_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = https(certificate(tmp_path))
    with_engine(server, is_refused, tmp_path)
    assert not server.requests


def test_the_reason_and_the_way_out_stand_in_one_line(tmp_path: Path) -> None:
    async def look(engine: Engine) -> None:
        with pytest.raises(EngineUnavailable) as refused:
            await engine.describe()
        assert str(refused.value).endswith(
            "/v1: its certificate is not trusted; name its authority with --tls-ca-file: "
            "self-signed certificate"
        )

    with_engine(https(certificate(tmp_path)), look, tmp_path)


def test_the_file_of_an_authority_makes_its_certificates_trusted(tmp_path: Path) -> None:
    file = certificate(tmp_path)
    assert not with_engine(https(file), samples, tmp_path, tls_ca_file=str(file))


def test_another_authoritys_file_does_not(tmp_path: Path) -> None:
    other = certificate(tmp_path, "localhost")
    with_engine(https(certificate(tmp_path)), is_refused, tmp_path, tls_ca_file=str(other))


def test_a_trusted_certificate_of_another_host_is_refused(tmp_path: Path) -> None:
    file = certificate(tmp_path, "somewhere.example")
    with_engine(https(file), is_refused, tmp_path, tls_ca_file=str(file))


def test_a_trusted_certificate_that_has_expired_is_refused(tmp_path: Path) -> None:
    file = certificate(tmp_path, days=-1)
    with_engine(https(file), is_refused, tmp_path, tls_ca_file=str(file))


def test_who_opts_out_is_served_and_warned(tmp_path: Path) -> None:
    (warning,) = with_engine(https(certificate(tmp_path)), samples, tmp_path, tls_verify=False)
    assert warning.startswith("warning: the certificates of endpoints are not verified")


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_without_certificates_is_bad_input_that_names_it(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    config = RunConfig(
        problems="p", model=MODEL, endpoints=("https://127.0.0.1:1/v1",), tls_ca_file=str(file)
    )
    with pytest.raises(BadInput, match=r"tls_ca_file: .*ca\.pem: "):
        open_engine(config, tmp_path)


def test_to_name_an_authority_and_ask_none_is_a_contradiction() -> None:
    with pytest.raises(ValidationError, match="tls_verify is false"):
        RunConfig(
            problems="p", engine="scripted", tls_verify=False, tls_ca_file="ca.pem", widths=(2,)
        )


@pytest.mark.slow
def test_the_command_line_refuses_and_opts_out_with_a_warning(
    tmp_path: Path, pacore: Pacore
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 2)
    with served(https(certificate(tmp_path))) as server:
        line = ["run", "--problems", str(problems), "--endpoint", server.endpoint]
        line += ["--model", MODEL, "--widths", "1", "--store", str(tmp_path / "store")]
        refused = pacore(*line)
        assert refused.returncode == 1, refused.stderr
        assert "its certificate is not trusted" in refused.stderr
        assert not server.requests
        opted_out = pacore(*line, "--tls-verify", "false")
    assert opted_out.returncode == 0, opted_out.stderr
    said = "the certificates of endpoints are not verified"
    assert re.search(rf"^pacore: warning: run \S+: {said}", opted_out.stderr, re.MULTILINE)
