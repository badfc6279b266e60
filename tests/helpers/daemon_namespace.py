"""A stage for daemons: namespaces of their own, so that nothing reaches the machine itself."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

UNSHARE = (
    *("unshare", "--mount", "--propagation=private", "--cgroup", "--pid", "--fork"),
    *("--kill-child", "--mount-proc", "sh", "-euc"),
)
SET = r"""
over() {
    mkdir -p "$layers$1/up" "$layers$1/work"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$layers$1/up,workdir=$layers$1/work" "$1"
}
mount -t tmpfs none "$layers"
for folder in /etc /opt /dev /var; do over "$folder"; done
mount -t tmpfs -o mode=755 none /run
# This Python, its packages and the program, where every user may read them.
mkdir -p /opt/python /opt/ozh-notify/packages /opt/ozh-notify/source /opt/ozh-notify/bin
mount --bind "$python" /opt/python
mount --bind "$packages" /opt/ozh-notify/packages
mount --bind "$source" /opt/ozh-notify/source
cat > /opt/ozh-notify/bin/ozh-notify <<END
#!/bin/sh
export LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/ozh-notify/source:/opt/ozh-notify/packages
exec /opt/python/bin/$interpreter -m ozh_notify "\$@"
END
chmod 755 /opt/ozh-notify/bin/ozh-notify
install -d -m 755 /etc/ozh-notify
install -m 600 "$settings" /etc/ozh-notify/env
"""
"""As the deploying page leaves a machine before anything is scheduled; all gone with the stage."""

HERE = {
    "python": sys.base_prefix,
    "interpreter": Path(sys.base_prefix, "bin/python3").resolve().name,
    "packages": sysconfig.get_path("purelib"),
    "source": str(Path(__file__).parents[2]),
}
DOCUMENT = Path(__file__).parents[2] / "docs/deploying.md"


def told(word: str) -> str:
    """The one block of commands or lines on the deploying page that holds a word."""
    text = DOCUMENT.read_text("utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    [found] = [block for block in blocks if word in block]
    return str(found)


def why_not(*programs: str) -> str | None:
    """What is missing here for a stage and these programs; None: nothing."""
    if os.geteuid() != 0:
        return "this needs root"
    if missing := [name for name in ("unshare", *programs) if not shutil.which(name)]:
        return f"missing: {', '.join(missing)}"
    probe = (
        'mount -t tmpfs none "$0"; mkdir "$0/up" "$0/work"; mount -t overlay overlay'
        ' -o "lowerdir=/etc,upperdir=$0/up,workdir=$0/work" /etc'
    )
    if subprocess.run([*UNSHARE, probe, "/mnt"], capture_output=True, check=False).returncode:
        return "no namespace with an overlay can be made here"
    return None


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip, and say why, where there can be no stage."""
    reason = why_not(*programs)
    return pytest.mark.skipif(bool(reason), reason=str(reason))


@contextmanager
def running(script: str, folder: Path, **given: object) -> Iterator[subprocess.Popen[bytes]]:
    """A script on its stage until the block ends; ``given`` are its variables.

    Its last command is the daemon; everything it started ends with it.
    """
    (folder / "layers").mkdir()
    env = {"PATH": os.environ["PATH"], "layers": str(folder / "layers"), **HERE}
    env |= {name: str(value) for name, value in given.items()}
    log = folder / "stage.log"
    with log.open("wb") as output:
        process = subprocess.Popen([*UNSHARE, SET + script], env=env, stdout=output, stderr=output)
    try:
        yield process
        assert process.poll() is None, log.read_text()
    finally:
        process.send_signal(signal.SIGKILL)  # and everything within, by --kill-child
        process.wait()


def within(stage: subprocess.Popen[bytes], *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a stage."""
    children = Path(f"/proc/{stage.pid}/task/{stage.pid}/children").read_text().split()
    if not children:
        return subprocess.CompletedProcess(command, 1, "", "nothing runs on the stage yet")
    inside = ["nsenter", "-t", children[0], "--mount", "--pid", "--cgroup", *command]
    return subprocess.run(inside, capture_output=True, text=True, check=False, timeout=60)


def env_file(path: Path, environment: Mapping[str, str], *without: str) -> Path:
    """Write an environment as `/etc/ozh-notify/env`."""
    lines = [f'{k}="{v}"\n' for k, v in environment.items() if k not in ("PATH", *without)]
    path.write_text("".join(lines))
    return path


def until(done: Callable[[], bool], limit: float, words: Callable[[], str]) -> None:
    """Wait; fails with the words when it takes too long."""
    deadline = time.monotonic() + limit
    while not done():
        if time.monotonic() > deadline:
            pytest.fail(words())
        time.sleep(0.1)
