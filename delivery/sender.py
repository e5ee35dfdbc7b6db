"""Send every test and every delivery, and return its Outcome. Nothing else sends requests."""

import http.client
import logging
import ssl
import time
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import requests
from requests import PreparedRequest
from requests.exceptions import (
    ConnectTimeout,
    ContentDecodingError,
    InvalidURL,
    RequestException,
    Timeout,
)

from config import VERSION
from delivery.classify import classify_failure, classify_response
from delivery.guard import tls
from delivery.guard.adapter import GuardAdapter, GuardedRequest, RequestHeaders
from delivery.guard.exchange import Exchange, ExchangeError, Policy
from delivery.guard.pool import ConnectionPool
from delivery.guard.url import InvalidUrl, ParsedUrl, parse_url
from delivery.message import Message, MessageError
from delivery.outcome import Outcome, Reason
from delivery.redaction import basic_token, format_traceback_without_message
from delivery.response import Response
from delivery.settings import Settings
from delivery.signing import sign

USER_AGENT = f"Tocsin/{VERSION}"
MAX_BODY_BYTES = 16 * 1024
# The reasons with which a body counts for nothing, whatever the status of the response was.
_INVALID = (Reason.CONNECTION_CLOSED, Reason.PROTOCOL_ERROR, Reason.INTERNAL_ERROR)
_UNKNOWN_TARGET = parse_url("http://nowhere.invalid/")

Clock = Callable[[], float]

log = logging.getLogger("tocsin.sender")


class _Session(requests.Session):
    """A session that follows no redirect."""

    def resolve_redirects(self, *_args, **_kwargs):
        """Return no redirect; a redirect is an outcome."""
        return iter(())


_session = _Session()
_session.mount("http://", GuardAdapter())
_session.mount("https://", GuardAdapter())


class SendResult(NamedTuple):
    """A request and its outcome. `request` is None if the message cannot be written as HTTP."""

    request: PreparedRequest | None
    outcome: Outcome


def prepare(message: Message, settings: Settings, attempt: int, now: float) -> GuardedRequest:
    """Return the request with all its headers, as sent at `now` (epoch seconds).

    Raises: InvalidUrl if the URL is ambiguous; MessageError if the message cannot be signed.
    """
    timestamp = int(now)
    headers = [
        ("Host", message.target.authority),
        ("User-Agent", USER_AGENT),
        ("Accept-Encoding", "gzip, deflate"),
        ("webhook-id", message.id),
        ("webhook-timestamp", str(timestamp)),
        ("X-Delivery-Attempt", str(attempt)),
    ]
    if message.body:
        headers.append(("Content-Type", "application/json"))
    if message.body or message.method != "GET":
        headers.append(("Content-Length", str(len(message.body))))
    try:
        signature = sign(settings, message.id, timestamp, message.body)
    except ValueError:
        raise MessageError("The signing secret is not valid.") from None
    request = GuardedRequest()
    request.method = message.method
    request.url = unambiguous_url(message.target)
    request.headers = RequestHeaders(
        (*headers, *message.headers, *_own_headers(settings), *signature)
    )
    request.body = message.body or None
    return request


def send(
    message: Message,
    settings: Settings,
    policy: Policy,
    *,
    attempt: int = 1,
    now: Clock = time.time,
    pool: ConnectionPool | None = None,
) -> SendResult:
    """Send the message once, within the channel's timeout. Never raises.

    Without a `pool`, nothing of an earlier exchange is used: name and connection are new. An
    unexpected exception becomes the reason `internal_error`.
    """
    exchange = Exchange(message.target, policy, settings, now(), use_cache=pool is not None)
    request = None
    try:
        request = prepare(message, settings, attempt, exchange.started_at)
        request.exchange = exchange
        request.pool = pool
        with _session.send(request, stream=True, proxies={}) as http_response:
            response = _read(http_response, exchange)
        outcome = classify_response(exchange, response, message)
    except Exception as error:  # noqa: BLE001 (no failure leaves this function as an exception)
        if isinstance(error, MessageError):
            request = None
        outcome = classify_failure(exchange, *_reason_of(error, exchange))
    return SendResult(request, outcome)


