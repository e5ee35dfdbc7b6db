"""What an attempt ends in, as a value, and the one table that gives each reason its actor, its verdict and its words."""

from dataclasses import dataclass
from http import HTTPStatus

DELIVERED, ACCEPTED, RETRY, FAILED, GONE, BLOCKED = "delivered", "accepted", "retry", "failed", "gone", "blocked"
INPUT, POLICY, NETWORK, RECEIVER, PROXY, TOCSIN = "input", "policy", "network", "receiver", "proxy", "tocsin"


@dataclass(frozen=True)
class Reason:
    """One row of the table. `says` and `hint` may hold {receiver}, {answer}, {detail} and {seconds}."""

    actor: str
    verdict: str
    says: str
    hint: str = ""


@dataclass(frozen=True)
class Stage:
    """One step of an exchange: its name, how long it took, what it found, and whether it went well."""

    name: str
    milliseconds: float
    detail: str = ""
    ok: bool = True


@dataclass(frozen=True)
class Outcome:
    """How one HTTP exchange ended. Texts are masked; `excerpt` and `headers` are the receiver's and stay hostile.

    `status` is the receiver's (None when there was no answer), `milliseconds` the whole exchange, `retry_after` seconds.
    """

    verdict: str
    reason: str
    actor: str
    says: str
    hint: str
    receiver: str
    milliseconds: float
    status: int | None = None
    stages: tuple[Stage, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    excerpt: str = ""
    excerpt_cut: bool = False
    retry_after: float | None = None

    @property
    def good(self) -> bool:
        """Whether the receiver took the message, as far as it says so itself."""
        return self.verdict in (DELIVERED, ACCEPTED)

    @property
    def sent(self) -> bool:
        """Whether the request went out, whatever came of it."""
        return any(stage.name == "sent" and stage.ok for stage in self.stages)


_FINE = "Tocsin is fine."

REASONS = {
    "ok": Reason(RECEIVER, DELIVERED, "The receiver {receiver} answered {answer}: it took the message."),
    "ok_truncated": Reason(
        RECEIVER,
        DELIVERED,
        "The receiver {receiver} answered {answer}: it took the message. The end of its answer was not read.",
        "Nothing to do. The answer was long or slow, and its status already says that the message arrived.",
    ),
    "accepted": Reason(
        RECEIVER,
        ACCEPTED,
        "The receiver {receiver} answered {answer}: it has queued the message, and confirms nothing more.",
        "Look there whether the message came through.",
    ),
    "http_status": Reason(RECEIVER, FAILED, "The receiver {receiver} answered {answer}. " + _FINE),
    "redirect": Reason(
        RECEIVER,
        FAILED,
        "The receiver {receiver} answered {answer} and points to {detail}. Tocsin follows no redirects.",
        "If you trust that address, put it into the URL field and test again.",
    ),
    "body_says_error": Reason(
        RECEIVER,
        FAILED,
        "The receiver {receiver} answered {answer}, but its body says that it refused the message: {detail}. " + _FINE,
        "Read its answer below; the receiver's own documentation explains the code.",
    ),
    "too_large": Reason(
        RECEIVER,
        RETRY,
        "The receiver {receiver} sent more than Tocsin reads, before anything could be judged. " + _FINE,
        "Check that the URL leads to a webhook and not to a page or a download.",
    ),
    "timeout_connect": Reason(
        NETWORK,
        RETRY,
        "{receiver} did not take a connection in time. " + _FINE,
        "Check that the host is up, that the port is right, and that no firewall drops what comes from here.",
    ),
    "timeout_total": Reason(
        RECEIVER,
        RETRY,
        "The receiver {receiver} took the connection but did not finish its answer within {seconds} s. " + _FINE,
        "The receiver is slow or stuck: look at its log. If it always needs longer, raise the timeout of this channel.",
    ),
    "connect_refused": Reason(
        NETWORK,
        RETRY,
        "{receiver} could not be reached: {detail}. " + _FINE,
        "Check that the receiver is running and that host and port in the URL are right.",
    ),
    "connection_closed": Reason(
        RECEIVER,
        RETRY,
        "The receiver {receiver} closed the connection before its answer was complete. " + _FINE,
        "Look at the receiver's log: it crashed, restarted, or something between here and there cut the connection.",
    ),
    "protocol_error": Reason(
        RECEIVER,
        RETRY,
        "What answered at {receiver} does not speak proper HTTP. " + _FINE,
        "Check the port. If the receiver wants https, the URL must begin with https://.",
    ),
    "tls_expired": Reason(
        RECEIVER, RETRY, "The certificate of {receiver} has expired. " + _FINE, "Renew the certificate at the receiver."
    ),
    "tls_not_yet_valid": Reason(
        RECEIVER,
        RETRY,
        "The certificate of {receiver} is not valid yet.",
        "Check the clocks of this machine and of the receiver.",
    ),
    "tls_self_signed": Reason(
        RECEIVER,
        RETRY,
        "The certificate of {receiver} is signed by itself, so nobody vouches for it. " + _FINE,
        "If that is intended, paste the certificate into this channel's field for certificate authorities.",
    ),
    "tls_untrusted": Reason(
        RECEIVER,
        RETRY,
        "The certificate of {receiver} comes from an authority that this machine does not know. " + _FINE,
        "If it is your own authority, paste its certificate into this channel, or name it in TOCSIN_CA_FILE for all channels. "
        "A receiver that leaves out its intermediate certificate looks the same.",
    ),
    "tls_hostname": Reason(
        RECEIVER,
        RETRY,
        "The certificate of {receiver} is for another name: {detail}. " + _FINE,
        "Use the name that stands in the certificate, or have the receiver's certificate issued anew.",
    ),
    "tls_protocol": Reason(
        RECEIVER,
        RETRY,
        "{receiver} and Tocsin have no version of TLS in common. " + _FINE,
        "The receiver must offer TLS 1.2 or 1.3.",
    ),
    "tls_handshake": Reason(
        RECEIVER,
        RETRY,
        "The TLS handshake with {receiver} failed: {detail}. " + _FINE,
        "Look at the receiver's log; it may want a client certificate or another cipher.",
    ),
    "tls_not_tls": Reason(
        RECEIVER,
        RETRY,
        "{receiver} does not speak TLS on this port. " + _FINE,
        "Check the port, or begin the URL with http:// if the receiver really has no https.",
    ),
    "dns_failure": Reason(
        NETWORK,
        RETRY,
        "The name {receiver} could not be found: {detail}. " + _FINE,
        "Check the spelling of the host. Inside containers, both must be in one network.",
    ),
    "dns_timeout": Reason(
        NETWORK,
        RETRY,
        "Nobody said in time which address {receiver} has. " + _FINE,
        "The name server of this machine is slow or down: look at its /etc/resolv.conf.",
    ),
    "blocked_address": Reason(
        POLICY,
        BLOCKED,
        "Nothing was sent: {detail}",
        "Tocsin sends to public addresses, and to those that it was told to allow.",
    ),
    "invalid_url": Reason(INPUT, FAILED, "Nothing was sent: the URL cannot be used. {detail}", "Mend the URL field."),
    "template_error": Reason(INPUT, FAILED, "Nothing was sent: the message could not be made. {detail}", "Mend the message."),
    "internal_error": Reason(
        TOCSIN,
        RETRY,
        "Tocsin itself failed while sending to {receiver}; the receiver is not to blame ({detail}).",
        "This is a fault of ours: please report it with the lines of Tocsin's log of this moment.",
    ),
}

_STATUS_HINTS = {
    400: "The receiver did not like the message: read its answer below, and compare the message with what it expects.",
    401: "It wants credentials, or does not know the ones it got: check the authentication of this channel.",
    403: "It knows who asks and refuses: check the credentials, and whether the receiver admits this machine's address.",
    404: "The host is right, the path is not: compare the URL letter by letter with the one the receiver gave you.",
    405: "It does not take this method here: change the method, or check the path.",
    406: "It cannot answer in a form that is accepted here: check the headers of this channel.",
    407: "A proxy in between wants credentials. Tocsin uses none: the receiver must be reachable directly.",
    408: "The receiver gave up waiting for the message. Deliveries are tried again by themselves.",
    410: "The receiver says that this hook is gone for good: make a new one there, and put its URL here.",
    411: "Something in between wants the message in another form: check that the URL leads straight to the receiver.",
    413: "The message is too large for it: shorten the payload.",
    415: "It wants another content type: check the headers of this channel and what the receiver expects.",
    421: "Another server answered than the one meant: check host and port.",
    422: "It understood the message but not its content: compare the message with what the receiver expects.",
    425: "The receiver is not ready for it yet. Deliveries are tried again by themselves.",
    429: "The receiver has had too many messages. Deliveries wait and are tried again by themselves.",
    500: "The receiver failed by itself: its log says why. Deliveries are tried again by themselves.",
    501: "The receiver does not know this method: change the method.",
    502: "A gateway answered: the receiver behind it is down or broken. Deliveries are tried again by themselves.",
    503: "The receiver is overloaded or being maintained. Deliveries are tried again by themselves.",
    504: "A gateway answered: the receiver behind it is too slow. Deliveries are tried again by themselves.",
}


def status_hint(status: int) -> str:
    """What to do next after an answer with this status."""
    if status in _STATUS_HINTS:
        return _STATUS_HINTS[status]
    if 500 <= status <= 599:
        return _STATUS_HINTS[500]
    return "Read its answer below; the receiver's documentation explains this status."


def status_line(status: int) -> str:
    """The status with its registered phrase: `404 Not Found`. What phrase the receiver sent is not repeated."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
