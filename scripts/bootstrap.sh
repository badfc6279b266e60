#!/bin/sh
# Make .venv with any Python 3.10 to 3.13 and install this project into it.
# PYTHON=/some/python chooses one; $1 names another folder than .venv, $2 another file of versions
# than constraints.txt.
set -eu
cd "$(dirname "$0")/.."
venv=${1:-.venv}
versions=${2:-constraints.txt}

usable() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
        >/dev/null 2>&1
}

# Where pyenv manages Pythons, those that are installed but not switched on count too.
for python in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.10 \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[0-3]*/bin/python; do
    if usable "$python"; then
        found=$python
        break
    fi
done
if [ -z "${found:-}" ]; then
    echo "No Python 3.10 to 3.13 with the modules venv and ensurepip was found." >&2
    echo "Install one (on Debian: apt-get install python3 python3-venv)," >&2
    echo "or name one: make PYTHON=/path/to/python3.12 ..." >&2
    exit 1
fi

echo "==> $venv with $("$found" --version)"
"$found" -m venv "$venv"
echo "==> installing ozh-notify and its tools; the first time this takes a minute or two"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c "$versions" -e '.[dev]'
touch "$venv/.ready"
echo "==> ready: $venv/bin/ozh-notify"
