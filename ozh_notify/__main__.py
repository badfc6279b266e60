"""The console script; handles SIGTERM and SIGHUP from its first line on, which process 1 needs."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

INTERRUPTED = 75


def open_closed_streams() -> None:
    """Give a closed stdin, stdout or stderr (``2>&-``) the null device.

    Otherwise a connection would get its number, and `sys.stderr` would be None.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest free number
        pass
    os.close(number)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - stays open
            setattr(sys, name, stream)


def main() -> None:
    """Run the command line; does not return."""
    open_closed_streams()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(INTERRUPTED))
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, lambda *_: sys.exit(INTERRUPTED))
    try:
        from ozh_notify.cli import run  # noqa: PLC0415 - after the handler is in place

        code = run()
        # The result is printed; the event loop is gone, and its signal handlers with it.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        # Joining the threads of the driver would take half a second.
        os._exit(code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
