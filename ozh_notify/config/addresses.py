"""Parses and checks addresses: MongoDB, Telegram, proxies, buttons; and the bot's token."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import SecretStr

CALLBACK_DATA_BYTES = 64
"""Bot API, InlineKeyboardButton: "1-64 bytes"."""

LOOKS_LIKE_ADDRESS = re.compile(
    r"//|www\.|(t|telegram)\.me\b|[\w-]+(\.[\w-]+)+/|([\w-]+\.)+(com|org|net|ru|рф|me|io)$",
    re.IGNORECASE,
)
"""``discount.buy`` is callback data; ``shop.example/buy`` and ``example.com`` are not."""


def http_url(value: str) -> str:
    """An address of a server, without a slash at its end."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected an address that begins with http:// or https://")
    return value.rstrip("/")


def bot_api_url(value: str) -> str:
    """python-telegram-bot's own base URL ends with /bot; ours does without."""
    if re.search(r"/bot\d+:", value):
        raise ValueError("expected the address of the server alone, without /bot and the token")
    return re.sub(r"/bot$", "", http_url(value))


def proxy(value: SecretStr) -> SecretStr:
    """A proxy's address, with its credentials."""
    try:
        parts = urlsplit(value.get_secret_value())
        kind_is_known = parts.scheme in ("http", "https", "socks5", "socks5h")
        usable = kind_is_known and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("expected an address that begins with http:// or socks5://")
    return value


def mongo_uri(value: SecretStr) -> SecretStr:
    """What the driver itself says about a wrong address could quote the password."""
    if not re.match(r"mongodb(\+srv)?://[^/]", value.get_secret_value()):
        raise ValueError("expected an address that begins with mongodb:// or mongodb+srv://")
    # The driver would take the text before the slash for hosts, and quote it in its errors.
    if re.match(r"[^/]*//[^/?]*(/[^?]*@|\?.*@)", value.get_secret_value()):
        raise ValueError(
            "percent-encode special characters of the user name and password: / is %2F, ? is %3F"
        )
    return value


def token(value: SecretStr) -> SecretStr:
    """A bot's token by its form; Telegram alone knows whether it is valid."""
    if not re.fullmatch(r"\d+:[A-Za-z0-9_-]{20,}", value.get_secret_value()):
        raise ValueError("expected a bot token as BotFather gives it: digits, a colon, letters")
    return value


def button_target(value: str) -> str:
    """A button's address, or its callback data.

    What looks like an address is made one; as callback data it would do nothing.

    Raises:
        ValueError: it is neither.
    """
    scheme, separator, rest = value.partition("://")
    if separator:
        if scheme.lower() in ("http", "https", "tg") and rest:
            return f"{scheme.lower()}://{rest}"
        raise ValueError("expected an address that begins with https://, http:// or tg://")
    if re.fullmatch(r"@\w{4,32}", value, re.ASCII):
        return f"https://t.me/{value[1:]}"
    if LOOKS_LIKE_ADDRESS.match(value):
        return f"https://{value.removeprefix('//')}"
    if not 1 <= len(value.encode()) <= CALLBACK_DATA_BYTES:
        raise ValueError(f"expected a URL, or callback data of 1 to {CALLBACK_DATA_BYTES} bytes")
    return value
