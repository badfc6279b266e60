"""The env file and the files of secrets: what is read, and what is told about the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ozh_notify.config.campaigns_dir import find_campaigns_dir
from ozh_notify.config.load import examine, load
from ozh_notify.config.settings import SECRETS, database
from ozh_notify.errors import ConfigError
from tests.config.test_settings import KNOWN, NEEDED, URI, no_file, plain, problems
from tests.conftest import API_KEY, PASSWORD, TOKEN, Ozh

__all__ = ["no_file"]


@pytest.fixture(autouse=True)
def private_files() -> Iterator[None]:
    """Files of these tests belong to their owner alone, as the program asks for."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(
    tmp_path: Path,
) -> None:
    """One pass may be run differently without editing a file."""
    file = tmp_path / "env"
    file.write_text(f"MONGO_URI={URI}\nOZH_RATE_LIMIT=5\nOZH_MAX_RECIPIENTS=7\nOZH_SHARDS=3\n")
    environ = {"OZH_RATE_LIMIT": "6", "OZH_MAX_RECIPIENTS": "8"}
    options = {"OZH_RATE_LIMIT": 9.0, "OZH_MAX_RECIPIENTS": None}
    settings, _ = load(file, environ, options=options)
    assert (settings.rate_limit, settings.max_recipients, settings.shards) == (9, 8, 3)
    wrong = problems(file, environ, options={"OZH_RATE_LIMIT": -1})
    assert "OZH_RATE_LIMIT" in wrong


def test_the_original_services_file_works_unchanged(tmp_path: Path) -> None:
    """An operator who replaces the old service keeps the configuration."""
    file = tmp_path / ".env"
    file.write_text(
        f'MONGO_URI="mongodb://user:{PASSWORD}@host:27017/your_db_name"\n'
        'MONGO_DB_NAME="your_db_name"\n'
        f'TELEGRAM_BOT_TOKEN="{TOKEN}"\n'
        '# API_URL="https://api.example.com"\n'
        f'API_KEY="{API_KEY}"\n'
        'LOGGING_ENABLED="True"\n'
    )
    settings, warnings = load(file, {}, needs_token=True)
    assert warnings == []
    assert database(settings) == "your_db_name"
    assert plain(settings.token) == TOKEN
    assert plain(settings.api_key) == API_KEY
    assert settings.api_url is None
    assert settings.logging_enabled


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeffMONGO_URI={URI}\n",
        f"MONGO_URI={URI}\r\nOZH_SHARDS=2\r\n",
        f"# a comment\n\nexport MONGO_URI='{URI}'\n",
    ],
    ids=["byte order mark", "line ends of Windows", "export"],
)
def test_a_file_may_come_from_any_editor(text: str, tmp_path: Path) -> None:
    """What looks right in an editor is right."""
    file = tmp_path / "env"
    file.write_bytes(text.encode())
    assert plain(load(file, {})[0].mongo_uri) == URI


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    """Settings that were meant are never silently ignored."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00MONGO_URI")
    assert f"{binary} cannot be read: it is not UTF-8 text" in problems(binary, dict(NEEDED))
    told = problems(tmp_path, dict(NEEDED))
    assert f"{tmp_path} cannot be read: Is a directory" in told


def test_a_default_env_file_that_is_a_folder_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker makes a folder of a file that it was told to mount and did not find."""
    monkeypatch.chdir(tmp_path)
    assert load(None, dict(NEEDED))[1] == []
    (tmp_path / ".env").mkdir()
    with pytest.raises(ConfigError, match=r"\.env cannot be read: Is a directory"):
        load(None, dict(NEEDED))


