"""The channels that send to a receiver of the lab, and the receiver's own signing secret."""

from delivery.guard.lab import PATH_PREFIX
from delivery.secrets.encryption import DecryptionError, lab_purpose
from delivery.settings import Settings, read_settings
from models import Channel, LabReceiver
from web.lab.signatures import Signer
from web.services import services


def url_of(receiver: LabReceiver) -> str:
    """Return the receiving address."""
    return services().policy.lab.origin + PATH_PREFIX + receiver.path


def channels_of(receiver: LabReceiver) -> list[Signer]:
    """Return the channels that send to a receiver; those that cannot be decrypted are left out."""
    found = []
    for channel in Channel.listed():
        if not _may_send_to_lab(channel):
            continue
        settings, problem = read_settings(channel, services().keyring)
        target = settings.target
        if not problem and target and target.path == PATH_PREFIX + receiver.path:
            found.append(Signer(channel.id, channel.name, settings))
    return found


def _may_send_to_lab(channel: Channel) -> bool:
    """Return True if a channel sends to the host and port of the lab: only then it is decrypted."""
    lab = services().policy.lab
    target = Settings(url=channel.origin).target
    if target is None:
        return False
    return (target.scheme, target.port) == ("http", lab.port) and target.host in lab.hosts


def settings_of(receiver: LabReceiver) -> Settings:
    """Return how requests to a receiver must be signed; not at all if its secret is damaged."""
    secret = ""
    if receiver.sealed:
        try:
            values = services().keyring.decrypt(lab_purpose(receiver.id), receiver.sealed)
            secret = str(values.get("signing_secret", ""))
        except DecryptionError:
            return Settings()
    return Settings(
        signing=receiver.signing,
        signing_secret=secret,
        signing_timestamp_header=receiver.timestamp_header,
    )


def seal(receiver: LabReceiver, secret: str) -> str:
    """Return the signing secret of a receiver as its row stores it."""
    return services().keyring.encrypt(lab_purpose(receiver.id), {"signing_secret": secret})
