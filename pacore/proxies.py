"""Which proxy a request goes through, from the environment variables that name one.

This machine is never reached through a proxy: what listens on loopback (a model server, the Prefect
server, an object store) is not there for a proxy elsewhere. pacore's own requests are routed here;
for libraries with rules of their own (Prefect, botocore, urllib) and child processes NO_PROXY is set.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pacore.errors import EngineUnavailable
from pacore.text import shown

DIRECT = ("localhost", ".localhost", "127.0.0.1", "127.0.0.0/8", "::1")
"""Loopback in NO_PROXY's notation; which of these a library understands differs."""

SET_ASIDE = "PACORE_SOCKS_PROXY"
"""The variable into which `keep_loopback_direct` moves a proxy of another kind than HTTP."""

_LOCAL_ADDRESSES = ("PREFECT_API_URL", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3",
                    "FSSPEC_S3_ENDPOINT_URL")  # fmt: skip

_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy as a URL, which may have credentials in it, and the variable that names it."""

    url: str
    variable: str

    @property
    def shown(self) -> str:
        """The URL for an error's text, without credentials."""
        return shown(self.url)


def proxy_for(url: str, environment: Mapping[str, str]) -> Proxy | None:
    """The proxy of a request to ``url``; None where it goes straight to its host.

    Names in lower case win over those in upper case, and a scheme's own proxy over ``all_proxy``.
    Raises `pacore.errors.EngineUnavailable` for a proxy that does not speak HTTP.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    if is_loopback(host) or _is_exempt(host, port, environment):
        return None
    found = _named(environment, f"{parts.scheme}_proxy") or _named(environment, "all_proxy")
    if found is None and environment.get(SET_ASIDE):
        found = Proxy(environment[SET_ASIDE], "all_proxy")
    if found is None:
        return None
    address = found.url if "://" in found.url else f"http://{found.url}"
    scheme = urlsplit(address).scheme
    if scheme not in ("http", "https"):
        raise EngineUnavailable(
            f"{shown(url)}: {found.variable} names a proxy of the kind {scheme}, and pacore goes "
            f"through http and https proxies only; name one in {parts.scheme}_proxy, or the host in "
            "no_proxy"
        )
    return Proxy(address, found.variable)


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own, whatever a resolver says."""
    name = host.strip("[]").rstrip(".").casefold()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def keep_loopback_direct(environment: MutableMapping[str, str]) -> None:
    """Have every library and child process of this one reach loopback without a proxy.

    Adds loopback to both spellings of NO_PROXY where a proxy is named at all. A proxy of another kind
    than HTTP, with which Prefect's client cannot be constructed, is moved to `SET_ASIDE`, where
    `proxy_for` finds it.
    """
    named = [name for name in environment if name.casefold() in _PROXY_VARIABLES]
    for name in named:
        scheme, mark, _ = environment[name].strip().partition("://")
        if mark and scheme.casefold() not in ("http", "https"):
            environment[SET_ASIDE] = environment.pop(name)
    if not named:
        return
    hosts = (urlsplit(environment.get(name, "")).hostname or "" for name in _LOCAL_ADDRESSES)
    local = [*DIRECT, *(host for host in hosts if is_loopback(host))]
    known = _entries(environment)
    kept = [*known, *dict.fromkeys(host for host in local if host not in known)]
    for name in ("no_proxy", "NO_PROXY"):
        environment[name] = ",".join(kept)


def _named(environment: Mapping[str, str], variable: str) -> Proxy | None:
    for name in (variable, variable.upper()):
        if value := environment.get(name, "").strip():
            return Proxy(value, name)
    return None


def _entries(environment: Mapping[str, str]) -> list[str]:
    """The hosts that NO_PROXY names."""
    value = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    return [entry for part in value.split(",") if (entry := part.strip())]


def _is_exempt(host: str, port: int, environment: Mapping[str, str]) -> bool:
    return any(_covers(entry.casefold(), host.casefold(), port) for entry in _entries(environment))


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY means a host: ``*``, a domain with all below it, an address, a
    network in CIDR notation, each with or without a port.
    """
    if entry == "*":
        return True
    entry = entry.rpartition("://")[2]
    name, colon, number = entry.rpartition(":")
    if colon and number.isdecimal() and (":" not in name or name.startswith("[")):
        if int(number) != port:
            return False
        entry = name
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        domain = entry.removeprefix("*").strip(".")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))
