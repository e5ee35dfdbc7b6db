"""The one door out: sends every test and every delivery, and turns whatever happens into an Outcome."""

import http.client
import logging
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache

import requests
from requests import PreparedRequest
from requests.exceptions import RequestException
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import DecodeError, HTTPError, IncompleteRead, InvalidChunkLength, ProtocolError

from config import VERSION
from delivery.answer import Answer
from delivery.dial import Exchange, GuardError, Policy
from delivery.guard import Connection, Kept, connection_for
from delivery.masking import basic_token, trace
from delivery.message import Message, Unsendable
from delivery.outcome import WORDS, Outcome
from delivery.report import Report
from delivery.settings import Settings
from delivery.signing import sign
from delivery.target import InvalidUrl, Target, read_url
from delivery.tls import reason_of

USER_AGENT = f"Tocsin/{VERSION}"
BODY_BYTES = 16 * 1024

Clock = Callable[[], float]

log = logging.getLogger("tocsin.sender")
# urllib3 writes the whole URL, which is a credential, into its records.
for _name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.response"):
    logging.getLogger(_name).addFilter(lambda _record: False)


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
        **({"Content-Length": str(len(message.body))} if message.body or message.method != "GET" else {}),
    }
    prepared = _blank(message.method, message.target).copy()
    prepared.headers, prepared.body = CaseInsensitiveDict(headers), message.body or None
    try:
        signature = sign(settings, message.id, timestamp, message.body)
    except ValueError:
        raise Unsendable(WORDS["unwritable"]) from None
    for name, value in [*_credentials(settings), *((row.name, row.value) for row in settings.headers), *signature]:
        prepared.headers[name] = value
    return prepared


def send(
    message: Message,
    settings: Settings,
    policy: Policy,
    *,
    attempt: int = 1,
    now: Clock = time.time,
    seen: Callable[[PreparedRequest], None] = lambda _request: None,
    kept: Kept | None = None,
) -> Outcome:
    """Sends the message once, within the channel's timeout. Never raises.

    `seen` gets the request before it leaves. The connection is a fresh one, as for every test, unless `kept` has one for the
    same place. Whatever happens is the Outcome's verdict; the last resort is `internal_error`.
    """
    began = time.monotonic()
    exchange = Exchange(message.target, policy, began + settings.timeout, now())
    report = Report(exchange, settings, began)
    try:
        request = prepare(message, settings, attempt, exchange.at)
        seen(request)
        return report.answered(_exchanged(request, settings, exchange, kept), message.judge)
    except InvalidUrl as error:
        return report.ended("invalid_url", str(error))
    except Unsendable as error:
        return report.ended("template_error", str(error))
    except GuardError as error:
        return report.ended(error.reason, error.detail)
    except Exception as error:  # noqa: BLE001 (the promise of this module: no failure leaves it as an exception)
        return _failed(report, exchange, error)


def _failed(report: Report, exchange: Exchange, error: Exception) -> Outcome:
    """The outcome of an exception: one of the network, or a fault of our own, which is logged without its text."""
    reason, detail = _reason_of(error, exchange)
    if reason == "internal_error":
        log.error("internal error in the sender: %s", trace(error))
    return report.ended(reason, detail)


def wire_bytes(prepared: PreparedRequest, target: Target) -> bytes:
    """The exact bytes of the request, written by the code that sends it. Raises Unsendable."""
    return Connection(target).written(prepared)


def refuse_ambiguous(target: Target) -> None:
    """Raises InvalidUrl when requests would read the URL otherwise than we did. Nothing is sent or looked up."""
    _blank("POST", target)


@lru_cache(maxsize=1024)
def _blank(method: str, target: Target) -> PreparedRequest:
    try:
        prepared = requests.Request(method, target.url).prepare()
        read_back = read_url(prepared.url or "")
    except (RequestException, ValueError):
        raise InvalidUrl("This URL cannot be requested as it stands: look for signs that do not belong there.") from None
    if read_back.origin != target.origin:
        raise InvalidUrl("This URL can be read in two ways, which lead to different hosts.")
    return prepared


