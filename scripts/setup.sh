# Sourced by the other scripts: makes `python` an interpreter that has this project and its pinned dependencies.
#
# An active environment (venv or conda) that already has the project is used as it is. Otherwise .venv is made
# beside this file's folder; a stamp of the pins inside it lets the next start skip all of this.

_tadaloc_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

_tadaloc_find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python3.14 python; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' \
            2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

_tadaloc_fail() {
    echo "setup: $1" >&2
    return 2
}

_tadaloc_install() {
    local interpreter venv="$_tadaloc_root/.venv" log
    if [ -e "$venv" ] && [ ! -e "$venv/made-by-setup" ]; then
        _tadaloc_fail "$venv exists, but was not made by this script; activate it with the project installed, or move it away"
        return
    fi
    if ! interpreter="$(_tadaloc_find_python)"; then
        _tadaloc_fail "needs Python 3.11 to 3.14 with venv and pip (on Debian or Ubuntu: python3-venv), found $(
            python3 --version 2>/dev/null || echo no python3
        )"
        return
    fi
    echo "setup: making .venv with $("$interpreter" --version), a few minutes the first time" >&2
    rm -rf "$venv"
    mkdir "$venv" && touch "$venv/made-by-setup"
    log="$venv/install.log"
    if ! "$interpreter" -m venv "$venv" >"$log" 2>&1; then
        _tadaloc_fail "could not make .venv: $(tail -n 1 "$log")"
        return
    fi
    if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --constraint "$_tadaloc_root/constraints.txt" --editable "$_tadaloc_root[dev]" >>"$log" 2>&1; then
        _tadaloc_fail "installing failed: $(grep -m 1 -i '^error' "$log" || tail -n 1 "$log") (all of it: .venv/install.log)"
    fi
}

# Whether the active environment, made by somebody else, has this checkout installed.
_tadaloc_is_active() {
    [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && [ "${VIRTUAL_ENV:-}" != "$_tadaloc_root/.venv" ] &&
        python - "$_tadaloc_root" 2>/dev/null <<'PY'
import json, pathlib, sys
from importlib.metadata import distribution
origin = json.loads(distribution("tadaloc").read_text("direct_url.json"))["url"]
sys.exit(origin != pathlib.Path(sys.argv[1]).as_uri())
PY
}

_tadaloc_setup() {
    local stamp="$_tadaloc_root/.venv/ready" pins
    if _tadaloc_is_active; then
        return 0
    fi
    pins="$_tadaloc_root $(cat "$_tadaloc_root/constraints.txt" "$_tadaloc_root/pyproject.toml" | cksum)"
    if [ "$(cat "$stamp" 2>/dev/null)" != "$pins" ]; then
        _tadaloc_install || return
        echo "$pins" >"$stamp"
    fi
    PATH="$_tadaloc_root/.venv/bin:$PATH"
}

_tadaloc_setup || exit
export PATH
