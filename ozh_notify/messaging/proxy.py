"""Which proxy leads to the Bot API: ``OZH_TELEGRAM_PROXY``, or what the environment says.

The environment's rules are those of the standard library (``HTTPS_PROXY``, ``HTTP_PROXY``,
``ALL_PROXY``, ``NO_PROXY`` with host names and ports). Networks in ``NO_PROXY``, as in
``10.0.0.0/8``, are added here. aiohttp's ``trust_env`` knows neither, sends two threads for it at
every request, a quarter of a send's time, and would hand Telegram what a ``~/.netrc`` holds.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ozh_notify.errors import ConfigError

SCHEMES = ("http", "https", "socks4", "socks5", "socks5h")
DEFAULT_PORTS = {"http": 80, "https": 443}
SOCKS_PORT = 1080


@dataclass(frozen=True)
class ChosenProxy:
    """A proxy and the environment variable that names it."""

    variable: str
    address: str = field(repr=False)  # may hold a password

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS and not HTTP."""
        return self.address.startswith("socks")


def proxy_for(url: str, own: str | None = None) -> ChosenProxy | None:
    """The proxy for an address; ``own`` is ``OZH_TELEGRAM_PROXY``, which has no exceptions.

    Raises:
        ConfigError: a variable names something that cannot be used as a proxy.
    """
    if own:
        return _usable("OZH_TELEGRAM_PROXY", own)
    parts, proxies = urlsplit(url), getproxies()
    host = parts.hostname or ""
    if proxy_bypass(f"{host}:{_port(url)}") or _in_network(host, proxies.get("no", "")):
        return None
    for kind in (parts.scheme, "all"):
        if proxies.get(kind):
            return _usable(f"{kind.upper()}_PROXY", proxies[kind])
    return None


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or DEFAULT_PORTS.get(parts.scheme, 0)


def _in_network(host: str, no_proxy: str) -> bool:
    """Whether a host given as an IP address lies in one of the networks of ``NO_PROXY``."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in map(_network, no_proxy.split(",")) if network)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip().strip("[]"), strict=False)
    except ValueError:
        return None


def _usable(variable: str, address: str) -> ChosenProxy:
    """The proxy as the transport takes it: names are looked up by a SOCKS proxy, never here."""
    address = address if "://" in address else f"http://{address}"
    scheme, _, rest = address.partition("://")
    try:
        parts = urlsplit(address)
        usable = scheme.lower() in SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"{variable} names a proxy that cannot be used ({scheme}://…): write "
            "http://HOST:PORT or socks5://HOST:PORT there, or set OZH_TELEGRAM_PROXY, or name "
            "the host of the Bot API in NO_PROXY"
        )
    kind = scheme.lower().removesuffix("h")
    if kind.startswith("socks") and parts.port is None:
        rest = f"{rest.partition('/')[0]}:{SOCKS_PORT}"
    return ChosenProxy(variable, f"{kind}://{rest}")
