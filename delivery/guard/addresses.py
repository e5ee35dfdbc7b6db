"""The address policy: where a channel may send. Pure; the same for the form, and at every connect."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from config_values import AllowedTarget
from delivery.guard.url import Address, ParsedUrl, literal_address
from delivery.outcome import WORDS

# A machine's own credentials lie behind these (AWS with its ECS and EKS agents, GCP, Azure, DigitalOcean, Oracle, Alibaba,
# Tencent, Scaleway): never.
_METADATA_TEXTS = """
    169.254.169.254 169.254.170.2 169.254.170.23 169.254.0.23 169.254.42.42 100.100.100.200 192.0.0.192
    fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:42::42"""
_METADATA = frozenset(map(ipaddress.ip_address, _METADATA_TEXTS.split()))

# What `is_global` passes in one Python release or another although it leads inside. Of IPv6 only 2000::/3 is given out as
# global unicast (IANA's registry), so whatever lies outside it (mapped, compatible, NAT64, site-local, multicast) is not;
# and of that not Teredo, ORCHID and benchmarking, documentation, 6to4, and documentation again.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_INSIDE_TEXTS = """
    192.0.0.0/24 192.88.99.0/24 198.18.0.0/15 224.0.0.0/4 240.0.0.0/4 168.63.129.16/32
    2001::/23 2001:db8::/32 2002::/16 3fff::/20"""
_INSIDE = list(map(ipaddress.ip_network, _INSIDE_TEXTS.split()))


@dataclass(frozen=True)
class LabEndpoint:
    """Where the lab receives: the one target inside that needs no permission. Without a host it is nowhere.

    `url` is the address to copy; `hosts` are the ways to spell it, `allows` what it comes down to at a connect.
    """

    url: str = field(default="", repr=False)
    hosts: frozenset[str] = frozenset()
    port: int = 0
    path: str = field(default="", repr=False)
    allows: tuple[AllowedTarget, ...] = ()

    def permissions(self, target: ParsedUrl) -> tuple[AllowedTarget, ...]:
        """What this target may reach without being allowed: our address if it is exactly that, with any query; else nothing."""
        same = (target.scheme, target.port, target.path) == ("http", self.port, self.path)
        return self.allows if same and target.host in self.hosts else ()


NOWHERE = LabEndpoint()


def why_refused(
    address: Address, host: str, port: int, allowed: Iterable[AllowedTarget]
) -> str | None:
    """Why `address`, reached as `host`, must not be connected to on `port`, and what would allow it; None when it may be.

    The sentence is the same for whatever lies behind the address, so that it tells nothing about it.
    """
    if _METADATA.intersection(_meanings(address)):
        return WORDS["metadata"].format(address)
    if _is_public(address) or any(_permits(entry, address, host, port) for entry in allowed):
        return None
    which = WORDS["not_public" if host == str(address) else "leads_inside"].format(host, address)
    return f"{which} {WORDS['how_to_allow'].format(host if literal_address(host) is None else address)}"


def why_literal_refused(target: ParsedUrl, allowed: Iterable[AllowedTarget]) -> str | None:
    """What a form can say without any look-up: judges a host that is itself an address, or `localhost`; else None."""
    host = target.host.rstrip(".")
    if target.address is not None:
        return why_refused(target.address, host, target.port, allowed)
    if host == "localhost" or host.endswith(".localhost"):
        loopbacks = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
        verdicts = [why_refused(address, host, target.port, allowed) for address in loopbacks]
        return verdicts[0] if all(verdicts) else None
    return None


def _is_public(address: Address) -> bool:
    if (
        not address.is_global
        or address.is_multicast
        or any(address in network for network in _INSIDE)
    ):
        return False
    return address.version == 4 or address in _GLOBAL_V6


def _permits(entry: AllowedTarget, address: Address, host: str, port: int) -> bool:
    if entry.port not in (None, port):
        return False
    if entry.network is not None:
        return address in entry.network
    return entry.host == host.lower().rstrip(".")


def _meanings(address: Address) -> set[Address]:
    """The address and every IPv4 address that it may carry (mapped, compatible, 6to4, NAT64, Teredo)."""
    found = {address}
    if isinstance(address, ipaddress.IPv6Address):
        teredo = address.teredo or ()
        found.update(part for part in (address.ipv4_mapped, address.sixtofour, *teredo) if part)
        number = int(address)
        found.add(ipaddress.IPv4Address(number & 0xFFFFFFFF))
        # RFC 6052 §2.2: under a prefix of 48 bits the IPv4 address stands on both sides of a byte that is zero.
        found.add(ipaddress.IPv4Address((number >> 64 & 0xFFFF) << 16 | (number >> 40 & 0xFFFF)))
    return found
