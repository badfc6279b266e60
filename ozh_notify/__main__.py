"""The console script; handles SIGTERM from its first line on, also as process 1."""

from __future__ import annotations

import signal
import sys

INTERRUPTED = 75


def main() -> None:
    """Run the command line; does not return."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED))
    try:
        from ozh_notify.cli import run  # noqa: PLC0415 - after the handler is in place

        sys.exit(run())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
