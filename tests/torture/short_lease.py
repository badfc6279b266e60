"""The real command with a lease of seconds, for the case that freezes a pass past its lease.

Only the three lengths of time differ; how they relate is what the program relies on.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta

from ozh_notify import clock
from ozh_notify.config import settings
from ozh_notify.passes import dispatcher

settings.SEND_LIMIT = timedelta(seconds=float(os.environ.get("TORTURE_SEND_LIMIT", "20")))
settings.LEASE_MARGIN = timedelta(seconds=float(os.environ.get("TORTURE_LEASE_MARGIN", "600")))
dispatcher.SEND_LIMIT = settings.SEND_LIMIT  # type: ignore[attr-defined]
dispatcher.LEASE_SAFETY_MARGIN = timedelta(
    seconds=float(os.environ.get("TORTURE_WAKE_MARGIN", "300"))
)
# Days and nights are lived beside a server whose clock shows today.
clock.CLOCK_LIMIT = timedelta(seconds=float(os.environ.get("TORTURE_CLOCK_LIMIT", "240")))

if __name__ == "__main__":
    from ozh_notify.__main__ import main

    sys.argv[0] = "ozh-notify"
    main()
