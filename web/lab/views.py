"""The pages of the lab: its receivers, and the requests that they got."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import abort, make_response, render_template, request
from peewee import fn
from werkzeug.wrappers import Response

from clock import now_ms
from delivery.outbox import OutboxFull
from models import AuditAction, LabReceiver, LabRequest, db
from web import audit
from web.lab.channels import channels_of, seal, settings_of, url_of
from web.lab.forms import SEQUENCE, ReceiverForm, ResponseForm, SignatureForm
from web.lab.received import pace_after, read_inbox
from web.lab.receiving import bp
from web.lab.responses import RESPONSES, Turn, kinds_that_fail
from web.lab.sample import Recipients, matchers_for, recipients_of, sample_of
from web.lab.signatures import SIGNATURE_HEADERS, Signer
from web.redirects import redirect_with
from web.services import services

MAX_RECEIVERS = 20
TOUR = "Tour"
_NO_RECEIVER = "There is no such receiver in the lab. It may have been deleted."
_SCHEMES = {
    "none": "None: signatures are not checked",
    "standard": "Standard Webhooks (webhook-signature)",
    "github": "GitHub style (X-Hub-Signature-256)",
    "grafana": "Grafana style (X-Grafana-Alerting-Signature)",
}


class ListedReceiver(NamedTuple):
    """A receiver as the list shows it: with the number and the time of its requests."""

    row: LabReceiver
    url: str
    responses: str
    request_count: int = 0
    latest_at: int | None = None


@bp.get("/lab")
def index():
    """List the receivers."""
    return _index_page(ReceiverForm())


def _index_page(form: ReceiverForm, status: int = 200) -> Response:
    columns: Any = (LabRequest.receiver, fn.COUNT(LabRequest.id), fn.MAX(LabRequest.at))
    rows: Any = LabRequest.select(*columns).group_by(columns[0]).tuples()
    counts = {receiver_id: figures for receiver_id, *figures in rows}
    receivers = []
    for row in LabReceiver.listed():
        figures = counts.get(row.id, ())
        receivers.append(ListedReceiver(row, url_of(row), Turn.of(row).described, *figures))
    html = render_template(
        "lab/index.html",
        receivers=receivers,
        tour=next((one for one in receivers if one.row.name == TOUR), None),
        tour_name=TOUR,
        form=form,
        max_receivers=MAX_RECEIVERS,
        sequence=SEQUENCE,
    )
    return make_response(html, status)


@bp.post("/lab")
def create():
    """Create a receiver, and go to its page."""
    form = ReceiverForm(request.form)
    if not form.validate():
        return _index_page(form, 422)
    paths: Any = services().policy.lab.paths
    with db.atomic():
        if LabReceiver.select().count() >= MAX_RECEIVERS:
            form.name.errors = [
                f"There are {MAX_RECEIVERS} receivers already, and no more are possible. Delete "
                "one that is not needed."
            ]
            return _index_page(form, 422)
        columns = {"name": form.name.data, "path": paths.new(), "created_at": now_ms()}
        receiver = LabReceiver.create(**columns, **form.values)
    audit.record(AuditAction.LAB_CHANGED, f"receiver “{receiver.name}” created")
    message = "The receiver is ready."
    return redirect_with(message, "lab.receiver", receiver_id=receiver.id)


@bp.get("/lab/<int:receiver_id>")
def receiver(receiver_id: int):
    """Show a receiver and its latest requests."""
    return _receiver_page(receiver_id)


def _get_or_404(receiver_id: int) -> LabReceiver:
    return LabReceiver.get_or_none(LabReceiver.id == receiver_id) or abort(404, _NO_RECEIVER)


def _receiver_page(
    receiver_id: int,
    response_form: ResponseForm | None = None,
    signature_form: SignatureForm | None = None,
) -> Response:
    """Return the page of a receiver; with a form that is not valid, the answer is 422."""
    now = now_ms()
    row, requests = read_inbox(receiver_id) or abort(404, _NO_RECEIVER)
    channels = channels_of(row)
    settings = settings_of(row)
    if signature_form is None:
        columns = {"signing": row.signing, "timestamp_header": row.timestamp_header}
        signature_form = SignatureForm(data=columns)
    html = render_template(
        "lab/receiver.html",
        receiver=row,
        is_tour=row.name == TOUR,
        url=url_of(row),
        channels=channels,
        signers=_other_signers(row, channels),
        matchers=matchers_for(row),
        recipients=_recipients(row, channels, now),
        responses=RESPONSES,
        turn=Turn.of(row),
        response_form=response_form or ResponseForm.of(row),
        signature_form=signature_form,
        schemes=_SCHEMES,
        has_secret=bool(settings.signing_secret),
        lost_secret=bool(row.sealed) and not settings.signing_secret,
        kinds_that_fail=kinds_that_fail(),
        **_live(requests, 0, now, now),
    )
    response = make_response(html)
    if signature_form.errors or (response_form and response_form.errors):
        response.status_code = 422
    return response


def _other_signers(row: LabReceiver, channels: list[Signer]) -> list[Signer]:
    """Return the channels that send here with a secret that this receiver does not have."""
    own = settings_of(row)
    others = []
    for channel in channels:
        settings = channel.settings
        signs = settings.signing in SIGNATURE_HEADERS and settings.signing_secret
        same = (settings.signing, settings.signing_secret) == (own.signing, own.signing_secret)
        if signs and not same:
            others.append(channel)
    return others


def _recipients(row: LabReceiver, channels: list[Signer], now: int) -> Recipients:
    return recipients_of(row, {channel.id for channel in channels}, now)


def _live(requests: list, after: int, since: int, now: int) -> dict[str, object]:
    """Return what a page needs to show requests and to ask for the next ones."""
    if requests:
        after = requests[0].row.id
    pace = pace_after(now - since)
    return {"requests": requests, "after": after, "since": since, "pace": pace}


@bp.get("/lab/<int:receiver_id>/requests")
def updates(receiver_id: int):
    """Return the requests after those that a page shows; 204 if nothing changes on it."""
    now = now_ms()
    after = _number("after")
    row, requests = read_inbox(receiver_id, after) or abort(404, _NO_RECEIVER)
    since = _number("since")
    if requests:
        since = now
    live = _live(requests, after, since, now)
    if not requests and str(live["pace"]) == request.args.get("pace"):
        return "", 204
    return render_template("lab/_updates.html", receiver=row, turn=Turn.of(row), **live)


def _number(name: str) -> int:
    text = request.args.get(name, "")
    if re.fullmatch("[0-9]{1,18}", text, re.ASCII):
        return int(text)
    return 0


@bp.post("/lab/<int:receiver_id>/response")
def select_response(receiver_id: int):
    """Select the responses that a receiver sends from now on."""
    row = _get_or_404(receiver_id)
    form = ResponseForm(request.form)
    if not form.validate():
        return _receiver_page(row.id, response_form=form)
    _update(row, form.values)
    message = f"Response from now on: {Turn.of(_get_or_404(receiver_id)).described}."
    return redirect_with(message, "lab.receiver", receiver_id=row.id)


def _update(row: LabReceiver, values: Mapping[str, object]) -> None:
    LabReceiver.update(**values).where(LabReceiver.id == row.id).execute()


@bp.post("/lab/<int:receiver_id>/signature")
def select_signature(receiver_id: int):
    """Select how requests must be signed: as entered, or as a channel that sends here does."""
    row = _get_or_404(receiver_id)
    form = SignatureForm(request.form, stored_secret=settings_of(row).signing_secret)
    if "channel" in request.form:
        return _take_secret(row, request.form["channel"])
    if not form.validate():
        return _receiver_page(row.id, signature_form=form)
    scheme = form.signing.data
    _store_secret(row, scheme, form.effective_secret, form.timestamp_header.data)
    message = "The signature of each request is checked."
    if scheme == "none":
        message = "Signatures are not checked. The secret was deleted."
    return redirect_with(message, "lab.receiver", receiver_id=row.id)


def _take_secret(row: LabReceiver, channel_id: str) -> Response:
    """Give a receiver the secret of a channel, as if it was entered."""
    for channel in _other_signers(row, channels_of(row)):
        if str(channel.id) == channel_id:
            settings = channel.settings
            header = settings.signing_timestamp_header
            _store_secret(row, settings.signing, settings.signing_secret, header)
            detail = f"receiver “{row.name}” took the secret of “{channel.name}”"
            audit.record(AuditAction.LAB_CHANGED, detail)
            message = f"The receiver has the secret of “{channel.name}”, and checks each signature."
            return redirect_with(message, "lab.receiver", receiver_id=row.id)
    message = "This channel does not sign, or it does not send here any more. Nothing was changed."
    return redirect_with(message, "lab.receiver", "bad", receiver_id=row.id)


def _store_secret(row: LabReceiver, scheme: str, secret: str, timestamp_header: str) -> None:
    """Store how requests must be signed; without a scheme, no secret is kept."""
    # Inside the transaction, as delivery/secrets/encryption.py explains.
    with db.atomic():
        columns = {"signing": scheme, "timestamp_header": "", "sealed": ""}
        if scheme != "none":
            columns["sealed"] = seal(row, secret)
        if scheme == "grafana":
            columns["timestamp_header"] = timestamp_header
        _update(row, columns)


@bp.post("/lab/<int:receiver_id>/alert")
def send_alert(receiver_id: int):
    """Store the sample alert for the channels that the page named, and start the sequence over."""
    row = _get_or_404(receiver_id)
    now = now_ms()
    recipients = _recipients(row, channels_of(row), now)
    problem = ""
    if not recipients.ids:
        problem = "No channel matches the alert, so nothing was sent. Create a channel first."
    elif request.form.get("channels", "") != ",".join(map(str, recipients.ids)):
        problem = (
            "The alert now goes to other channels than this page said, so nothing was sent. See "
            "which ones, and press the button again."
        )
    else:
        problem = _store_sample(row, now)
    if problem:
        return redirect_with(problem, "lab.receiver", "bad", receiver_id=row.id)
    audit.record(AuditAction.LAB_CHANGED, f"receiver “{row.name}”: sample alert sent")
    message = "The alert is stored. What this receiver gets of it appears below."
    return redirect_with(message, "lab.receiver", receiver_id=row.id)


def _store_sample(row: LabReceiver, now: int) -> str:
    """Store the sample alert, and return what went wrong."""
    _update(row, {"served": 0})
    try:
        services().batch_writer.store([sample_of(row, now)], now)
    except OutboxFull:
        return "Too many deliveries are waiting. Nothing was sent: try again later."
    return ""


@bp.post("/lab/<int:receiver_id>/clear")
def clear(receiver_id: int):
    """Delete the received requests."""
    row = _get_or_404(receiver_id)
    LabRequest.delete().where(LabRequest.receiver == row.id).execute()
    message = "The received requests were deleted."
    return redirect_with(message, "lab.receiver", receiver_id=row.id)


@bp.post("/lab/<int:receiver_id>/delete")
def delete(receiver_id: int):
    """Delete a receiver and its requests."""
    row = _get_or_404(receiver_id)
    LabReceiver.delete().where(LabReceiver.id == row.id).execute()
    audit.record(AuditAction.LAB_CHANGED, f"receiver “{row.name}” deleted")
    message = f"The receiver “{row.name}” was deleted. Its address answers 404."
    return redirect_with(message, "lab.index")
