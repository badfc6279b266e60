"""The tests hold wherever they are started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
IGNORING = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
import tests.conftest
import subprocess, sys
show = "import signal; print(signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGHUP))"
print(subprocess.run([sys.executable, "-c", show], capture_output=True, text=True).stdout)
"""


def test_processes_of_tests_obey_signals_under_nohup_and_in_the_background() -> None:
    """The tests of SIGINT and SIGHUP would fail there otherwise."""
    done = subprocess.run(
        [sys.executable, "-c", IGNORING], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "SIG_IGN" not in done.stdout
    assert "default_int_handler" in done.stdout
