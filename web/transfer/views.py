"""The pages that export channels into a file, and import them from one.

They never write a secret in clear, and an import cannot name variables or files of this machine:
an editor could send their contents to a receiver.
"""

import zlib
from base64 import b64decode, b64encode

from flask import Blueprint, make_response, render_template, request
from werkzeug.wrappers import Response

from delivery.secrets.encryption import DecryptionError
from models import AuditAction, Channel
from web import audit
from web.redirects import redirect_with
from web.services import services
from web.transfer.applying import PlanOutdated, apply_plan, describe_plan, describe_result
from web.transfer.documents import read_channels
from web.transfer.export import FileFormat, Secrets, export_channels
from web.transfer.plan import Plan, plan_import
from web.transfer.reading import FileError

bp = Blueprint("transfer", __name__, url_prefix="/channels")

MAX_PROBLEMS_SHOWN = 50
_PURPOSE = "channels to import"
_TYPES = {FileFormat.YAML: "application/yaml", FileFormat.JSON: "application/json"}


@bp.get("/export")
def export_page() -> str:
    """Offer the file of all channels."""
    return render_template("transfer/export.html", count=Channel.listed().count())


@bp.get("/export/file")
def export_file() -> Response | str:
    """Send the file of all channels."""
    try:
        form = FileFormat(request.args.get("format", FileFormat.YAML))
        secrets = Secrets(request.args.get("secrets", Secrets.FINGERPRINTS))
    except ValueError:
        return redirect_with("Choose a format.", "transfer.export_page", "bad")
    if secrets == Secrets.CLEAR:
        message = "Only the command writes secrets in clear: tocsin channels export --secrets clear"
        return redirect_with(message, "transfer.export_page", "bad")
    export = export_channels(Channel.listed(), secrets, form)
    if export.damaged:
        message = f"These channels are damaged: {' '.join(export.damaged)}"
        return redirect_with(message, "transfer.export_page", "bad")
    audit.record(AuditAction.CHANNELS_EXPORTED, f"all, secrets: {secrets}")
    headers = {
        "Content-Type": f"{_TYPES[form]}; charset=utf-8",
        "Content-Disposition": f'attachment; filename="channels.{form}"',
    }
    return make_response(export.text, 200, headers)


@bp.get("/import")
def import_page() -> str:
    """Offer to import a file."""
    return render_template("transfer/import.html")


@bp.post("/import")
def plan() -> Response:
    """Show what a file would change; nothing is written."""
    upload = request.files.get("file")
    text = request.form.get("text", "")
    name = "the typed text"
    if upload and upload.filename:
        name = upload.filename
        try:
            text = upload.read().decode("utf-8")
        except UnicodeDecodeError:
            return _import_page("", problems=["The file is not UTF-8."])
    if not text.strip():
        return _import_page("", problems=["Choose a file, or write one into the field."])
    return _show_plan(text, name)


def _show_plan(text: str, name: str, notice: str = "") -> Response:
    """Return the page with what a file changes, or with what is wrong with it."""
    try:
        planned = plan_import(read_channels(text))
    except FileError as error:
        return _import_page(text, problems=[str(error)])
    if planned.problems:
        return _import_page(text, problems=list(map(str, planned.problems)))
    page = render_template(
        "transfer/plan.html",
        name=name,
        plan=planned,
        counts=describe_plan(planned),
        token=_sealed(text, name, planned),
        notice=notice,
    )
    return make_response(page, 409 if notice else 200)


def _import_page(text: str, problems: list[str]) -> Response:
    shown = problems[:MAX_PROBLEMS_SHOWN]
    more = len(problems) - len(shown)
    page = render_template("transfer/import.html", text=text, problems=shown, more=more)
    return make_response(page, 422)


@bp.post("/import/apply")
def apply() -> Response:
    """Import the file whose plan was shown, if it still means the same."""
    try:
        values = services().keyring.decrypt(_PURPOSE, request.form.get("plan", ""))
    except DecryptionError:
        return _import_page("", problems=["The page has expired: choose the file again."])
    text = zlib.decompress(b64decode(values["text"])).decode()
    planned = plan_import(read_channels(text))
    if planned.problems or _fingerprint(planned) != values["plan"]:
        notice = "Another user has changed these channels. This is what the file changes now."
        return _show_plan(text, values["name"], notice)
    try:
        apply_plan(planned, values["name"])
    except PlanOutdated as error:
        return _show_plan(text, values["name"], str(error))
    return redirect_with(f"Imported: {describe_result(planned)}.", "channels.index")


def _sealed(text: str, name: str, planned: Plan) -> str:
    """Return the file as an encrypted token: the page does not show the secrets in it."""
    packed = b64encode(zlib.compress(text.encode())).decode()
    values = {"text": packed, "name": name, "plan": _fingerprint(planned)}
    return services().keyring.encrypt(_PURPOSE, values)


def _fingerprint(planned: Plan) -> list:
    """Return what a plan does to which versions."""
    return [[step.name, step.action, step.channel.version] for step in planned.steps]
