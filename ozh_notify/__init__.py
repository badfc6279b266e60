"""Messages the users of a Telegram bot exactly once; see ``docs/source-map.md``."""

__version__ = "1.0.0"
