"""The console script; handles SIGTERM from its first line on, also as process 1."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

INTERRUPTED = 75


def main() -> None:
    """Run the command line; does not return."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED))
    try:
        from ozh_notify.cli import run  # noqa: PLC0415 - after the handler is in place

        code = run()
        # The result has been told; the loop that heard signals is gone with its handlers.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        # The driver's threads look up twice a second: whoever joins them waits that long.
        os._exit(code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
