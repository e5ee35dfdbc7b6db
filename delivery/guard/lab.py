"""The lab's receiving address: made once, kept, and told to every process that judges where a channel may send."""

import ipaddress
import secrets

from config import Config
from config_values import AllowedTarget
from delivery.guard.addresses import LabEndpoint
from models import Fact, db

IN = "/lab/in/"


def address(config: Config) -> LabEndpoint:
    """Where the lab receives, as this installation is bound; its random part is made at the first call, 128 bits long.

    Needs the database.
    """
    host, path = config.host.lower(), IN + _random()
    everywhere = host.strip("0.:") == ""  # bound to every address of this machine, its loopback too
    # gunicorn binds a name to IPv4 alone, and [::] to both.
    loopbacks = {"127.0.0.1", "::1"} if host == "::" else {"127.0.0.1"}
    hosts = {host, "localhost", *loopbacks} if everywhere else {host}
    reached = loopbacks if host == "localhost" else hosts - {"localhost"}
    permissions = tuple(_permission(one, config.port) for one in sorted(reached))
    return LabEndpoint(
        config.address.rstrip("/") + path, frozenset(hosts), config.port, path, permissions
    )


def _random() -> str:
    with db.atomic():
        fact = Fact.get_or_none(Fact.name == "lab") or Fact.create(
            name="lab", value=secrets.token_hex(16)
        )
    return fact.value


def _permission(host: str, port: int) -> AllowedTarget:
    """An address is allowed as such, so that a name which leads elsewhere too opens nothing; a name of the bind as a name."""
    try:
        return AllowedTarget(network=ipaddress.ip_network(host), port=port)
    except ValueError:
        return AllowedTarget(host=host, port=port)
