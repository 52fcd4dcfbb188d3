"""Secrets in the wrong place are refused, and the refusal does not repeat them."""

from __future__ import annotations

import gzip
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from pydantic import ValidationError

from pacore.core.config.run import RunConfig
from pacore.engine.faults import Origin
from pacore.text import secret_in, shown, without_secrets
from tests.fixtures.canaries import Shell, shell_in
from tests.fixtures.leaks import files_with, spellings
from tests.fixtures.pipeline import write_problems


@pytest.fixture
def pacore(tmp_path: Path) -> Shell:
    write_problems(tmp_path / "problems.jsonl", 2)
    return shell_in(tmp_path)


def refused(pacore: Shell, *arguments: str) -> str:
    """A command that is refused, which said nothing of the secret and left nothing behind."""
    done = pacore(*arguments)
    assert done.returncode == 2, done.stderr
    said = (done.stdout + done.stderr).encode()
    assert not [needle for needle in pacore.left.needles if needle in said]
    assert not files_with([pacore.left.folder], pacore.left.needles)
    return done.stderr


def line_for(pacore: Shell, **flags: str) -> list[str]:
    folder = pacore.left.folder
    given = {
        "--problems": str(folder / "problems.jsonl"),
        "--store": str(folder / "store"),
        "--endpoint": "http://127.0.0.1:9/v1",
        "--model": "any",
    }
    given |= {f"--{name.replace('_', '-')}": value for name, value in flags.items()}
    return ["run", *(word for pair in given.items() for word in pair)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "url",
    [
        "http://user:{key}@127.0.0.1:9/v1",
        "http://user:{key}@127.0.0.1:notaport/v1",
        "http://127.0.0.1:9/v1?api_key={key}",
        "http://127.0.0.1:9/v1#token={key}",
    ],
)
def test_an_endpoint_with_a_secret_in_its_url_is_refused_and_not_stored(
    pacore: Shell, url: str
) -> None:
    key = quote(pacore.left.canaries[0], safe="")
    assert "--endpoint: " in refused(pacore, *line_for(pacore, endpoint=url.format(key=key)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "url",
    [
        "https://user:{key}@127.0.0.1:9/p.jsonl",
        "https://127.0.0.1:9/p.jsonl?X-Amz-Signature={key}",
        "simplecache::s3://access:{key}@bucket/p.jsonl",
    ],
)
def test_a_problem_set_with_a_secret_in_its_url_is_refused_and_not_stored(
    pacore: Shell, url: str
) -> None:
    key = quote(pacore.left.canaries[2], safe="")
    assert "--problems: " in refused(pacore, *line_for(pacore, problems=url.format(key=key)))


@pytest.mark.slow
def test_a_store_with_a_secret_in_its_url_is_refused(pacore: Shell) -> None:
    _, access, hidden = pacore.left.canaries
    said = refused(pacore, *line_for(pacore, store=f"s3://{access}:{hidden}@bucket/prefix"))
    assert "--store: has a password in its URL" in said


@pytest.mark.slow
def test_a_key_given_in_place_of_its_variables_name_is_refused(pacore: Shell) -> None:
    said = refused(pacore, *line_for(pacore, api_key_env=pacore.left.canaries[0]))
    assert "--api-key-env: " in said


@pytest.mark.slow
def test_a_key_in_a_configuration_file_is_refused(pacore: Shell, tmp_path: Path) -> None:
    file = tmp_path / "outside" / "run.yaml"
    file.parent.mkdir()
    file.write_text("api_key: not-a-field\n")
    said = refused(pacore, *line_for(pacore), "--config", str(file))
    assert "api_key" in said


@pytest.mark.slow
def test_a_key_no_header_can_carry_is_refused(pacore: Shell) -> None:
    pacore.left.canaries[0] = f"{pacore.left.canaries[0]}\u00e9"
    pacore.environment["OPENAI_API_KEY"] = pacore.left.canaries[0]
    assert pacore(*line_for(pacore)).returncode == 2
    assert (
        "the API key contains characters that are not valid in an HTTP header" in pacore.left.said
    )
    assert pacore.left.canaries[0] not in pacore.left.said
    pacore("server", "stop")


def test_what_was_typed_into_a_wrong_field_is_not_in_the_error() -> None:
    with pytest.raises(ValidationError) as wrong:
        RunConfig.model_validate({"problems": "p", "concurrency": "sk-typed-by-mistake"})
    assert "sk-typed" not in str(wrong.value)


@pytest.mark.parametrize(
    "address",
    [
        "./store", "/data/a:b@c", "s3://bucket/a@b", "http://127.0.0.1:8000/v1",
        "github://org:repo@main/p.jsonl", "https://host/p.jsonl?version=2", "hf://datasets/a/b@main",
    ],
)  # fmt: skip
def test_an_address_without_a_secret_is_not_refused(address: str) -> None:
    assert secret_in(address) is None


def test_an_address_is_shown_without_what_opens_it() -> None:
    assert shown("https://me:secret@host/v1?key=secret#secret") == "https://***@host/v1"
    assert shown("http://127.0.0.1:8000/v1") == "http://127.0.0.1:8000/v1"


def test_helpers_inherit_what_they_need_and_no_secret() -> None:
    kept = without_secrets(
        {
            "PATH": "/bin",
            "HOME": "/root",
            "PREFECT_API_KEY": "its own",
            "OPENAI_API_KEY": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "HF_TOKEN": "x",
            "DB_PASSWORD": "x",
        }
    )
    assert set(kept) == {"PATH", "HOME", "PREFECT_API_KEY"}


def test_a_short_key_that_keeps_nothing_secret_leaves_the_models_text_alone() -> None:
    text = "The set is EMPTY."
    assert Origin("http://host/v1", "EMPTY").redacted(text) == text
    assert Origin("http://host/v1", "EMPTY" * 4).redacted(f"{'EMPTY' * 4}.") == "***."


def test_a_leak_is_found_in_whatever_it_is_packed_in(tmp_path: Path) -> None:
    secret = 'sk-"quoted"/and+more'
    packed = {
        "plain.log": f"key {secret}".encode(),
        "url.log": f"http://host/?{quote(secret, safe='')}".encode(),
        "entry.json.zst": zstandard.ZstdCompressor().compress(secret.encode() * 100),
        "body.gz": gzip.compress(secret.encode()),
    }
    for name, data in packed.items():
        (tmp_path / name).write_bytes(data)
    pq.write_table(pa.table({"text": [f"before {secret} after"]}), tmp_path / "rows.parquet")
    (tmp_path / "clean.log").write_bytes(b"nothing")
    found = {path.name for path in files_with([tmp_path], spellings(secret))}
    assert found == {*packed, "rows.parquet"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("endpoints: ['http://user:{key}@127.0.0.1:9/v1']", "run.endpoints: "),
        ("store: 's3://access:{key}@bucket/prefix'", "run.store: "),
        ("api_key: '{key}'", "run.api_key: is not a known name"),
    ],
)
def test_a_secret_in_the_file_of_nights_is_refused_with_its_line_and_not_repeated(
    pacore: Shell, tmp_path_factory: pytest.TempPathFactory, line: str, said: str
) -> None:
    key = quote(pacore.left.canaries[0], safe="")
    file = tmp_path_factory.mktemp("nights") / "nights.yaml"
    file.write_text(
        "jobs:\n  - name: sums\n    run:\n      problems: p.jsonl\n      model: any\n      "
        + line.format(key=key)
    )
    (refusal,) = refused(pacore, "nightly", str(file)).splitlines()
    assert refusal.startswith(f"pacore: {file}:6: jobs.0.{said}")
    file.write_text(
        "jobs:\n  - name: sums\n    run: {problems: p.jsonl, engine: scripted}\n"
        "    grader: judge\n    judge:\n      " + line.format(key=key)
    )
    (refusal,) = refused(pacore, "nightly", str(file)).splitlines()
    assert refusal.startswith(f"pacore: {file}:2: jobs.0: judge: {said.removeprefix('run.')}")
