# Sourced by the other scripts: makes `python` an interpreter that has this project and its pinned dependencies.
#
# An active environment (venv or conda) that already has the project is used as it is. Otherwise .venv is made
# beside this file's folder; a stamp of the pins inside it lets the next start skip all of this.

_tadaloc_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

_tadaloc_find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python3.14 python; do
        if "$candidate" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

_tadaloc_install() {
    local interpreter log="$_tadaloc_root/.venv/install.log"
    if ! interpreter="$(_tadaloc_find_python)"; then
        echo "setup: needs Python 3.11 to 3.14 with the venv module, found: $(python3 --version 2>&1 || echo none)" >&2
        return 2
    fi
    echo "setup: making .venv with $("$interpreter" --version), a few minutes the first time" >&2
    rm -rf "$_tadaloc_root/.venv"
    if ! "$interpreter" -m venv "$_tadaloc_root/.venv"; then
        echo "setup: could not make .venv; on Debian or Ubuntu install python3-venv" >&2
        return 2
    fi
    if ! "$_tadaloc_root/.venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --constraint "$_tadaloc_root/constraints.txt" --editable "$_tadaloc_root[dev]" >"$log" 2>&1; then
        echo "setup: installing failed: $(grep -m 1 -i '^error' "$log" || tail -n 1 "$log") (all of it: .venv/install.log)" >&2
        return 2
    fi
}

_tadaloc_setup() {
    local stamp="$_tadaloc_root/.venv/ready" pins
    if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && python - "$_tadaloc_root" 2>/dev/null <<'PY'
import json, sys
from importlib.metadata import distribution
origin = json.loads(distribution("tadaloc").read_text("direct_url.json"))["url"]
sys.exit(origin != "file://" + sys.argv[1])
PY
    then
        return 0
    fi
    pins="$(cat "$_tadaloc_root/constraints.txt" "$_tadaloc_root/pyproject.toml" | cksum)"
    if [ "$(cat "$stamp" 2>/dev/null)" != "$_tadaloc_root $pins" ]; then
        _tadaloc_install || return $?
        echo "$_tadaloc_root $pins" >"$stamp"
    fi
    PATH="$_tadaloc_root/.venv/bin:$PATH"
}

_tadaloc_setup || exit $?
export PATH
