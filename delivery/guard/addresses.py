"""The address policy: which addresses a channel may send to.

The form and every connect apply the same rules. This module does no I/O.
"""

import ipaddress
from collections.abc import Container, Iterable
from dataclasses import dataclass

from config.networks import AllowedTarget
from delivery.guard.url import Address, ParsedUrl

# The metadata services of clouds, which serve a machine's credentials (AWS with its ECS and EKS
# agents, GCP, Azure, DigitalOcean, Oracle, Alibaba, Tencent, Scaleway): never allowed.
_METADATA_TEXTS = """
    169.254.169.254 169.254.170.2 169.254.170.23 169.254.0.23 169.254.42.42 100.100.100.200
    192.0.0.192 fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:42::42"""
_METADATA = frozenset(map(ipaddress.ip_address, _METADATA_TEXTS.split()))

# Networks that `is_global` accepts in some Python release although they are not public. IANA has
# assigned only 2000::/3 of IPv6 as global unicast, so everything outside (mapped, compatible,
# NAT64, site-local, multicast) is refused; and inside it Teredo, ORCHID and benchmarking,
# documentation, 6to4, and documentation again.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_TEXTS = """
    192.0.0.0/24 192.88.99.0/24 198.18.0.0/15 224.0.0.0/4 240.0.0.0/4 168.63.129.16/32
    2001::/23 2001:db8::/32 2002::/16 3fff::/20"""
_NOT_PUBLIC = list(map(ipaddress.ip_network, _NOT_PUBLIC_TEXTS.split()))
_LOOPBACKS = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))


@dataclass(frozen=True)
class LabEndpoint:
    """The addresses at which the lab receives: the only private targets that need no permission.

    `origin` and `paths` make their URLs, `hosts` are the possible spellings of the host, and
    `allows` are the addresses that a connection may then go to. Without hosts, it matches no
    target.
    """

    origin: str = ""
    hosts: frozenset[str] = frozenset()
    port: int = 0
    paths: Container[str] = ()
    allows: tuple[AllowedTarget, ...] = ()

    def permissions(self, target: ParsedUrl) -> tuple[AllowedTarget, ...]:
        """Return the addresses this target may reach if it is the lab, with any query."""
        same = (target.scheme, target.port) == ("http", self.port) and target.host in self.hosts
        return self.allows if same and target.path in self.paths else ()

    def has_url(self, url: str) -> bool:
        """Return True for the URL of a receiver of the lab, exactly as its page shows it."""
        return url.startswith(self.origin) and url.removeprefix(self.origin) in self.paths


NO_LAB = LabEndpoint()


def refusal_of(address: Address, target: ParsedUrl, allowed: Iterable[AllowedTarget]) -> str | None:
    """Return why the target must not be reached at `address`, or None.

    The sentence is the same whatever answers at the address, so that it reveals nothing about it.
    """
    if not _METADATA.isdisjoint(_embedded_addresses(address)):
        return f"{address} serves the credentials of cloud machines. Tocsin never sends there."
    if _is_public(address) or any(_permits(entry, address, target) for entry in allowed):
        return None
    host = target.host.rstrip(".")
    sentence = f"{host} resolves to {address}, which is not a public address."
    if host == str(address):
        sentence = f"{address} is not a public address."
    return (
        f"{sentence} To allow it, start Tocsin with TOCSIN_ALLOW_NETWORKS={target.address or host}"
        " (or name its network)."
    )


def literal_refusal_of(target: ParsedUrl, allowed: Iterable[AllowedTarget]) -> str | None:
    """Return why a literal address or `localhost` is refused, or None.

    Any other host needs a lookup and is never refused here.
    """
    if target.address:
        return refusal_of(target.address, target, allowed)
    if target.host.rstrip(".").rpartition(".")[2] != "localhost":
        return None
    refusals = [refusal_of(address, target, allowed) for address in _LOOPBACKS]
    return refusals[0] if all(refusals) else None


def _is_public(address: Address) -> bool:
    if not address.is_global or any(address in network for network in _NOT_PUBLIC):
        return False
    return address.version == 4 or address in _GLOBAL_V6


def _permits(entry: AllowedTarget, address: Address, target: ParsedUrl) -> bool:
    if entry.port not in (None, target.port):
        return False
    if entry.network:
        return address in entry.network
    return entry.host == target.host.rstrip(".")


def _embedded_addresses(address: Address) -> set[Address]:
    """Return the address and every IPv4 address that it may embed.

    An IPv6 address may be mapped, compatible, 6to4, NAT64 or Teredo.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return {address}
    embedded = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    number = int(address)
    # RFC 6052 §2.2: with a 48-bit prefix, the IPv4 address surrounds a zero byte.
    around_zero = (number >> 64 & 0xFFFF) << 16 | (number >> 40 & 0xFFFF)
    last_bits = (number & 0xFFFFFFFF, around_zero)
    return {address, *filter(None, embedded), *map(ipaddress.IPv4Address, last_bits)}
