"""What an object store's faults mean, decided by status and error code, never by a message's text.

Messages are put together from codes, class names and the store's own address, so that nothing a
library puts into its errors (headers, signed URLs, keys) reaches a person or a log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What to do about a fault."""

    ABSENT = "absent"
    EXISTS = "exists"
    PASSING = "passing"
    SETUP = "setup"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Meaning:
    """A fault's kind, and what to say of it."""

    kind: Kind
    reason: str


_ABSENT = ("NoSuchKey", "404", "NotFound")

_EXISTS = ("PreconditionFailed", "412")

_PASSING = (
    "SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling",
    "ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "TooManyRequestsException",
    "OperationAborted", "ConditionalRequestConflict", "RequestTimeTooSkewed", "IncompleteBody",
)  # fmt: skip

_PASSING_STATUSES = (408, 409, 429, 500, 502, 503, 504)

_SETUP = {
    "NoSuchBucket": "there is no such bucket",
    "InvalidBucketName": "that is no name of a bucket",
    "InvalidAccessKeyId": "the access key is not known there",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "ExpiredToken": "the credentials have expired",
    "InvalidToken": "the credentials are not valid",
    "TokenRefreshRequired": "the credentials have expired",
    "AccessDenied": "access is denied",
    "AllAccessDisabled": "access is denied",
    "AccountProblem": "access is denied",
    "403": "access is denied",
    "401": "access is denied",
    "PermanentRedirect": "the bucket is in another region or at another endpoint",
    "AuthorizationHeaderMalformed": "the bucket is in another region",
    "301": "the bucket is in another region or at another endpoint",
}

_SETUP_CLASSES = {
    "NoCredentialsError": "no credentials were found (environment, profile, or instance role)",
    "PartialCredentialsError": "the credentials are incomplete",
    "CredentialRetrievalError": "the credentials could not be fetched",
    "ProfileNotFound": "there is no such profile in the AWS configuration",
    "TokenRetrievalError": "the credentials have expired",
    "UnauthorizedSSOTokenError": "the credentials have expired",
    "NoRegionError": "no region is configured",
    "InvalidEndpointConfigurationError": "the endpoint's address is not valid",
    "SSLError": "the endpoint's certificate cannot be trusted",
    "ParamValidationError": "its name is not valid in a request",
    "PermissionError": "access is denied",
}

_PASSING_CLASSES = {
    "EndpointConnectionError": "the endpoint does not answer",
    "ConnectTimeoutError": "the endpoint does not answer in time",
    "ReadTimeoutError": "the endpoint does not answer in time",
    "FSTimeoutError": "the endpoint does not answer in time",
    "TimeoutError": "the endpoint does not answer in time",
    "ConnectionClosedError": "the endpoint breaks the connection off",
    "ProxyConnectionError": "the proxy does not answer",
    "HTTPClientError": "the endpoint breaks the connection off",
    "ResponseStreamingError": "the endpoint breaks the connection off",
    "IncompleteReadError": "the endpoint breaks the connection off",
    "IncompleteRead": "the endpoint breaks the connection off",
    "ClientPayloadError": "the endpoint breaks the connection off",
    "ClientConnectionError": "the endpoint breaks the connection off",
    "ConnectionError": "the endpoint breaks the connection off",
    "ResponseParserError": "the endpoint's answer cannot be understood",
    "FlexibleChecksumError": "the endpoint's answer was damaged on the way",
}


def meaning_of(fault: BaseException) -> Meaning:
    """What a fault of a file system or of the library below it means."""
    for link in _chain(fault):
        response = getattr(link, "response", None)
        if isinstance(response, dict) and "Error" in response:
            return _of_response(response)
    for link in _chain(fault):
        for name in (kind.__name__ for kind in type(link).__mro__):
            if name in _SETUP_CLASSES:
                return Meaning(Kind.SETUP, _SETUP_CLASSES[name])
            if name in _PASSING_CLASSES:
                return Meaning(Kind.PASSING, _PASSING_CLASSES[name])
            if name == "FileNotFoundError":
                return Meaning(Kind.ABSENT, "it is not there")
            if name == "FileExistsError":
                return Meaning(Kind.EXISTS, "it is there already")
    return Meaning(Kind.OTHER, f"it fails with {type(fault).__name__}")


def _chain(fault: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while fault is not None and id(fault) not in seen:
        seen.add(id(fault))
        yield fault
        fault = fault.__cause__ or fault.__context__


def _of_response(response: dict[str, Any]) -> Meaning:
    """By the service's error code, else by the status."""
    code = str(response["Error"].get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _SETUP:
        return Meaning(Kind.SETUP, _SETUP[code])
    if code in _EXISTS or status == 412:
        return Meaning(Kind.EXISTS, "it is there already")
    if code in _PASSING or status in _PASSING_STATUSES:
        return Meaning(Kind.PASSING, f"the endpoint answers {_named(code, status)}")
    if code in _ABSENT or status == 404:
        return Meaning(Kind.ABSENT, "it is not there")
    if status in (401, 403):
        return Meaning(Kind.SETUP, "access is denied")
    return Meaning(Kind.OTHER, f"the endpoint answers {_named(code, status)}")


def _named(code: str, status: int) -> str:
    safe = "".join(character for character in code if character.isalnum())[:40]
    return f"{status or ''} {'' if safe == str(status) else safe}".strip() or "with an error"
