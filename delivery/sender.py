"""The one door out: sends every test and every delivery, and turns whatever happens into an Outcome."""

import http.client
import logging
import ssl
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import requests
from requests import PreparedRequest
from requests.exceptions import RequestException
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import DecodeError, HeaderParsingError
from urllib3.response import MultiDecoder

from config import VERSION
from delivery.classify import Report
from delivery.guard.adapter import Connection, connection_for
from delivery.guard.exchange import Exchange, ExchangeError, Policy
from delivery.guard.pool import ConnectionPool
from delivery.guard.tls import reason_of
from delivery.guard.url import InvalidUrl, ParsedUrl, parse_url
from delivery.message import Message, MessageError
from delivery.outcome import WORDS, Outcome
from delivery.redaction import basic_token, format_traceback_without_message
from delivery.response import Response
from delivery.settings import Settings
from delivery.signing import sign

USER_AGENT = f"Tocsin/{VERSION}"
BODY_BYTES = 16 * 1024
NOWHERE = parse_url("http://nowhere.invalid/")

Clock = Callable[[], float]

log = logging.getLogger("tocsin.sender")


def prepare(message: Message, settings: Settings, attempt: int, now: float) -> PreparedRequest:
    """The request with all its headers, as it goes over the wire at `now` (seconds since the epoch).

    Raises InvalidUrl when requests would send it to another host or port than was read and judged, and Unsendable when the
    message cannot be signed.
    """
    timestamp = int(now)
    headers = {
        "Host": message.target.authority,
        "User-Agent": USER_AGENT,
        "Accept-Encoding": "gzip, deflate",
        "webhook-id": message.id,
        "webhook-timestamp": str(timestamp),
        "X-Delivery-Attempt": str(attempt),
        **({"Content-Type": message.content_type} if message.body else {}),
        **(
            {"Content-Length": str(len(message.body))}
            if message.body or message.method != "GET"
            else {}
        ),
    }
    prepared = _blank(message.method, message.target).copy()
    prepared.headers, prepared.body = CaseInsensitiveDict(headers), message.body or None
    try:
        signature = sign(settings, message.id, timestamp, message.body)
    except ValueError:
        raise MessageError(WORDS["unwritable"]) from None
    own = ((row.name, row.value) for row in settings.headers)
    for name, value in [*message.headers, *_credentials(settings), *own, *signature]:
        prepared.headers[name] = value
    return prepared


