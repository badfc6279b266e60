"""What helps a hand at the keyboard: the shell's completion, and "did you mean"."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ozh_notify.cli import run
from tests.conftest import OZH, Ozh

COMPLETE = "_OZH_NOTIFY_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
INSTALLED = {
    "bash": (".bash_completions/ozh-notify.sh", ".bashrc"),
    "zsh": (".zfunc/_ozh-notify", ".zshrc"),
    "fish": (".config/fish/completions/ozh-notify.fish", ""),
}
COMMANDS = (
    *("discount", "daily-bonus", "demo", "check", "status", "indexes", "explain", "reconcile"),
    *("mute", "unmute"),
)


def asked(ozh: Ozh, shell: str, line: str) -> str:
    """What a shell would be told that has this line before the cursor; no setting is needed."""
    ozh.environment = {"PATH": ozh.environment["PATH"]}
    words: dict[str, Any] = {COMPLETE: f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line}
    if shell == "bash":
        words |= {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    if shell == "fish":
        words["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    result = ozh(**words)
    assert "Traceback" not in result.err
    return result.out


def in_shell(shell: str, script: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a script by a real shell, at home in a folder of its own."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    folder = str(Path(OZH).parent)
    return subprocess.run(
        # What follows keeps the shell from becoming the command, which looks for its parent.
        [program, "-c", f"{script}\ntrue"],
        env={"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(home), "SHELL": program},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# --- completion ---


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_is_told_the_commands_and_the_campaigns(shell: str, ozh: Ozh) -> None:
    """Without settings, and without a server."""
    told = asked(ozh, shell, "ozh-notify ")
    for command in COMMANDS:
        assert command in told
    told = asked(ozh, shell, "ozh-notify explain di")
    assert "discount" in told
    assert "daily-bonus" not in told


def test_options_are_completed_too_and_so_is_every_campaign(ozh: Ozh) -> None:
    """Wherever the cursor is."""
    told = asked(ozh, "bash", "ozh-notify discount --max")
    assert "--max-recipients" in told
    assert "--limit" not in told
    for command in ("status", "reconcile"):
        assert asked(ozh, "bash", f"ozh-notify {command} d").split() == ["discount", "daily-bonus"]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_is_given_a_script_of_its_own(shell: str, ozh: Ozh, tmp_path: Path) -> None:
    """Which asks this very command; where the shell is installed, it can read the script."""
    wanted: dict[str, Any] = {COMPLETE: f"source_{shell}"}
    result = ozh(**wanted)
    assert result.code == 0, result.err
    assert f"complete_{shell}" in result.out
    assert "ozh-notify" in result.out
    script = tmp_path / "script"
    script.write_text(result.out)
    read = in_shell(shell, f"{shell} -n {script}", tmp_path)
    assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_is_shown_and_installed_for_the_shell_one_is_in(
    shell: str, tmp_path: Path
) -> None:
    """`--show-completion` and `--install-completion`, as the README has them."""
    shown = in_shell(shell, "ozh-notify --show-completion", tmp_path)
    assert f"complete_{shell}" in shown.stdout, shown.stderr
    script, read_at_start = INSTALLED[shell]
    assert not (tmp_path / script).exists()
    made = in_shell(shell, "ozh-notify --install-completion", tmp_path)
    assert f"{shell} completion installed in" in made.stdout, made.stderr
    assert f"complete_{shell}" in (tmp_path / script).read_text()
    if read_at_start:
        assert Path(script).parts[0] in (tmp_path / read_at_start).read_text()


def test_bash_completes_a_line_by_the_script_it_was_given(tmp_path: Path) -> None:
    """From the script's own function to what bash would offer."""
    script = (
        'eval "$(ozh-notify --show-completion; true)"\n'
        "COMP_WORDS=(ozh-notify explain dai)\nCOMP_CWORD=2\n"
        "_ozh_notify_completion ozh-notify\n"
        'echo "${COMPREPLY[@]}"'
    )
    done = in_shell("bash", script, tmp_path)
    assert done.stdout == "daily-bonus\n", done.stderr


# --- did you mean ---


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        *(("discont", "discount"), ("daily_bonus", "daily-bonus"), ("dialy-bonus", "daily-bonus")),
        *(("chekc", "check"), ("stauts", "status"), ("index", "indexes"), ("explian", "explain")),
        *(("reconsile", "reconcile"), ("mtue", "mute"), ("unmtue", "unmute"), ("dmeo", "demo")),
    ],
)
def test_a_mistyped_command_is_answered_with_the_nearest_one(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage, and nothing is run in its place."""
    assert run([typed]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Did you mean" in err
    assert f"'{meant}'" in err


@pytest.mark.long
@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("discount --dryrun", "--dry-run"),
        ("discount --any-tmie", "--any-time"),
        ("reconcile discount --resned", "--resend"),
        ("indexes --creat", "--create"),
        ("check --jsn", "--json"),
        ("--vresion", "--version"),
        ("explain discuont 5", "discount"),
        ("status daily_bonus", "daily-bonus"),
        ("reconcile dialy-bonus", "daily-bonus"),
    ],
)
def test_so_are_a_mistyped_option_and_campaign(
    line: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said at once, before any settings are read."""
    assert run(line.split()) == 2
    assert meant in capsys.readouterr().err


def test_so_are_a_mistyped_variable_and_field(ozh: Ozh, users: Any) -> None:
    """A variable as a warning of every command; a field by what stands in the documents."""
    users.insert_many([{"telegram_id": n, "balanse": 5} for n in range(1, 121)])
    for command in ("status", "check"):
        result = ozh(command, "--json", OZH_FIELD_BALANCE="balance", OZH_FEILD_BALANCE="balanse")
        told = result.out + result.err
        assert "OZH_FEILD_BALANCE: not a known variable" in told
        assert "did you mean OZH_FIELD_BALANCE?" in told
    assert "'balanse' looks like a number: OZH_FIELD_BALANCE=balanse ?" in told
