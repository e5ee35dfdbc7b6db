"""The one door out: sends every test and every delivery, and turns whatever happens into an Outcome."""

import http.client
import logging
import ssl
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache

import requests
from requests import PreparedRequest
from requests.exceptions import RequestException
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import DecodeError, HTTPError, IncompleteRead, InvalidChunkLength, ProtocolError

from config import VERSION
from delivery.dial import Exchange, GuardError, Policy
from delivery.guard import GuardedAdapter
from delivery.masking import basic_token
from delivery.message import Message
from delivery.outcome import Outcome
from delivery.report import Answer, Report
from delivery.settings import Settings
from delivery.signing import sign
from delivery.target import InvalidUrl, Target, read_url
from delivery.tls import reason_of

USER_AGENT = f"Tocsin/{VERSION}"
BODY_BYTES = 16 * 1024

Clock = Callable[[], float]

log = logging.getLogger("tocsin.sender")
# urllib3 writes the whole URL, which is a credential, into its records.
logging.getLogger("urllib3").setLevel(logging.CRITICAL + 1)


def prepare(message: Message, settings: Settings, attempt: int, now: float) -> PreparedRequest:
    """The request with all its headers, as it goes over the wire at `now` (seconds since the epoch).

    Raises InvalidUrl when requests would send it to another host or port than was read and judged.
    """
    timestamp = int(now)
    headers = {
        "User-Agent": USER_AGENT,
        "Accept-Encoding": "gzip, deflate",
        "webhook-id": message.id,
        "webhook-timestamp": str(timestamp),
        "X-Delivery-Attempt": str(attempt),
        **({"Content-Type": message.content_type} if message.body else {}),
    }
    request = requests.Request(message.method, message.target.url, headers=headers, data=message.body or None)
    prepared = _prepared(request, message.target)
    for name, value in [*_credentials(settings), *((row.name, row.value) for row in settings.headers)]:
        prepared.headers[name] = value
    for name, value in sign(settings, message.id, timestamp, message.body):
        prepared.headers[name] = value
    return prepared


def send(
    message: Message,
    settings: Settings,
    policy: Policy,
    *,
    attempt: int = 1,
    now: Clock = time.time,
    prepared: PreparedRequest | None = None,
) -> Outcome:
    """Sends the message once, over a fresh connection, within the channel's timeout. Never raises.

    Takes the request where it is `prepared` already. Whatever happens is the Outcome's verdict; the last resort is
    `internal_error`.
    """
    began = time.monotonic()
    exchange = Exchange(message.target, policy, began + settings.timeout)
    report = Report(exchange, settings, began, now())
    try:
        request = prepared or prepare(message, settings, attempt, now())
        return report.answered(_exchanged(request, settings, exchange))
    except InvalidUrl as error:
        return report.ended("invalid_url", str(error))
    except GuardError as error:
        return report.ended(error.reason, error.detail)
    except Exception as error:  # noqa: BLE001 (the promise of this module: no failure leaves it as an exception)
        return _failed(report, exchange, error)


def _failed(report: Report, exchange: Exchange, error: Exception) -> Outcome:
    """The outcome of an exception: one of the network, or a fault of our own, which is logged without its text."""
    stages = {stage.name for stage in exchange.stages}
    handshaken = exchange.target.scheme == "http" or bool(stages & {"sent", "first byte"})
    reason, detail = _reason_of(error, handshaken)
    if reason == "internal_error":
        frames = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
        log.error("internal error in the sender: %s\n%s", type(error).__name__, frames)
    return report.ended(reason, detail)


def wire_bytes(prepared: PreparedRequest, target: Target) -> bytes:
    """The exact bytes of the request, written by the code that sends it, into a socket that leads nowhere."""
    connection = (HTTPSConnection if target.scheme == "https" else HTTPConnection)(target.host, target.port)
    connection.sock = recorder = _Recorder()
    connection.request(prepared.method or "POST", prepared.path_url, body=prepared.body, headers=prepared.headers)
    return b"".join(recorder.sent)


class _Recorder:
    def __init__(self):
        self.sent = []

    def settimeout(self, seconds):
        """Nothing here waits."""

    def sendall(self, data):
        self.sent.append(bytes(data))


@lru_cache(maxsize=1024)
def refuse_ambiguous(target: Target) -> None:
    """Raises InvalidUrl when requests would read the URL otherwise than we did. Nothing is sent or looked up."""
    _prepared(requests.Request("POST", target.url), target)


def _prepared(request: requests.Request, target: Target) -> PreparedRequest:
    try:
        prepared = request.prepare()
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


def _exchanged(prepared: PreparedRequest, settings: Settings, exchange: Exchange) -> Answer:
    adapter = GuardedAdapter(exchange, settings.verify_tls, settings.ca_pem)
    try:
        raw = adapter.send(prepared, stream=True, timeout=settings.timeout).raw
        headers = tuple((str(name), str(value)) for name, value in raw.headers.items())
        return _read(raw, Answer(raw.status, headers))
    finally:
        adapter.close()


def _read(raw, answer: Answer) -> Answer:
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
    except (HTTPError, http.client.HTTPException, OSError) as error:
        broken, _ = _reason_of(error, handshaken=True)
    finally:
        raw.close()
    return replace(answer, body=bytes(body[:BODY_BYTES]), cut=len(body) > BODY_BYTES, broken=broken)


def _pieces(raw) -> Iterator[bytes]:
    """The decoded body as it comes in: what a slow receiver has sent so far is not lost."""
    if raw.chunked:
        return raw.stream(4096, decode_content=True)
    return iter(lambda: raw.read1(4096, decode_content=True), b"")


def _reason_of(error: BaseException, handshaken: bool) -> tuple[str, str]:
    """The reason in the table for an exception of the libraries below, found behind whatever it was wrapped in."""
    chain = list(_causes(error))
    for one in chain:
        if isinstance(one, ssl.SSLError) and not handshaken and not isinstance(one, TimeoutError):
            return reason_of(one)
    if any(isinstance(one, TimeoutError) for one in chain):
        return "timeout_total", ""
    if any(isinstance(one, InvalidChunkLength) for one in chain):
        return "protocol_error", ""
    if any(isinstance(one, http.client.LineTooLong) or "got more than" in str(one) for one in chain):
        return "too_large", ""
    if any(isinstance(one, _CUT_OFF) for one in chain):
        return ("connection_closed", "") if handshaken else ("tls_handshake", "the connection was closed")
    if any(isinstance(one, http.client.HTTPException | ProtocolError) for one in chain):
        return "protocol_error", ""
    return "internal_error", type(error).__name__


# requests' own exceptions are OSErrors, and so must not stand in this list.
_CUT_OFF = (ConnectionError, ssl.SSLError, IncompleteRead, http.client.IncompleteRead, http.client.RemoteDisconnected)


def _causes(error: BaseException, depth: int = 0) -> Iterator[BaseException]:
    if depth > 8:
        return
    yield error
    behind = [error.__cause__, error.__context__, getattr(error, "reason", None), *error.args]
    for one in behind:
        if isinstance(one, BaseException):
            yield from _causes(one, depth + 1)