def test_a_missing_variable_is_told_with_the_missing_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most often the command was run in another folder."""
    monkeypatch.chdir(tmp_path)
    _, _, warnings = examine(None, {}, needs_token=True)
    assert [str(one) for one in warnings] == [
        f"there is no .env in {tmp_path}; "
        "run ozh-notify in the folder that has one, or name it with --env-file"
    ]
    assert examine(None, {**NEEDED, "OZH_RATE_LIMIT": "x"})[2] == []
    (tmp_path / ".env").touch()
    assert examine(None, {}, needs_token=True)[2] == []


def test_an_env_file_with_secrets_that_everybody_may_read_is_a_warning(tmp_path: Path) -> None:
    """An account on the same machine could send as the bot."""
    file = tmp_path / "env"
    file.write_text(f"MONGO_URI={URI}\nTELEGRAM_BOT_TOKEN={TOKEN}\nAPI_KEY=\n")
    for mode, told in ((0o600, 0), (0o640, 0), (0o644, 1), (0o604, 1)):
        file.chmod(mode)
        assert len(load(file, {})[1]) == told, oct(mode)
    [warning] = load(file, {})[1]
    assert str(warning) == (
        f"{file} holds MONGO_URI, TELEGRAM_BOT_TOKEN, and every user of this machine may read it; "
        f"chmod 600 {file}"
    )
    file.write_text("OZH_RATE_LIMIT=5\n")
    assert load(file, dict(NEEDED))[1] == []


def test_a_folder_that_may_not_be_looked_into_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when an account is lent a shell in another one's home; root may look anywhere."""

    def forbidden(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", forbidden)
    with pytest.raises(ConfigError, match=r"\.env cannot be read: Permission denied"):
        load(None, dict(NEEDED))


def test_the_folder_of_campaigns_is_looked_up_without_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read before any message could be printed; loading the settings tells what is wrong."""

    def forbidden(*_: object, **__: object) -> bool:
        raise PermissionError(13, "Permission denied")

    file = tmp_path / "env"
    file.write_text(f"OZH_CAMPAIGNS_DIR='{tmp_path}'\n")
    assert find_campaigns_dir(file, {}) == tmp_path
    assert find_campaigns_dir(file, {"OZH_CAMPAIGNS_DIR": "/no/such"}) is None
    assert find_campaigns_dir(tmp_path, {}) is None
    file.write_bytes(b"\xff\xfeOZH_CAMPAIGNS_DIR=/")
    assert find_campaigns_dir(file, {}) is None
    monkeypatch.setattr(Path, "is_file", forbidden)
    monkeypatch.setattr(Path, "is_dir", forbidden)
    assert find_campaigns_dir(tmp_path / "closed", {}) is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('OZH_EXTRA_FILTER="{"banned": {"$ne": true}}"', "OZH_EXTRA_FILTER: line 3"),
        ('export OZH_DISCOUNT_PRICE="149', "OZH_DISCOUNT_PRICE: line 3"),
        ("OZH_RATE_LIMIT: 5", "OZH_RATE_LIMIT: line 3"),
        ("  \n\t\n  OZH_RATE_LIMIT: 5", "OZH_RATE_LIMIT: line 5"),
        ("OZH_EXTRA_FILTER", "OZH_EXTRA_FILTER: line 3"),
        ("OZH_DISCOUNT_PRICE=\"149\nOZH_EXTRA_FILTER='{}' #\"", "OZH_DISCOUNT_PRICE: line 3"),
        ("OTHER=\"149\nOZH_EXTRA_FILTER='{}' #\"", "OZH_EXTRA_FILTER: line 3"),
    ],
)
def test_a_statement_that_would_be_left_out_is_a_problem(
    text: str, named: str, tmp_path: Path
) -> None:
    """A filter that keeps people out must not vanish because of a quote."""
    file = tmp_path / "env"
    file.write_text(f"MONGO_URI={URI}\nOZH_SHARDS=2\n{text}\nOZH_ADMIN_DIGEST=none\n")
    told = problems(file, {"OZH_FLOOD_BUDGET_SECONDS": "x"})
    assert f"- {named} of {file} cannot be read; write NAME=value" in told
    assert "- OZH_FLOOD_BUDGET_SECONDS: " in told
    assert "- OZH_ADMIN_DIGEST: " in told
    assert "MONGO_URI: missing" not in told
    assert "banned" not in told


def test_a_statement_of_others_is_left_out(tmp_path: Path) -> None:
    """A file that systemd or a shell reads, too, may hold lines for other programs."""
    file = tmp_path / "env"
    file.write_text(f'; a comment\nset -a\nKEY="1\n2"\nhunter2 = a b\nMONGO_URI={URI}\nBARE\n')
    settings, warnings = load(file, {})
    assert plain(settings.mongo_uri) == URI
    assert warnings == []


@pytest.mark.long
def test_the_file_of_the_working_directory_is_read_and_another_one_instead_of_it(
    ozh: Ozh, environment: dict[str, str]
) -> None:
    """`.env` is found where the command is run; `--env-file` replaces it, never adds to it."""
    lines = [f"{name}={value}" for name, value in environment.items() if name != "PATH"]
    (ozh.folder / ".env").write_text("\n".join(lines))
    (ozh.folder / "other.env").write_text("OZH_RATE_LIMIT=3\n")
    ozh.environment = {"PATH": environment["PATH"]}
    assert ozh("discount", "--dry-run").code == 0
    other = ozh("--env-file", "other.env", "discount", "--dry-run")
    assert other.code == 78
    assert "MONGO_URI: missing" in other.err


@pytest.mark.parametrize("path", ["missing.env", "."])
def test_an_explicit_file_must_exist(path: str, ozh: Ozh) -> None:
    """A mistyped path is wrong usage, not an empty file."""
    result = ozh("--env-file", path, "discount", "--dry-run")
    assert (result.code, result.out) == (2, "")
    assert "--env-file" in result.err


# --- files that hold a secret ---


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_lie_in_a_file(name: str, no_file: Path, tmp_path: Path) -> None:
    """As Kubernetes and Docker mount them; the line end of an editor does not count."""
    attribute, _, text, value, *_ = KNOWN[name]
    secret = tmp_path / "secret"
    secret.write_text(f"{text}\n")
    environ = {**NEEDED, f"{name}_FILE": str(secret)}
    environ.pop(name, None)
    settings, warnings = load(no_file, environ, needs_token=True)
    assert plain(getattr(settings, attribute)) == value
    assert warnings == []


@pytest.mark.parametrize("before", ["\ufeff", "\u200b", "\0", " \ufeff "])
@pytest.mark.parametrize("after", ["\n", "\0", "\u200b\r\n", "\ufeff"])
def test_what_cannot_be_seen_at_the_ends_of_a_secret_is_not_part_of_it(
    before: str, after: str, no_file: Path, tmp_path: Path
) -> None:
    """Editors write a byte order mark, consoles a NUL, web pages a zero-width space."""
    secret = tmp_path / "secret"
    secret.write_text(f"{before}{TOKEN}{after}", encoding="utf-8")
    environ = {"MONGO_URI": f"{before}{URI}{after}", "TELEGRAM_BOT_TOKEN_FILE": str(secret)}
    settings, _ = load(no_file, environ)
    assert plain(settings.token) == TOKEN
    assert plain(settings.mongo_uri) == URI


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("fault", ["missing", "folder", "binary", "empty", "both"])
def test_an_unusable_secret_file_fails_loudly(
    name: str, fault: str, no_file: Path, tmp_path: Path
) -> None:
    """A secret that was meant is never taken for an optional one left out."""
    secret = tmp_path / "secret"
    content = {"binary": b"\xff\xfe" + PASSWORD.encode(), "empty": b" \n", "both": b"x"}
    if fault == "folder":
        secret.mkdir()
    elif fault in content:
        secret.write_bytes(content[fault])
    environ = {**NEEDED, f"{name}_FILE": str(secret)}
    if fault == "both":
        environ[name] = KNOWN[name][2]
    else:
        environ.pop(name, None)
    text = problems(no_file, environ)
    words = {
        "missing": f"{name}_FILE: {secret} cannot be read: No such file",
        "folder": f"{name}_FILE: {secret} cannot be read: Is a directory",
        "binary": f"{name}_FILE: {secret} cannot be read: it is not UTF-8 text",
        "empty": f"{name}_FILE: {secret} is empty",
        "both": f"{name}: {name}_FILE is set, too",
    }
    assert words[fault] in text
    assert text.count("  - ") == 1
    assert PASSWORD not in text
