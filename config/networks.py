"""Addresses and networks in the values of environment variables."""

import contextlib
import ipaddress
import re
from dataclasses import dataclass

from config.texts import port_of, shown

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class AllowedTarget:
    """An entry of TOCSIN_ALLOW_NETWORKS: a network or a host name, on one port or on all."""

    network: Network | None = None
    host: str | None = None
    port: int | None = None


def parse_bind(text: str) -> tuple[str, int]:
    """Return the host and the port of `host:port` or `[IPv6 address]:port`."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\[\]]*):([^:\[\]/]+)", text)
    if re.fullmatch(r"[0-9a-fA-F:]*:[0-9a-fA-F]*:[0-9]*", text):
        raise ValueError(f"{shown(text)}: an IPv6 address needs brackets, for example [::1]:8000")
    if re.search(r"[\s,]", text):
        raise ValueError(f"{shown(text)}: write one address without blanks, such as 127.0.0.1:8000")
    if not match:
        raise ValueError(f"{shown(text)} is not host:port, for example 127.0.0.1:8000")
    port = port_of(match[2])
    host = match[1].strip("[]")
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(host)), port
    is_name = re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", host)
    if not is_name or host.replace(".", "").isdigit():
        raise ValueError(
            f"{shown(host)} is neither an IP address nor a host name; "
            "to serve on every address, write 0.0.0.0:8000 or [::]:8000"
        )
    return host, port


def _check_entry(entry: str) -> None:
    """Refuse the usual mistakes in a list of networks, with a sentence for each."""
    if _is_range(entry):
        raise ValueError(f"{shown(entry)} is a range; write networks, for example 10.0.0.0/29")
    if re.search(r"[\s;]", entry):
        raise ValueError(f"{shown(entry)}: separate entries by commas, such as 127.0.0.1, ::1")
    if re.fullmatch(r"::1:[0-9]{1,5}", entry):
        raise ValueError(f"{shown(entry)}: an IPv6 address with a port needs brackets: [::1]:8000")
    if "://" in entry:
        raise ValueError(f"{shown(entry)} is a URL; write its host alone, for example nas.lan")


def _is_range(entry: str) -> bool:
    start, _, end = entry.partition("-")
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(start.strip())
        return bool(re.fullmatch(r"\s*[0-9a-fA-F.:]+", end))
    return False


def _network(text: str) -> Network:
    return ipaddress.ip_network(text, strict=False)


def trusted_proxy(entry: str) -> Network:
    """Return a network of proxies, an IPv4-mapped one (`::ffff:10.0.0.0/104`) as IPv4.

    The address of a client is read in the same way, see web/auth/proxy.py.
    """
    _check_entry(entry)
    try:
        network = _network(entry)
    except ValueError:
        raise ValueError(
            f"{shown(entry)} is neither an address nor a network; write for example 127.0.0.1 or "
            "10.0.0.0/8 (names and ports are not supported)"
        ) from None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if not mapped or network.prefixlen < 96:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - 96))


def allowed_target(entry: str) -> AllowedTarget:
    """Parse `10.0.0.0/8`, `[fd00::]/8`, `::1`, `[::1]:9000`, `10.0.0.0/8:9093`, `nas.lan:8080`."""
    _check_entry(entry)
    match = re.fullmatch(r"(\[[^\[\]]*\][^:]*|[^:\[\]]*):([0-9]+)", entry)
    target = match[1] if match else entry
    port = port_of(match[2]) if match else None
    with contextlib.suppress(ValueError):
        bare = re.sub(r"^\[([^\]]*)\](?=/|$)", r"\1", target)
        return AllowedTarget(network=_network(bare), port=port)
    host = re.fullmatch(r"([A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?)\.?", target)
    if host and not host[1].replace(".", "").isdigit():
        return AllowedTarget(host=host[1].lower(), port=port)
    raise ValueError(
        f"{shown(entry)} is neither a network (10.0.0.0/8), an address (10.0.0.1, [::1]:9000) nor "
        "a host name (nas.lan:8080)"
    )