class SendResult(NamedTuple):
    """A request and its outcome. `request` is None if the message cannot be written as HTTP."""

    request: PreparedRequest | None
    outcome: Outcome


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

    The connection is a new one unless `pool` has an open one to the same place. An unexpected
    exception becomes the reason `internal_error`.
    """
    exchange = Exchange(message.target, policy, settings.timeout, now())
    report = Report(exchange, settings)
    request = None
    try:
        request = prepare(message, settings, attempt, exchange.at)
        exchange.begin()
        outcome = report.answered(_exchanged(request, settings, exchange, pool), message)
    except MessageError as error:
        return SendResult(None, report.ended(*_reason_of(error, exchange)))
    except Exception as error:  # noqa: BLE001 (no failure leaves this function as an exception)
        outcome = report.ended(*_reason_of(error, exchange))
    return SendResult(request, outcome)


def unsent(error: Exception, settings: Settings, policy: Policy, now: Clock = time.time) -> Outcome:
    """The outcome of a message that could not even be made, because of this error."""
    exchange = Exchange(settings.target or NOWHERE, policy, settings.timeout, now())
    return Report(exchange, settings).ended(*_reason_of(error, exchange))


def wire_bytes(prepared: PreparedRequest, target: ParsedUrl) -> bytes:
    """The exact bytes of the request, written by the code that sends it. Raises Unsendable."""
    return Connection(target).written(prepared)


def refuse_ambiguous(target: ParsedUrl) -> None:
    """Raises InvalidUrl when requests would read the URL otherwise than we did. Nothing is sent or looked up."""
    _blank("POST", target)


@lru_cache(maxsize=1024)
def _blank(method: str, target: ParsedUrl) -> PreparedRequest:
    try:
        prepared = requests.Request(method, target.url).prepare()
        read_back = parse_url(prepared.url or "")
    except (RequestException, ValueError):
        raise InvalidUrl(
            "This URL cannot be requested as it stands: look for signs that do not belong there."
        ) from None
    if read_back.origin != target.origin:
        raise InvalidUrl("This URL can be read in two ways, which lead to different hosts.")
    return prepared


def _credentials(settings: Settings) -> list[tuple[str, str]]:
    if settings.auth == "basic":
        return [
            ("Authorization", "Basic " + basic_token(settings.auth_username, settings.auth_secret))
        ]
    if settings.auth == "bearer":
        return [("Authorization", f"Bearer {settings.auth_secret}")]
    if settings.auth == "header" and settings.auth_username:
        return [(settings.auth_username, settings.auth_secret)]
    return []


def _exchanged(
    prepared: PreparedRequest, settings: Settings, exchange: Exchange, pool: ConnectionPool | None
) -> Response:
    # What the policy allows to this path alone is part of the key: a connection to the lab is no way to what stands beside it.
    allowed = exchange.policy.lab.permissions(exchange.target)
    key = (
        exchange.target.origin,
        settings.verify_tls,
        settings.ca_pem,
        exchange.policy.ca_file,
        allowed,
    )
    if pool and (connection := pool.take(key)):
        exchange.connected = True
        exchange.record_stage("tcp", WORDS["kept"])
        try:
            return _over(connection, prepared, exchange, pool, key)
        except (OSError, http.client.HTTPException):
            if exchange.received_any:
                raise
            exchange.record_stage("first byte", WORDS["kept_gone"], ok=False)
            exchange.connected = False
    return _over(
        connection_for(exchange, settings.verify_tls, settings.ca_pem),
        prepared,
        exchange,
        pool,
        key,
    )


def _over(
    connection: Connection,
    prepared: PreparedRequest,
    exchange: Exchange,
    pool: ConnectionPool | None,
    key: tuple,
) -> Response:
    """The answer over this connection, which is kept where it can be, and else closed."""
    answer = None
    try:
        response = connection.exchange(prepared, exchange)
        # A value that was folded is one line (RFC 9112 §5.2).
        unfolded = [
            (name, [line.strip(" \t") for line in value.split("\r\n")])
            for name, value in response.getheaders()
        ]
        headers = tuple((name, " ".join(lines)) for name, lines in unfolded)
        answer = _read(
            response, Response(response.status, headers, host=exchange.target.host), exchange
        )
        return answer
    finally:
        if pool and answer and answer.whole and connection.sock is not None:
            pool.give(key, connection)
        else:
            connection.close()


def _read(response: http.client.HTTPResponse, answer: Response, exchange: Exchange) -> Response:
    """The answer with its body, as much as came in; a body that could not be read to its end says why."""
    body, broken = bytearray(), ""
    try:
        decoder = _decoder(response)
        while len(body) <= BODY_BYTES and (piece := response.read1(4096)):
            body += decoder.decompress(piece, BODY_BYTES + 1) if decoder else piece
    except (ExchangeError, DecodeError, zlib.error, http.client.HTTPException, OSError) as error:
        broken, _ = _reason_of(error, exchange)
    cut = len(body) > BODY_BYTES
    if response.length and not cut and not broken:
        broken = "connection_closed"
    response.close()
    return replace(answer, body=bytes(body[:BODY_BYTES]), cut=cut, broken=broken)


def _decoder(response: http.client.HTTPResponse) -> MultiDecoder | None:
    codings = response.getheader("Content-Encoding", "").lower()
    known = {"gzip", "x-gzip", "deflate"}.intersection(one.strip() for one in codings.split(","))
    return MultiDecoder(codings) if known else None


def _reason_of(error: Exception, exchange: Exchange) -> tuple[str, str]:
    """The reason in the table, and a detail for its sentence; a fault of our own is logged without its text."""
    if isinstance(error, ExchangeError):
        return error.reason, error.detail
    if (
        isinstance(error, ssl.SSLError)
        and "ALERT" in (error.reason or "")
        and not exchange.received_any
    ):
        return reason_of(error)
    for reason, kinds in _REASONS:
        if isinstance(error, kinds):
            return reason, str(error) if isinstance(error, InvalidUrl | MessageError) else ""
    log.error("internal error in the sender: %s", format_traceback_without_message(error))
    return "internal_error", type(error).__name__


# The first row that fits counts.
_REASONS: list[tuple[str, tuple[type[Exception], ...]]] = [
    ("invalid_url", (InvalidUrl,)),
    ("template_error", (MessageError,)),
    ("undecodable", (DecodeError, zlib.error)),
    ("timeout_total", (TimeoutError,)),
    ("connection_closed", (ConnectionError, http.client.IncompleteRead, ssl.SSLEOFError)),
    ("protocol_error", (ssl.SSLError, http.client.HTTPException, HeaderParsingError)),
    ("connection_closed", (OSError,)),
]
