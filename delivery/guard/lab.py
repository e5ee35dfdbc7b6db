"""The addresses of the lab, which every process recognizes without asking the database."""

import hmac
import ipaddress
import re
import secrets
from dataclasses import dataclass, field, replace

from config import Config
from config.networks import AllowedTarget
from delivery.guard.addresses import LabEndpoint
from models import Fact

PATH_PREFIX = "/lab/in/"
_FIRST_PATH = "lab"  # the fact with the address of the only receiver of earlier versions
_KEY = "lab key"
_SIGNED = re.compile("([0-9a-f]{24})([0-9a-f]{24})", re.ASCII)


@dataclass(frozen=True)
class LabPaths:
    """The paths of the lab's receivers: `/lab/in/` and a random part that this key signs.

    The signature lets a process know the receivers that another one has created since. `first` is
    the path of an earlier version, which is not signed; empty without one. The path of a deleted
    receiver is still one of the lab's, where nothing receives.
    """

    key: str = field(repr=False)
    first: str = field(default="", repr=False)

    def new(self) -> str:
        """Return the random part of a new path: 96 bits, and as many of their signature."""
        number = secrets.token_hex(12)
        return number + self._signature(number)

    def __contains__(self, path: object) -> bool:
        """Return True if the lab may receive at exactly this path."""
        if not isinstance(path, str):
            return False
        if self.first and hmac.compare_digest(path.encode(), self.first.encode()):
            return True
        parts = _SIGNED.fullmatch(path.removeprefix(PATH_PREFIX))
        if parts is None or not path.startswith(PATH_PREFIX):
            return False
        return hmac.compare_digest(parts[2], self._signature(parts[1]))

    def _signature(self, number: str) -> str:
        return hmac.digest(self.key.encode(), number.encode(), "sha256").hex()[:24]


def address(config: Config) -> LabEndpoint:
    """Return the addresses at which the lab of this installation receives.

    Needs the database: the first call of all creates the key of the paths.
    """
    host = config.host.lower()
    key, _ = Fact.get_or_create(name=_KEY, defaults={"value": secrets.token_hex(32)})
    paths = LabPaths(key.value)
    first = Fact.get_or_none(Fact.name == _FIRST_PATH)
    if first:
        paths = replace(paths, first=PATH_PREFIX + first.value)
    # gunicorn binds a name to IPv4 only, and [::] to both families.
    loopbacks = {"127.0.0.1"}
    if host == "::":
        loopbacks.add("::1")
    hosts = {host}
    if host.strip("0.:") == "":  # bound to every address of this machine, loopback included
        hosts |= {"localhost", *loopbacks}
    reachable = loopbacks if host == "localhost" else hosts - {"localhost"}
    permissions = tuple(_permission(name, config.port) for name in sorted(reachable))
    origin = config.address.rstrip("/")
    return LabEndpoint(origin, frozenset(hosts), config.port, paths, permissions)


def _permission(host: str, port: int) -> AllowedTarget:
    """Return a permission for an address, or for the name that the server is bound to.

    An address is permitted as a network, so that a name which also resolves elsewhere opens
    nothing else.
    """
    try:
        return AllowedTarget(network=ipaddress.ip_network(host), port=port)
    except ValueError:
        return AllowedTarget(host=host, port=port)