def unsent(error: Exception, settings: Settings, policy: Policy, now: Clock = time.time) -> Outcome:
    """Return the outcome of a message that could not be built because of `error`."""
    exchange = Exchange(settings.target or _UNKNOWN_TARGET, policy, settings, now())
    return classify_failure(exchange, *_reason_of(error, exchange))


@lru_cache(maxsize=1024)
def unambiguous_url(target: ParsedUrl) -> str:
    """Return the URL as requests sends it.

    Raises: InvalidUrl if requests would send it to another host or port than the target's.
    """
    try:
        url = requests.Request("POST", target.url).prepare().url or ""
        origin = parse_url(url).origin
    except (RequestException, ValueError):
        raise InvalidUrl(
            "This URL cannot be requested: check it for characters that do not belong there."
        ) from None
    if origin != target.origin:
        raise InvalidUrl("This URL can be read in two ways, which lead to different hosts.")
    return url


@lru_cache(maxsize=1024)
def _own_headers(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return the headers of a channel: its credentials, and those that a user has added."""
    rows = ((row.name, row.value) for row in settings.headers)
    return (*_credentials(settings), *rows)


def _credentials(settings: Settings) -> list[tuple[str, str]]:
    if settings.auth == "basic":
        token = basic_token(settings.auth_username, settings.auth_secret)
        return [("Authorization", f"Basic {token}")]
    if settings.auth == "bearer":
        return [("Authorization", f"Bearer {settings.auth_secret}")]
    if settings.auth == "header" and settings.auth_username:
        return [(settings.auth_username, settings.auth_secret)]
    return []


def _read(http_response: requests.Response, exchange: Exchange) -> Response:
    """Return the response with its body, as far as it could be read."""
    headers = [(name, value.strip(" \t")) for name, value in http_response.raw.headers.items()]
    body = bytearray()
    incomplete = None
    invalid = False
    try:
        for piece in http_response.iter_content(MAX_BODY_BYTES + 1):
            body += piece
            if len(body) > MAX_BODY_BYTES:
                incomplete = Reason.TOO_LARGE
                break
    except ContentDecodingError:
        incomplete = Reason.PROTOCOL_ERROR
    except (ExchangeError, http.client.HTTPException, OSError) as error:
        incomplete, _ = _reason_of(error, exchange)
        invalid = incomplete in _INVALID
    return Response(
        http_response.status_code,
        tuple(headers),
        bytes(body[:MAX_BODY_BYTES]),
        incomplete=incomplete,
        invalid=invalid,
        host=exchange.target.host,
        path=exchange.target.path,
    )


def _reason_of(error: Exception, exchange: Exchange) -> tuple[Reason, str]:
    """Return the reason, and a detail for its sentence.

    An error of Tocsin itself is logged without its text, which may quote secrets.
    """
    if isinstance(error, ExchangeError):
        return error.reason, error.detail
    if (
        isinstance(error, ssl.SSLError)
        and "ALERT" in (error.reason or "")
        and not exchange.received_any
    ):
        # With TLS 1.3 the receiver may refuse a handshake that is complete for Tocsin.
        return tls.reason_of(error)
    for error_class, reason in _REASONS.items():
        if isinstance(error, error_class):
            is_sentence = isinstance(error, InvalidUrl | MessageError)
            return reason, str(error) if is_sentence else ""
    log.error("internal error in the sender: %s", format_traceback_without_message(error))
    return Reason.INTERNAL_ERROR, type(error).__name__


# The first matching row counts.
_REASONS: dict[type[Exception], Reason] = {
    InvalidUrl: Reason.INVALID_URL,
    InvalidURL: Reason.INVALID_URL,
    MessageError: Reason.TEMPLATE_ERROR,
    ConnectTimeout: Reason.TIMEOUT_CONNECT,
    TimeoutError: Reason.TIMEOUT_TOTAL,
    Timeout: Reason.TIMEOUT_TOTAL,
    ConnectionError: Reason.CONNECTION_CLOSED,
    http.client.IncompleteRead: Reason.CONNECTION_CLOSED,
    ssl.SSLEOFError: Reason.CONNECTION_CLOSED,
    ssl.SSLError: Reason.PROTOCOL_ERROR,
    requests.exceptions.SSLError: Reason.PROTOCOL_ERROR,
    http.client.HTTPException: Reason.PROTOCOL_ERROR,
    OSError: Reason.CONNECTION_CLOSED,
}
