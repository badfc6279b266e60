"""Checks whether Telegram takes a URL as the target of a button.

After ``LinkManager::check_link`` and ``parse_url`` of tdlib/td.
"""

from __future__ import annotations

import ipaddress
import re

_SCHEME = re.compile(r"([^:/?#@\[\]]*)://", re.DOTALL)
_TELEGRAM = re.compile(r"(?:tg|ton|tonsite):(?://)?", re.IGNORECASE)
_PORT = re.compile(r"(.+):([^:\]@]*)", re.DOTALL)
_PART = re.compile(r"(?:[A-Za-z0-9.\-_!$,~*'();&+=]|[^\x00-\x7f]|%[0-9A-Fa-f]{2})*")
_USERINFO = re.compile(r"(?:[A-Za-z0-9.\-_!$,~*'();&+=:]|[^\x00-\x7f]|%[0-9A-Fa-f]{2})*")


def problem(url: str) -> str | None:
    """Telegram's own words for what is wrong with ``url``; None when it is good."""
    prefix = _TELEGRAM.match(url)
    rest = url[prefix.end() :] if prefix else url
    scheme = _SCHEME.match(rest)
    if scheme and scheme[1].lower() not in ("http", "https"):
        return "Unsupported URL protocol"
    authority = re.split("[/?#]", rest[scheme.end() :] if scheme else rest, maxsplit=1)[0]
    host, wrong = _host(authority)
    if wrong:
        return wrong
    if prefix:
        return _telegram_problem(prefix[0].lower(), bool(scheme), host)
    return None if "." in host or host.startswith("[") else "Wrong HTTP URL"


def _telegram_problem(prefix: str, has_scheme: bool, host: str) -> str | None:
    if has_scheme or host.startswith("["):
        return "Wrong tg URL" if prefix.startswith("tg") else "Wrong ton URL"
    dot = "." if prefix.startswith("tonsite") else ""
    if not re.fullmatch(rf"[A-Za-z0-9\-_{dot}]*", host):
        return "Unallowed characters in URL host"
    return None


def _host(authority: str) -> tuple[str, str | None]:
    """The host of ``user:password@host:port``, and what is wrong with the whole."""
    if port := _PORT.fullmatch(authority):
        authority = port[1]
        if not re.fullmatch("0*[1-9][0-9]{0,4}", port[2]) or int(port[2]) > 65535:
            return "", "Wrong port number specified in the URL"
    userinfo, _, host = authority.rpartition("@")
    if host.startswith("[") and host.endswith("]"):
        return host, None if _is_ipv6(host[1:-1]) else "Wrong IPv6 address specified in the URL"
    if not host:
        return host, "URL host is empty"
    if host == ".":
        return host, "Host is invalid"
    return host, _part_problem(host, _PART, "host") or _part_problem(
        userinfo, _USERINFO, "userinfo"
    )


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _part_problem(text: str, allowed: re.Pattern[str], name: str) -> str | None:
    match = allowed.match(text)
    end = match.end() if match else 0
    if end == len(text):
        return None
    if text[end] == "%":
        return f"Wrong percent-encoded symbol in URL {name}"
    return f"Disallowed character in URL {name}"
