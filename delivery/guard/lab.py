"""The address of the lab: created once, and stored for every process that checks targets."""

import ipaddress
import secrets

from config import Config
from config_values import AllowedTarget
from delivery.guard.addresses import LabEndpoint
from models import Fact

PATH_PREFIX = "/lab/in/"


def address(config: Config) -> LabEndpoint:
    """Return the address at which the lab of this installation receives.

    The first call creates its random part (128 bits). Needs the database.
    """
    host = config.host.lower()
    fact, _ = Fact.get_or_create(name="lab", defaults={"value": secrets.token_hex(16)})
    path = PATH_PREFIX + fact.value
    # gunicorn binds a name to IPv4 only, and [::] to both families.
    loopbacks = {"127.0.0.1"}
    if host == "::":
        loopbacks.add("::1")
    hosts = {host}
    if host.strip("0.:") == "":  # bound to every address of this machine, loopback included
        hosts |= {"localhost", *loopbacks}
    reachable = loopbacks if host == "localhost" else hosts - {"localhost"}
    permissions = tuple(_permission(name, config.port) for name in sorted(reachable))
    url = config.address.rstrip("/") + path
    return LabEndpoint(url, frozenset(hosts), config.port, path, permissions)


def _permission(host: str, port: int) -> AllowedTarget:
    """Return a permission for an address, or for the name that the server is bound to.

    An address is permitted as a network, so that a name which also resolves elsewhere opens
    nothing else.
    """
    try:
        return AllowedTarget(network=ipaddress.ip_network(host), port=port)
    except ValueError:
        return AllowedTarget(host=host, port=port)