def _credentials(settings: Settings) -> list[tuple[str, str]]:
    if settings.auth == "basic":
        return [("Authorization", "Basic " + basic_token(settings.auth_username, settings.auth_secret))]
    if settings.auth == "bearer":
        return [("Authorization", f"Bearer {settings.auth_secret}")]
    if settings.auth == "header" and settings.auth_username:
        return [(settings.auth_username, settings.auth_secret)]
    return []


def _exchanged(prepared: PreparedRequest, settings: Settings, exchange: Exchange, kept: Kept | None) -> Answer:
    key = (exchange.target.origin, settings.verify_tls, settings.ca_pem, exchange.policy.ca_file)
    if kept and (connection := kept.take(key)):
        exchange.connected = True
        exchange.lap("tcp", WORDS["kept"])
        try:
            return _over(connection, prepared, exchange, kept, key)
        except (OSError, http.client.HTTPException):
            if exchange.heard:
                raise
            exchange.lap("first byte", WORDS["kept_gone"], ok=False)
            exchange.connected = False
    return _over(connection_for(exchange, settings.verify_tls, settings.ca_pem), prepared, exchange, kept, key)


def _over(connection: Connection, prepared: PreparedRequest, exchange: Exchange, kept: Kept | None, key: tuple) -> Answer:
    """The answer over this connection, which is kept where it can be, and else closed."""
    try:
        raw = connection.exchange(prepared, exchange)
        headers = tuple((str(name), str(value)) for name, value in raw.headers.items())
        answer = _read(raw, Answer(raw.status, headers), exchange)
        if kept and answer.whole and connection.sock is not None:
            kept.give(key, connection)
            return answer
    except BaseException:
        connection.close()
        raise
    connection.close()
    return answer


def _read(raw, answer: Answer, exchange: Exchange) -> Answer:
    """The answer with its body; a body that could not be read to its end says why."""
    body = bytearray()
    broken = ""
    try:
        for piece in _pieces(raw):
            body += piece
            if len(body) > BODY_BYTES:
                break
    except GuardError as error:
        broken = error.reason
    except DecodeError:
        broken = "undecodable"
    except ValueError:
        broken = "protocol_error"  # http.client takes the size of a chunk as int() reads it
    except (HTTPError, http.client.HTTPException, OSError) as error:
        broken, _ = _reason_of(error, exchange)
    if broken or len(body) > BODY_BYTES:
        raw.close()
    return replace(answer, body=bytes(body[:BODY_BYTES]), cut=len(body) > BODY_BYTES, broken=broken)


def _pieces(raw) -> Iterator[bytes]:
    """The decoded body as it comes in: what a slow receiver has sent so far is not lost."""
    if raw.chunked and raw.status not in (204, 304):
        return raw.stream(4096, decode_content=True)
    return iter(lambda: raw.read1(4096, decode_content=True), b"")


def _reason_of(error: BaseException, exchange: Exchange) -> tuple[str, str]:
    """The reason in the table for an exception of the libraries below, found behind whatever it was wrapped in."""
    chain = list(_causes(error))
    alert = next((one for one in chain if isinstance(one, ssl.SSLError) and "ALERT" in (one.reason or "")), None)
    if alert and not exchange.heard:
        return reason_of(alert)
    for reason, kinds in _REASONS:
        if any(isinstance(one, kinds) for one in chain):
            return reason, ""
    return "internal_error", type(error).__name__


# The first row that fits counts. A bare ProtocolError is urllib3's word for chunks that end too early.
_REASONS: list[tuple[str, tuple[type[BaseException], ...]]] = [
    ("timeout_total", (TimeoutError,)),
    ("protocol_error", (InvalidChunkLength,)),
    ("connection_closed", (ConnectionError, IncompleteRead, http.client.IncompleteRead, ssl.SSLEOFError)),
    ("protocol_error", (ssl.SSLError,)),
    ("protocol_error", (http.client.HTTPException,)),
    ("connection_closed", (ProtocolError,)),
    ("protocol_error", (HTTPError,)),
    ("connection_closed", (OSError,)),
]


def _causes(error: BaseException, depth: int = 0) -> Iterator[BaseException]:
    if depth > 8:
        return
    yield error
    behind = [error.__cause__, error.__context__, getattr(error, "reason", None), *error.args]
    for one in behind:
        if isinstance(one, BaseException):
            yield from _causes(one, depth + 1)
