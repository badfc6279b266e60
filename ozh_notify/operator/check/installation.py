"""The Python that runs this program: may another account, such as cron's, run it, too?"""

from __future__ import annotations

import stat
import sys
from pathlib import Path

from ozh_notify.operator.check.result import CheckResult, warning


def python_results() -> list[CheckResult]:
    """A warning for a Python that only its owner may run, in an environment for everybody."""
    return closed_python(Path(sys.prefix), Path(sys.executable).resolve())


def closed_python(environment: Path, python: Path) -> list[CheckResult]:
    """``environment`` is the virtual environment, ``python`` the interpreter it points to.

    An environment that is itself closed belongs to one user, who runs it: nothing to say then.
    """
    closed = _first_closed(python)
    if closed is None or _first_closed(environment) is not None:
        return []
    return [
        warning(
            "Python",
            f"only its owner may run {python}: {closed} is closed to other users, such as cron's",
            f"create the environment again: /usr/bin/python3 -m venv --clear {environment}",
        )
    ]


def _first_closed(path: Path) -> Path | None:
    """The first folder on the way, or the file itself, that other users may not enter or run."""
    for part in (*reversed(path.parents), path):
        try:
            if not part.stat().st_mode & stat.S_IXOTH:
                return part
        except OSError:
            return part
    return None
