"""Checks of the configuration, which need neither the database nor the network."""

import ipaddress
from urllib.parse import urlsplit

from config import HTMX_INTEGRITY, HTMX_URL, Config
from config.networks import AllowedTarget, Network
from operating.doctor.findings import Finding, fine, problem, warning

_LOOPBACKS = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_POLICY = "address policy"
_PROXY = "proxy"
_SCRIPT = "script"


def check_policy(config: Config) -> list[Finding]:
    """Check what TOCSIN_ALLOW_NETWORKS opens."""
    if not config.allow:
        return [fine(_POLICY, "Channels reach public addresses only.")]
    risky = [finding for finding in map(_check_entry, config.allow) if finding]
    entries = ", ".join(map(_written, config.allow))
    return risky or [fine(_POLICY, f"Channels also reach {entries}.")]


def _check_entry(entry: AllowedTarget) -> Finding | None:
    network = entry.network
    written = _written(entry)
    if network is None:
        if entry.host == "localhost" and entry.port is None:
            return _open_machine(written)
        return None
    if network.prefixlen == 0:
        return warning(
            _POLICY,
            f"{written} opens every private network to every channel.",
            "Name the networks of the receivers only, such as 10.1.2.0/24:9093.",
        )
    if entry.port is None and any(_overlaps(network, one) for one in _LOOPBACKS):
        return _open_machine(written)
    if network.is_global:
        return warning(
            _POLICY,
            f"{written} has no effect: channels reach public addresses anyway.",
            "Remove it from TOCSIN_ALLOW_NETWORKS.",
        )
    return None


def _open_machine(written: str) -> Finding:
    return warning(
        _POLICY,
        f"{written} opens every port of this machine, also those that trust it.",
        "Add the port of the receiver, such as 127.0.0.1:9093.",
    )


def _overlaps(network: Network, other: Network) -> bool:
    return network.version == other.version and network.overlaps(other)


def _written(entry: AllowedTarget) -> str:
    target = str(entry.network or entry.host)
    return f"{target} on port {entry.port}" if entry.port else target


def check_script(config: Config) -> list[Finding]:
    """Check that the browser can verify the one script from elsewhere; nothing is fetched."""
    if not config.htmx_integrity:
        return [
            warning(
                _SCRIPT,
                f"{config.htmx_url} has no integrity: the server of that address may change it.",
                "Set TOCSIN_HTMX_INTEGRITY to the hash of the file.",
            )
        ]
    if config.htmx_url == HTMX_URL and config.htmx_integrity != HTMX_INTEGRITY:
        return [
            problem(
                _SCRIPT,
                "The integrity is not that of the default script: browsers refuse it.",
                "Remove TOCSIN_HTMX_INTEGRITY, or set TOCSIN_HTMX_URL as well.",
            )
        ]
    if config.public_url.startswith("https:") and config.htmx_url.startswith("http:"):
        return [
            problem(
                _SCRIPT,
                f"Browsers refuse {config.htmx_url} on a page with HTTPS.",
                "Give TOCSIN_HTMX_URL an https address.",
            )
        ]
    host = urlsplit(config.htmx_url).hostname
    return [fine(_SCRIPT, f"htmx comes from {host}, with an integrity hash.")]


def check_proxy(config: Config) -> list[Finding]:
    """Check the settings for a reverse proxy against each other."""
    if any(network.prefixlen == 0 for network in config.trusted_proxies):
        return [
            problem(
                _PROXY,
                "TOCSIN_TRUSTED_PROXIES trusts every address: anyone may sign in as anyone.",
                "Name the addresses of the proxies only.",
            )
        ]
    if config.trusted_proxies and not config.public_url:
        return [
            warning(
                _PROXY,
                "TOCSIN_TRUSTED_PROXIES is set, but links lead to " + config.address,
                "Set TOCSIN_PUBLIC_URL to the address that browsers use.",
            )
        ]
    is_public = not _is_loopback(config.host)
    if config.public_url.startswith("https:") and not config.trusted_proxies:
        return [
            warning(
                _PROXY,
                "TOCSIN_PUBLIC_URL is https, but no proxy is trusted: all users share the "
                "proxy's address in limits and in the audit log.",
                "Set TOCSIN_TRUSTED_PROXIES to the address of the proxy.",
            )
        ]
    if is_public and not config.public_url.startswith("https:"):
        return [
            warning(
                _PROXY,
                f"Pages are served at {config.bind} without HTTPS: passwords can be read on the "
                "way.",
                "Put a proxy with HTTPS before Tocsin, and set TOCSIN_PUBLIC_URL.",
            )
        ]
    return [fine(_PROXY, f"Pages are at {config.base_url}.")]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
